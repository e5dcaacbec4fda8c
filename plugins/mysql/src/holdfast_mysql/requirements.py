"""What a backup needs of a server, and a drill: definitions are read as a dump reads them, and no lock is taken.

What an account may not see is missing from lists unnoticed, so that its grants tell; what it sees and may not read is
found by reading it.
"""

import time
from collections.abc import Iterator

import pymysql

from holdfast.api import CheckRequest, HoldfastError, ObjectKind, Operation, Requirement, UsageError, quote_name
from holdfast_mysql.catalog.definitions import DefinitionReader
from holdfast_mysql.catalog.hidden_characters import hiding_tables
from holdfast_mysql.catalog.privileges import (
    global_privileges,
    hidden_objects,
    privileges_on,
    takes_patterns_literally,
    unreadable_tables,
)
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.dump.contents import acting_on_rows
from holdfast_mysql.errors import DENIED, error_number, translate_errors
from holdfast_mysql.location import locate
from holdfast_mysql.names import SYSTEM
from holdfast_mysql.options import MysqlOptions
from holdfast_mysql.restore.read_only import check_writable
from holdfast_mysql.session import Session, connect, plain_literal, quoted
from holdfast_mysql.snapshot import prepare_reader

_CREDENTIALS = 12
_ALL = "ALL PRIVILEGES"
_PROBE = "holdfast_drill_probe"
_OF_DRILLS = r"`holdfast\_drill\_%`.*"
_NEEDED_FOR_DRILLS = ("CREATE", "DROP", "SELECT", "INSERT", "ALTER")
_RELOAD = frozenset({_ALL, "RELOAD", "FLUSH_TABLES"})
_SHOW_ROUTINE_SINCE = (8, 0, 20)


def requirements(request: CheckRequest) -> Iterator[Requirement]:
    """Tell of the connection, and of what the account may do there."""
    if request.operation is Operation.DRILL:
        yield from _of_drill(request.url)
        return
    location = locate(request.url or "")
    if location.database.lower() in SYSTEM:
        raise UsageError(f"{quote_name(location.database)} is the server's own database")
    session = connect(location, database=location.database)
    try:
        with translate_errors(f"cannot look at {quote_name(location.database)}"):
            prepare_reader(session)
            yield from _of_server(session)
            yield from _Rights(session, location.database, request).told()
    finally:
        session.close()


def _of_server(session: Session) -> Iterator[Requirement]:
    account = session.value("SELECT CURRENT_USER()")
    yield Requirement(name="server", state="ok", detail=f"{session.server.text}, account {account}")
    asked = time.time()
    seconds = float(session.value("SELECT UNIX_TIMESTAMP(SYSDATE(6))"))
    yield Requirement.of_clock(seconds, asked, time.time())


class _Rights:
    """What an account may do with one database."""

    def __init__(self, session: Session, database: str, request: CheckRequest) -> None:
        self._session = session
        self._database = database
        self._request = request
        self._options: MysqlOptions = request.options
        user, _, host = session.value("SELECT CURRENT_USER()").rpartition("@")
        self._account = f"{plain_literal(user)}@{plain_literal(host)}"
        self._held = privileges_on(session, database)

    def told(self) -> Iterator[Requirement]:
        """What is missing, else that nothing is; then what stops writers."""
        lacking = [*self._hidden(), *self._denied(), *self._accounts(), *self._characters()]
        yield from lacking
        if not lacking:
            detail = f"account {self._account} may read all that a backup holds"
            yield Requirement(name="rights", state="ok", detail=detail)
        yield from self._lock()

    def _hidden(self) -> Iterator[Requirement]:
        """What could be in the database unseen; who sees no tables sees no views either."""
        selection = Selection.of(self._request)
        for text in hidden_objects(self._session, self._database, selection):
            what, _, right = text.rstrip(")").partition(" (")
            if what == "tables" and selection.has(ObjectKind.VIEW) and "SHOW VIEW" not in self._held:
                right = "SELECT, SHOW VIEW"
            yield self._right(f"{what} cannot be seen", self._grant(what.rstrip("s"), right))

    def _denied(self) -> Iterator[Requirement]:
        """What is seen and may not be read."""
        denied: list[tuple[str, str]] = []
        selection = Selection.of(self._request)
        unreadable = unreadable_tables(self._session, self._database, selection)
        selection = selection.leaving([name for _, name in unreadable])
        definitions = DefinitionReader(self._session, self._database, denied=denied)
        for _ in acting_on_rows(definitions, selection):
            pass
        hidden = {text.partition(" ")[0] for text in hidden_objects(self._session, self._database, selection)}
        told = {"table", "sequence", "view"} if "tables" in hidden else set()  # with one statement
        grants: dict[str, list[str]] = {}
        for kind, name in (*unreadable, *denied):
            if kind not in told:
                grants.setdefault(self._grant(kind, self._right_to_read(kind)), []).append(f"{kind} {quote_name(name)}")
        for statement, names in grants.items():
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            yield self._right(f"the definition of {', '.join(names[:10])}{more} cannot be read", statement)

    def _right_to_read(self, kind: str) -> str:
        """The right on the database that reading a definition takes."""
        if kind == "view" and "SHOW VIEW" not in self._held:
            return "SHOW VIEW"
        return {"trigger": "TRIGGER", "event": "EVENT"}.get(kind, "SELECT")

    def _grant(self, kind: str, right: str) -> str:
        """The statement for a right to read objects of a kind."""
        where = self._everything
        if kind in ("routine", "procedure", "function", "package", "package body", "library"):
            if self._session.server.mariadb:
                right, where = "SELECT", "`mysql`.`proc`"
            elif self._session.server.mysql_since(*_SHOW_ROUTINE_SINCE):
                right, where = "SHOW_ROUTINE", "*.*"
            else:
                right, where = "SELECT", "*.*"
        return f"GRANT {right} ON {where} TO {self._account};"

    @property
    def _everything(self) -> str:
        """The database as a grant names it, where % and _ stand for other names unless a backslash is before them."""
        name = self._database
        if not takes_patterns_literally(self._session):
            name = name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
        return f"{quoted(name)}.*"

    def _accounts(self) -> Iterator[Requirement]:
        if self._options.users and not self._may("SELECT 1 FROM mysql.user LIMIT 0"):
            grant = f"GRANT SELECT ON `mysql`.* TO {self._account};"
            yield Requirement(
                name="rights", state="failed", detail="the accounts of the server cannot be read", remedy=grant,
                exit_code=_CREDENTIALS,
            )  # fmt: skip

    def _characters(self) -> Iterator[Requirement]:
        """Some characters are told only by a temporary table with the same columns."""
        if {_ALL, "CREATE TEMPORARY TABLES"} & self._held:
            return
        if tables := hiding_tables(self._session, self._database):
            named = ", ".join(map(quote_name, tables[:10]))
            yield Requirement(
                name="rights",
                state="warning",
                detail=f"some characters of members or defaults of columns cannot be read, in table {named}",
                remedy=f"GRANT CREATE TEMPORARY TABLES ON {self._everything} TO {self._account};",
            )

    def _lock(self) -> Iterator[Requirement]:
        """By what several connections see one moment; the order is that of the dump."""
        server = self._session.server
        tables = {_ALL, "LOCK TABLES"} & self._held
        grant = f"GRANT LOCK TABLES ON {self._everything} TO {self._account};"
        if self._options.lock_nontransactional and not tables:
            detail = "lock_nontransactional needs LOCK TABLES"
            yield Requirement(name="lock", state="failed", detail=detail, remedy=grant, exit_code=_CREDENTIALS)
        elif global_privileges(self._session) & _RELOAD:
            yield Requirement(name="lock", state="ok", detail="the global read lock, for a moment")
        elif self._request.jobs == 1 or self._options.format == "sql":
            yield Requirement(name="lock", state="ok", detail="none: one connection reads")
        elif server.mariadb and self._session.value("SELECT @@log_bin") == "1":
            yield Requirement(name="lock", state="ok", detail="none: the binary log tells that all see one moment")
        elif tables:
            yield Requirement(name="lock", state="ok", detail="LOCK TABLES, for a moment")
        else:
            detail = f"there is none that the account may take: one connection reads instead of {self._request.jobs}"
            yield Requirement(name="lock", state="warning", detail=detail, remedy=grant)

    def _right(self, detail: str, statement: str) -> Requirement:
        """A failure, or with `incomplete` what the backup is without."""
        if self._options.incomplete:
            return Requirement(name="rights", state="warning", detail=detail, remedy=statement)
        return Requirement(name="rights", state="failed", detail=detail, remedy=statement, exit_code=_CREDENTIALS)

    def _may(self, query: str) -> bool:
        try:
            self._session.rows(query)
        except pymysql.MySQLError as error:
            if error_number(error) not in DENIED:
                raise
            return False
        return True


def _of_drill(url: str | None) -> Iterator[Requirement]:
    if url is None:
        raise UsageError(
            "a drill needs a server",
            hint="name one with --into mysql://USER@HOST, or with HOLDFAST_DRILL_URL",
        )
    session = connect(locate(url, database=False))
    try:
        with translate_errors("cannot look at the server of the drill"):
            yield from _of_server(session)
            yield _scratch(session)
    finally:
        session.close()


def _scratch(session: Session) -> Requirement:
    try:
        check_writable(session)
    except HoldfastError as error:
        return Requirement(
            name="scratch", state="failed", detail=error.message, remedy=error.hint, exit_code=error.exit_code
        )
    held = privileges_on(session, _PROBE)
    missing = [] if _ALL in held else [right for right in _NEEDED_FOR_DRILLS if right not in held]
    if not missing:
        return Requirement(name="scratch", state="ok", detail="databases can be made and dropped")
    user, _, host = session.value("SELECT CURRENT_USER()").rpartition("@")
    pattern = "*.*" if takes_patterns_literally(session) else _OF_DRILLS
    return Requirement(
        name="scratch",
        state="failed",
        detail=f"the account lacks {', '.join(missing)} on databases holdfast_drill_…",
        remedy=f"GRANT ALL ON {pattern} TO {plain_literal(user)}@{plain_literal(host)};",
        exit_code=_CREDENTIALS,
    )
