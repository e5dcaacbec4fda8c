"""What belongs to a database besides its content: owner, limit, rights, comment and settings.

They are kept as statements, one a line, that name the database by psql's variable DBNAME: so psql can run them in
whatever database it is connected to, and a restore can choose among them.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Literal

import msgspec
import psycopg
from psycopg import Connection, pq
from psycopg.rows import TupleRow

from holdfast.api import IntegrityError, UnsafeError, quote_name
from holdfast_postgres import unfinished
from holdfast_postgres.session import quoted

Kind = Literal["owner", "right", "setting", "role setting", "comment", "label", "limit", "template"]

_NAME = ':"DBNAME"'  # psql's variable; in a quoted name its quotes would be doubled
# Values of these are lists of names, as the catalog keeps them. pg_dump: variable_is_guc_list_quote().
_LISTS = {
    "search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries",
    "shared_preload_libraries", "unix_socket_directories",
}  # fmt: skip
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,\s"]+))\s*(?:,|$)')
# What would hinder the restore itself is set at its end. All else is there from the start: functions of constraints
# and indexes may read it.
_HINDERING = {
    "default_transaction_read_only", "default_transaction_isolation", "default_transaction_deferrable", "role",
    "session_authorization", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
    "idle_session_timeout", "transaction_timeout", "session_preload_libraries", "local_preload_libraries",
    "session_replication_role", "client_min_messages", "event_triggers",
}  # fmt: skip
_IDENTIFIER = r'"(?:[^"]|"")+"'
_LITERAL = r"(?:'(?:[^'\\]|'')*'|E'(?:[^'\\]|''|\\.)*')"
_PATTERNS: dict[Kind, str] = {
    "owner": r"ALTER DATABASE DB OWNER TO (?P<name>ID);",
    "limit": r"ALTER DATABASE DB CONNECTION LIMIT (?P<name>-?\d+);",
    "template": r"ALTER DATABASE DB IS_TEMPLATE true(?P<name>);",
    "setting": r"ALTER DATABASE DB SET (?P<name>ID(?:\.ID)*) TO LIT(?:, LIT)*;",
    "role setting": r"ALTER ROLE ID IN DATABASE DB SET (?P<name>ID(?:\.ID)*) TO LIT(?:, LIT)*;",
    "right": (r"(?:GRANT|REVOKE) (?P<name>[A-Z ]+) ON DATABASE DB (?:TO|FROM) (?:PUBLIC|ID)(?: WITH GRANT OPTION)?;"),
    "comment": r"COMMENT ON DATABASE DB IS(?P<name>) LIT;",
    "label": r"SECURITY LABEL FOR (?P<name>ID) ON DATABASE DB IS LIT;",
}


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One statement about a database; `name` is that of the setting, of the owner, or of the right."""

    kind: Kind
    name: str
    text: str

    @property
    def label(self) -> str:
        """What it is, for messages: never a value, which may be a secret."""
        name = self.name.replace('"', "")
        return f"{self.kind} {name} of the database" if name else f"{self.kind} of the database"

    @property
    def hinders(self) -> bool:
        """Whether it is to be set after the content has come."""
        return self.kind != "setting" or self.name.strip('"').lower() in _HINDERING

    def statement(self, database: str) -> str:
        """The statement for the database of that name."""
        return self.text.replace(_NAME, quoted(database), 1)


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to a database; `tablespace` is where its objects are by default."""

    tablespace: str
    comment: str | None
    items: tuple[Property, ...]

    @property
    def script(self) -> str:
        """The statements for psql; empty where the database is as CREATE DATABASE makes it."""
        return "".join(f"{item.text}\n" for item in self.items)


def parse_script(script: str) -> list[Property]:
    """Read the statements of `Properties.script`; anything else in it is an `IntegrityError`."""
    return [_parse(line) for line in script.split("\n") if line]


@cache
def _patterns() -> dict[Kind, re.Pattern[str]]:
    """Compiled when a script is read: to write one takes none of them."""
    return {
        kind: re.compile(pattern.replace("DB", re.escape(_NAME)).replace("ID", _IDENTIFIER).replace("LIT", _LITERAL))
        for kind, pattern in _PATTERNS.items()
    }


def _parse(line: str) -> Property:
    for kind, pattern in _patterns().items():
        if match := pattern.fullmatch(line):
            return Property(kind=kind, name=match["name"], text=line)
    raise IntegrityError("the backup's properties of the database hold a statement that is none of those")


_DATABASE = """
SELECT d.oid::int8, pg_catalog.pg_get_userbyid(d.datdba), d.datdba = 10, d.datconnlimit, d.datistemplate, s.spcname,
    pg_catalog.shobj_description(d.oid, 'pg_database'), d.datacl IS NOT NULL
FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace WHERE d.datname = %s
"""


def read_properties(connection: "Connection[TupleRow]", name: str, *, portable: bool = False) -> Properties:
    """Owner, limit, rights, comment and settings of a database.

    As `portable` for another server: without an owner that is the superuser whom initdb made, whatever his name.
    """
    row = connection.execute(_DATABASE, (name,)).fetchone()
    if row is None:
        raise UnsafeError(f"database {quote_name(name)} was removed by another session meanwhile")
    oid, owner, bootstrap, limit, template, tablespace, comment, granted = row
    lines = [] if portable and bootstrap else [f"ALTER DATABASE {_NAME} OWNER TO {quoted(owner)};"]
    if comment is not None:
        lines.append(f"COMMENT ON DATABASE {_NAME} IS {_literal(comment)};")
    lines += _labels(connection, oid)
    if granted:
        lines += _grants(connection, oid, owner)
    lines += _settings(connection, oid)
    if template:
        lines.append(f"ALTER DATABASE {_NAME} IS_TEMPLATE true;")
    if limit >= 0 and not unfinished.is_limit(limit):
        lines.append(f"ALTER DATABASE {_NAME} CONNECTION LIMIT {limit};")
    return Properties(tablespace=tablespace, comment=comment, items=tuple(_parse(line) for line in lines))


def _labels(connection: "Connection[TupleRow]", oid: int) -> list[str]:
    query = """
        SELECT provider, label FROM pg_catalog.pg_shseclabel
        WHERE classoid = 'pg_catalog.pg_database'::regclass AND objoid = %s ORDER BY 1
    """
    return [
        f"SECURITY LABEL FOR {quoted(provider)} ON DATABASE {_NAME} IS {_literal(label)};"
        for provider, label in connection.execute(query, (oid,))
    ]


def _grants(connection: "Connection[TupleRow]", oid: int, owner: str) -> list[str]:
    lines = [f"REVOKE ALL ON DATABASE {_NAME} FROM PUBLIC;", f"REVOKE ALL ON DATABASE {_NAME} FROM {quoted(owner)};"]
    # Not those to roles that are no more.
    query = """
        SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE r.rolname END, a.privilege_type, a.is_grantable
        FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) WITH ORDINALITY
            AS a(grantor, grantee, privilege_type, is_grantable, place)
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
        WHERE d.oid = %s AND (a.grantee = 0 OR r.oid IS NOT NULL) ORDER BY a.place
    """
    for grantee, privilege, grantable in connection.execute(query, (oid,)):
        to = "PUBLIC" if grantee is None else quoted(grantee)
        option = " WITH GRANT OPTION" if grantable else ""
        lines.append(f"GRANT {privilege} ON DATABASE {_NAME} TO {to}{option};")
    return lines


def _settings(connection: "Connection[TupleRow]", oid: int) -> list[str]:
    query = """
        SELECT r.rolname, unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
        WHERE s.setdatabase = %s AND (s.setrole = 0 OR r.oid IS NOT NULL) ORDER BY s.setrole <> 0, 1
    """
    lines = []
    for role, setting in connection.execute(query, (oid,)):
        if unfinished.is_setting(setting):
            continue
        name, _, value = setting.partition("=")
        what = f"DATABASE {_NAME}" if role is None else f"ROLE {quoted(role)} IN DATABASE {_NAME}"
        # The parts of a name (`app.tenant`) are quoted each.
        lines.append(f"ALTER {what} SET {quoted(*name.split('.'))} TO {_value(name, value)};")
    return lines


def _value(name: str, value: str) -> str:
    """The value of a setting; that of a list is taken apart, since one literal would be one name."""
    if name.lower() not in _LISTS:
        return _literal(value)
    elements, place = [], 0
    while place < len(value) and (match := _ELEMENT.match(value, place)):
        elements.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        place = match.end()
    if place < len(value) or not elements:
        return _literal(value)
    return ", ".join(_literal(element) for element in elements)


def _literal(text: str) -> str:
    """A string literal on one line, that means the same whatever standard_conforming_strings says."""
    plain = text.replace("'", "''")
    if not set(text) & {"\\", "\n", "\r"}:
        return f"'{plain}'"
    return "E'" + plain.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") + "'"


def give_properties(connection: "Connection[TupleRow]", database: str, items: Iterable[Property]) -> list[str]:
    """Give properties to a database, each by itself; returns what could not be given, for warnings."""
    failed = []
    within = connection.info.transaction_status != pq.TransactionStatus.IDLE
    for item in items:
        try:
            with connection.transaction() if within else nullcontext():
                connection.execute(item.statement(database))
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.LockNotAvailable):
                raise
            text = error.diag.message_primary or str(error)
            # A message about the value would show it.
            why = f"SQLSTATE {error.sqlstate}" if error.sqlstate and error.sqlstate.startswith("22") else text
            failed.append(f"not restored: {item.label}: {' '.join(why.split())}")
    return failed


def other_settings(wanted: Sequence[Property], there: Sequence[Property]) -> list[str]:
    """The names of those settings that a database has not, or has otherwise."""
    texts = {item.text for item in there}
    kinds = ("setting", "role setting")
    return sorted({item.name.replace('"', "") for item in wanted if item.kind in kinds and item.text not in texts})
