"""What an account may see: without the privilege, triggers, events and tables are not refused but missing from lists.

Sources: MySQL 8.4 manual §28.3 ("you can see only the rows that correspond to objects for which you have the proper
access privileges"), MariaDB "Grant".
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pymysql

from holdfast.api import ObjectKind, quote_name
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.errors import DENIED, error_number, server_error
from holdfast_mysql.session import Session, quoted

_GRANT = re.compile(
    r"(?P<way>GRANT|REVOKE) (?P<what>.+) ON (?P<place>\*\.\*|`(?:[^`]|``)*`\.\*|`mysql`\.`proc`) (?:TO|FROM) ",
    re.DOTALL,
)
_BY_OPTION = 1290  # the server was started so that it does not run a statement
_ROUTINES = frozenset({"EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE", "SHOW_ROUTINE", "SHOW CREATE ROUTINE"})


def hidden_objects(session: Session, database: str, selection: Selection) -> list[str]:
    """What of a database could be hidden from the account, each with the privilege that shows it."""
    held, everywhere = _held(session, database)
    if "ALL PRIVILEGES" in held:
        return []
    hidden = []
    if "SELECT" not in held:
        hidden.append("tables (SELECT)")
    if "TRIGGER" not in held and selection.has(ObjectKind.TRIGGER):
        hidden.append("triggers (TRIGGER)")
    if "EVENT" not in held and selection.events:
        hidden.append("events (EVENT)")
    # A global SELECT, and in MariaDB one on mysql.proc, shows routines with their definitions.
    if selection.routines and not held & _ROUTINES and "SELECT" not in everywhere:
        hidden.append(f"routines ({'SELECT on mysql.proc' if session.server.mariadb else 'SHOW_ROUTINE'})")
    return hidden


def privileges_on(session: Session, database: str) -> set[str]:
    """The privileges of the account on a database, which need not be there."""
    return _held(session, database)[0]


def unreadable_tables(session: Session, database: str, selection: Selection) -> tuple[tuple[str, str], ...]:
    """Kind and name of the tables and sequences that the account sees and may not read, or not all columns of."""
    denied = []
    for name, kind in list_names(session, database):
        if kind == "VIEW" or name not in selection:
            continue
        what = "SEQUENCE" if kind == "SEQUENCE" else "TABLE"
        try:
            session.execute(f"SHOW CREATE {what} {quoted(name)}")
            session.execute(f"SELECT * FROM {quoted(name)} LIMIT 0")
        except pymysql.MySQLError as error:
            if error_number(error) not in DENIED:
                raise server_error(error, f"cannot read table {quote_name(name)}") from error
            denied.append((what.lower(), name))
    return tuple(denied)


def takes_patterns_literally(session: Session) -> bool:
    """Whether _ and % in grants are literal, "just as if they had been escaped" (MySQL 8.4 manual §8.2.12)."""
    return session.server.mysql_since(8, 0, 16) and session.value("SELECT @@global.partial_revokes") == "1"


def global_privileges(session: Session) -> set[str]:
    """The privileges of the account that hold for the whole server."""
    return {
        privilege
        for line in _grants(session)
        if (match := _GRANT.match(line)) and match["way"] == "GRANT" and match["place"] == "*.*"
        for privilege in _listed(match["what"])
    }


def _listed(text: str) -> set[str]:
    """Privileges as a grant lists them, without the columns that they are for."""
    return {part.strip().upper() for part in re.sub(r"\([^)]*\)", "", text).split(",")}


def _held(session: Session, database: str) -> tuple[set[str], set[str]]:
    """The privileges on the database, and those that hold for the whole server or the table of routines."""
    held: set[str] = set()
    everywhere: set[str] = set()
    revoked: set[str] = set()
    names = _Names.of(session)
    for line in _grants(session):
        match = _GRANT.match(line)
        if match is None:
            continue
        privileges = _listed(match["what"])
        if match["way"] == "REVOKE":  # of MySQL's partial_revokes: a right to all databases but this one
            revoked |= privileges if names.cover(match["place"], database) else set()
            continue
        if match["place"] in ("*.*", "`mysql`.`proc`"):
            everywhere |= privileges
        if match["place"] == "*.*" or names.cover(match["place"], database):
            held |= privileges
    return held - revoked, everywhere


def _grants(session: Session) -> list[str]:
    """What the account was granted; all of it where the server asks nobody who he is."""
    try:
        return [line for (line,) in session.texts(_query(session))]
    except pymysql.MySQLError as error:
        if error_number(error) != _BY_OPTION or "--skip-grant-tables" not in str(error.args[-1]):
            raise
        return ["GRANT ALL PRIVILEGES ON *.* TO everybody"]


def _query(session: Session) -> str:
    """SHOW GRANTS, in MySQL with the grants of the roles that are active."""
    if session.server.mysql_since(8, 0):
        roles = session.value("SELECT CURRENT_ROLE()")
        if roles and roles != "NONE":
            return f"SHOW GRANTS FOR CURRENT_USER() USING {roles}"
    return "SHOW GRANTS"


@dataclass(frozen=True, kw_only=True)
class _Names:
    """How the server reads the names of databases in grants."""

    literal: bool
    folds: bool

    @classmethod
    def of(cls, session: Session) -> "_Names":
        return cls(literal=takes_patterns_literally(session), folds=session.folds)

    def cover(self, place: str, database: str) -> bool:
        """Whether a quoted pattern fits a name: % and _ stand for others, unless a backslash is before them."""
        pattern = "".join(self._parts(place[1:-3].replace("``", "`")))
        return re.fullmatch(pattern, database, re.DOTALL | (re.IGNORECASE if self.folds else 0)) is not None

    def _parts(self, pattern: str) -> Iterator[str]:
        tokens: Iterable[str] = re.findall(r"\\.|.", pattern, re.DOTALL)
        wildcards = {} if self.literal else {"%": ".*", "_": "."}
        for token in tokens:
            if token.startswith("\\") and len(token) > 1:
                yield re.escape(token[1:])
            else:
                yield wildcards.get(token, re.escape(token))
