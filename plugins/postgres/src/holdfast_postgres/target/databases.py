"""Whole databases: making, looking at who uses them, carrying properties over, swapping names, dropping."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, UnsafeError, quote_name
from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.hints import DatabaseHint
from holdfast_postgres.location import Location
from holdfast_postgres.session import connect, literal, quoted, survey

log = logging.getLogger("holdfast.postgres.databases")

_LONGEST = 63  # bytes of a name
_MAINTENANCE = ("postgres", "template1")
# Values of these are lists of quoted names already, as the catalog keeps them.
_LISTS = {
    "search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries",
    "shared_preload_libraries", "unix_socket_directories",
}  # fmt: skip


@contextmanager
def maintenance(location: Location, *, avoid: str = "") -> Iterator["Connection[TupleRow]"]:
    """A connection to a database of the server that is not the one to be made, renamed or dropped."""
    connection = reach(location, avoid=avoid)
    try:
        yield connection
    finally:
        connection.close()


def reach(location: Location, *, avoid: str = "") -> "Connection[TupleRow]":
    """Connect to the first of the databases that every server has and that we may use."""
    failed: HoldfastError | None = None
    for name in _MAINTENANCE:
        if name == avoid:
            continue
        try:
            return connect(location.at(name))
        except HoldfastError as error:
            failed = failed or error
    assert failed is not None  # noqa: S101 (one of two names is tried)
    raise failed


def exists(connection: "Connection[TupleRow]", name: str) -> bool:
    """Whether the server has a database of that name."""
    return connection.execute("SELECT FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone() is not None


def beside(name: str, word: str) -> str:
    """A new name that shows where it comes from, within PostgreSQL's 63 bytes."""
    tail = f"_{word}_{secrets.token_hex(4)}"
    head = name.encode()[: _LONGEST - len(tail)].decode(errors="ignore")
    return head + tail


def create(connection: "Connection[TupleRow]", name: str, hint: DatabaseHint, *, tablespace: str = "") -> list[str]:
    """Make an empty database like the one that was dumped; returns what had to be different."""
    major = survey(connection).major
    base = f"CREATE DATABASE {quoted(name)} TEMPLATE template0 ENCODING {literal(hint.encoding)}"
    if tablespace:
        base += f" TABLESPACE {quoted(tablespace)}"
    attempts = [(_locale(hint, major), "")]
    attempts.append(("", "the server's default locale"))
    attempts.append((" LC_COLLATE 'C' LC_CTYPE 'C'", "locale C"))
    failed: psycopg.Error | None = None
    for words, instead in attempts:
        try:
            connection.execute(base + words)
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.WrongObjectType, psycopg.errors.SyntaxError,
                psycopg.errors.InvalidObjectDefinition, psycopg.errors.FeatureNotSupported) as error:  # fmt: skip
            failed = failed or error
            continue
        except psycopg.Error as error:
            raise server_error(error, f"cannot make database {quote_name(name)}") from error
        if not instead:
            return []
        name = quote_name(hint.collate or hint.locale or "")
        return [f"the server does not have the source's locale {name}: made with {instead}, text may sort otherwise"]
    assert failed is not None  # noqa: S101 (every attempt failed)
    raise server_error(failed, f"cannot make database {quote_name(name)}") from failed


def _locale(hint: DatabaseHint, major: int) -> str:
    words = f" LC_COLLATE {literal(hint.collate)} LC_CTYPE {literal(hint.ctype)}"
    if major < 15 or hint.provider == "c":
        # PostgreSQL 15 and newer copy the provider of template0 otherwise, which may be ICU.
        return words + (" LOCALE_PROVIDER libc" if major >= 15 else "")
    if hint.provider == "i" and hint.locale:
        rules = f" ICU_RULES {literal(hint.rules)}" if hint.rules and major >= 16 else ""
        return f"{words} LOCALE_PROVIDER icu ICU_LOCALE {literal(hint.locale)}{rules}"
    if hint.provider == "b" and hint.locale and major >= 17:
        return f"{words} LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(hint.locale)}"
    return words


def drop(connection: "Connection[TupleRow]", name: str) -> None:
    """Drop a database of our own making, or one that was replaced, and end whatever session still is in it."""
    query = "SELECT FROM pg_catalog.pg_database WHERE datname = %s AND datistemplate"
    if connection.execute(query, (name,)).fetchone() is not None:  # which the server refuses to drop
        connection.execute(f"ALTER DATABASE {quoted(name)} IS_TEMPLATE false")
    force = " WITH (FORCE)" if survey(connection).major >= 13 else ""
    connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)}{force}")


def users(connection: "Connection[TupleRow]", name: str, *, ours: int = 0) -> list[str]:
    """Who uses a database, for people: sessions, prepared transactions, slots and subscriptions.

    `ours` is the process of a session that we have just ended: the server shows it for some milliseconds more.
    """
    query = """
        SELECT format('session of process %%s (%%s)', pid,
            array_to_string(ARRAY[nullif(usename::text, ''), nullif(application_name, '')], ', '))
        FROM pg_catalog.pg_stat_activity
        WHERE datname = %(name)s AND pid NOT IN (pg_catalog.pg_backend_pid(), %(ours)s)
            AND backend_type NOT LIKE 'autovacuum%%'
        """
    rows = connection.execute(query, {"name": name, "ours": ours})
    return [row[0] for row in rows] + fixtures(connection, name)


def fixtures(connection: "Connection[TupleRow]", name: str) -> list[str]:
    """What uses a database and cannot be ended for it: prepared transactions, slots, subscriptions."""
    query = """
        SELECT format('prepared transaction %%s', gid) FROM pg_catalog.pg_prepared_xacts WHERE database = %(name)s
        UNION ALL
        SELECT format('replication slot %%s', slot_name) FROM pg_catalog.pg_replication_slots
        WHERE database = %(name)s
        UNION ALL
        SELECT format('subscription %%s', s.subname)
        FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
        WHERE d.datname = %(name)s
    """
    return [row[0] for row in connection.execute(query, {"name": name})]


def check_unused(connection: "Connection[TupleRow]", name: str, *, disconnect: bool, ours: int = 0) -> None:
    """Refuse to replace a database that somebody uses."""
    found = fixtures(connection, name) if disconnect else users(connection, name, ours=ours)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise UnsafeError(
            f"database {quote_name(name)} is in use: {'; '.join(found[:3])}{more}",
            hint="drop or disable them first" if disconnect else "end them first, or -o disconnect=true ends sessions",
        )


def disconnect_users(connection: "Connection[TupleRow]", name: str) -> None:
    """End the sessions in a database."""
    connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
        "WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid()",
        (name,),
    )


@dataclass(frozen=True, kw_only=True)
class Properties:
    """What belongs to a database beside its content; `statements` give it to one whose name is put in."""

    tablespace: str
    comment: str | None
    statements: tuple[str, ...]


_NAME = "\0"  # stands for the new database in a statement; no SQL holds it


def properties(connection: "Connection[TupleRow]", name: str) -> Properties:
    """Owner, limits, privileges, comment and settings of a database."""
    row = connection.execute(
        """
        SELECT d.oid, pg_catalog.pg_get_userbyid(d.datdba), d.datconnlimit, d.datistemplate, s.spcname,
            pg_catalog.shobj_description(d.oid, 'pg_database'), d.datacl IS NOT NULL
        FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace WHERE d.datname = %s
        """,
        (name,),
    ).fetchone()
    if row is None:
        raise UnsafeError(f"database {quote_name(name)} was removed by somebody else meanwhile")
    oid, owner, limit, template, tablespace, comment, granted = row
    statements = [f"ALTER DATABASE {_NAME} OWNER TO {quoted(owner)}"]
    if limit != -1:
        statements.append(f"ALTER DATABASE {_NAME} CONNECTION LIMIT {limit}")
    if template:
        statements.append(f"ALTER DATABASE {_NAME} IS_TEMPLATE true")
    if granted:
        statements += _grants(connection, oid, owner)
    statements += _settings(connection, oid)
    return Properties(tablespace=tablespace, comment=comment, statements=tuple(statements))


def _grants(connection: "Connection[TupleRow]", oid: int, owner: str) -> list[str]:
    statements = [f"REVOKE ALL ON DATABASE {_NAME} FROM PUBLIC", f"REVOKE ALL ON DATABASE {_NAME} FROM {quoted(owner)}"]
    query = """
        SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
            a.privilege_type, a.is_grantable
        FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.oid = %s
    """
    for grantee, privilege, grantable in connection.execute(query, (oid,)):
        to = "PUBLIC" if grantee is None else quoted(grantee)
        option = " WITH GRANT OPTION" if grantable else ""
        statements.append(f"GRANT {privilege} ON DATABASE {_NAME} TO {to}{option}")
    return statements


def _settings(connection: "Connection[TupleRow]", oid: int) -> list[str]:
    query = """
        SELECT CASE WHEN s.setrole = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END, unnest(s.setconfig)
        FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = %s
    """
    statements = []
    for role, setting in connection.execute(query, (oid,)):
        name, _, value = setting.partition("=")
        given = value if name in _LISTS and value.strip() else literal(value)
        what = f"DATABASE {_NAME}" if role is None else f"ROLE {quoted(role)} IN DATABASE {_NAME}"
        statements.append(f"ALTER {what} SET {quoted_setting(name)} TO {given}")
    return statements


def quoted_setting(name: str) -> str:
    """The name of a setting, whose parts (`app.tenant`) are quoted each."""
    return quoted(*name.split("."))


def give(connection: "Connection[TupleRow]", name: str, found: Properties) -> None:
    """Give a database the properties of another."""
    for statement in found.statements:
        connection.execute(statement.replace(_NAME, quoted(name)))


def swap(
    connection: "Connection[TupleRow]", target: str, new: str, old: str, comment: str | None, *, disconnect: bool
) -> None:
    """Let `new` take the name of `target`, which becomes `old`: both renamed, or neither."""
    said = "NULL" if comment is None else literal(comment)
    for attempt in range(5):
        check_unused(connection, target, disconnect=disconnect)
        if disconnect:
            disconnect_users(connection, target)
        try:
            with connection.transaction():
                connection.execute(f"ALTER DATABASE {quoted(target)} RENAME TO {quoted(old)}")
                connection.execute(f"ALTER DATABASE {quoted(new)} RENAME TO {quoted(target)}")
                connection.execute(f"COMMENT ON DATABASE {quoted(target)} IS {said}")
            return
        except psycopg.errors.ObjectInUse as error:
            log.info("database %s is in use, attempt %d: %s", target, attempt + 1, error)
            if not disconnect:
                raise UnsafeError(
                    f"database {quote_name(target)} is in use: {error.diag.message_detail or error}",
                    hint="-o disconnect=true ends the sessions in it",
                ) from error
    raise UnsafeError(f"database {quote_name(target)} is in use again as soon as its sessions are ended")


def listed(connection: "Connection[TupleRow]") -> Sequence[str]:
    """The databases that can be backed up: no templates, none that takes no connections, no scratch ones."""
    with translate_errors("cannot list the databases"):
        rows = connection.execute(
            "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
        )
        return [row[0] for row in rows]
