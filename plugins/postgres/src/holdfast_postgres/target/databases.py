"""Whole databases: making them, finding out who uses them, exchanging their names, dropping them."""

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError, UnreachableError, UnsafeError, quote_name
from holdfast_postgres.catalog import first_column
from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.hints import DatabaseHint
from holdfast_postgres.location import Location
from holdfast_postgres.pooler import SharedSessionError
from holdfast_postgres.session import NoAnswerError, connect, connected, literal, quoted, read_server
from holdfast_postgres.watched import SessionIdentity, WatchedConnection

log = logging.getLogger("holdfast.postgres.databases")

_LONGEST = 63  # bytes of a name
# Hosters have a database of another name instead: whoever has none of these names one in the URL.
_MAINTENANCE = ("postgres", "template1", "defaultdb")
_OTHERS = """
SELECT datname FROM pg_catalog.pg_database
WHERE datallowconn AND datconnlimit <> -2 AND datname <> %s AND pg_catalog.has_database_privilege(oid, 'CONNECT')
ORDER BY datistemplate, oid
"""
_SUBSCRIPTIONS = """
SELECT subname FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""
_TEMPLATE_TABLESPACE = """
SELECT s.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace
WHERE d.datname = 'template0'
"""
# A worker of an extension or a session may hold a lock on a database for ever, and one that does not answer keeps the
# server from ending the others. The checkpoint that comes first takes minutes where much was written.
_LOCK_WAIT = 60  # seconds
_STATEMENT_WAIT = 15 * 60  # seconds
_END_WAIT = 5.0  # seconds
_LATE = 60  # seconds after which the server, which ends a statement itself, is taken to be gone
INVALID = -2  # datconnlimit of a database whose DROP was interrupted: nobody can connect to it


@contextmanager
def maintenance(location: Location, *, avoid: str = "") -> Iterator[WatchedConnection]:
    """A connection to a database of the server that is not the one to be made, renamed or dropped.

    What waits for longer than a minute for locks, or a quarter of an hour in all, is an error of the server.
    """
    connection = connect_to_server(location, avoid=avoid)
    try:
        limit_statements(connection)
        yield connection
    finally:
        connection.close()


def limit_statements(connection: WatchedConnection) -> None:
    """Limit how long the statements of a connection may take, and wait for locks."""
    connection.limit = _STATEMENT_WAIT + _LATE
    connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}s'; SET statement_timeout = '{_STATEMENT_WAIT}s'")


@contextmanager
def limited(connection: WatchedConnection) -> Iterator[None]:
    """Limit the statements of a block as those of `maintenance` are, and those after it no longer."""
    limit_statements(connection)
    yield
    connection.limit = None
    connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")


def connect_to_server(location: Location, *, avoid: str = "") -> WatchedConnection:
    """Connect to a database of a server that is there for maintenance, else to any other one, but never to `avoid`.

    That which the URL names is tried after the usual ones: it may be the one that is to be made.
    """
    first_error: HoldfastError | None = None
    own = location.database or location.parameters.get("user", "")  # as libpq has it
    for name in dict.fromkeys((*_MAINTENANCE, own)):
        if name == avoid or not name:
            continue
        try:
            return connect(location.at(name))
        except NoAnswerError:
            raise
        except HoldfastError as error:
            first_error = first_error or error
    assert first_error is not None  # noqa: S101 (one of several names is tried)
    for name in _other_databases(location, avoid):
        try:
            return connect(location.at(name))
        except HoldfastError as error:
            log.info("cannot use database %s for maintenance: %s", name, error)
    if not isinstance(first_error, UnreachableError) or "does not exist" in first_error.message:
        hint = "give the role the right to connect to a database besides that of the URL"
        first_error.hint = first_error.hint or hint
    raise first_error


def _other_databases(location: Location, avoid: str) -> Sequence[str]:
    """The databases that the one to avoid knows of, and that its server lets us use; none if it cannot be asked."""
    if not avoid:
        return ()
    try:
        with connected(location.at(avoid)) as connection:
            return first_column(connection, _OTHERS, (avoid,))
    except (psycopg.Error, HoldfastError) as error:
        log.info("cannot ask database %s for others: %s", avoid, error)
        return ()


def exists(connection: "Connection[TupleRow]", name: str) -> bool:
    """Whether the server has a database of that name."""
    return connection.execute("SELECT FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone() is not None


def connect_to_target(location: Location, *, create: bool) -> tuple[WatchedConnection, bool]:
    """A session in a database, or with `create` in another of its server where it is missing, and whether it is there.

    With `create` it is not asked for before the catalog knows it: PgBouncer lets nobody into a database for 15 seconds
    once it has been asked for one that was not there.
    """
    if create and location.database and (connection := _without(location)):
        return connection, False
    try:
        return connect(location), True
    except UnreachableError as error:
        if "does not exist" not in error.message:
            raise
        if not create:
            raise UnreachableError(error.message, hint="use -o create=true to make the database") from error
        return connect_to_server(location), False


def _without(location: Location) -> WatchedConnection | None:
    """A session in another database of the server, if that of the location is known to be missing."""
    try:
        connection = connect_to_server(location)
    except (SharedSessionError, NoAnswerError):
        raise
    except HoldfastError as error:
        log.info("only an attempt tells whether database %s is there: %s", location.database, error)
        return None
    if exists(connection, location.database):
        connection.close()
        return None
    return connection


def temporary_name(name: str, word: str) -> str:
    """A new name that shows where it comes from, within PostgreSQL's 63 bytes."""
    tail = f"_{word}_{secrets.token_hex(4)}"
    head = name.encode()[: _LONGEST - len(tail)].decode(errors="ignore")
    return head + tail


def create(
    connection: "Connection[TupleRow]", name: str, hint: DatabaseHint, *, tablespace: str = "", limit: int = -1
) -> list[str]:
    """Make an empty database like the one that was dumped; returns what had to be different.

    `limit` is that of its sessions, -1 for none.
    """
    major = read_server(connection).major
    base = f"CREATE DATABASE {quoted(name)} TEMPLATE template0 ENCODING {literal(hint.encoding)}"
    # That of the template must not be named: even pg_default takes a right of its own then, which CREATEDB is not.
    if tablespace and tablespace not in first_column(connection, _TEMPLATE_TABLESPACE):
        base += f" TABLESPACE {quoted(tablespace)}"
    if limit != -1:
        base += f" CONNECTION LIMIT {limit}"
    words, instead = _locale(hint, major)
    attempts = [(words, instead), ("", "the server's default locale"), (" LC_COLLATE 'C' LC_CTYPE 'C'", "locale C")]
    first_error: psycopg.Error | None = None
    for words, instead in attempts:
        try:
            connection.execute(base + words)
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.WrongObjectType, psycopg.errors.SyntaxError,
                psycopg.errors.InvalidObjectDefinition, psycopg.errors.FeatureNotSupported) as error:  # fmt: skip
            first_error = first_error or error
            continue
        except psycopg.errors.LockNotAvailable as error:
            raise LockedError(
                f"cannot make database {quote_name(name)}: another session holds a lock on the template0 of the server",
                hint="end the session that changes or drops it",
            ) from error
        except psycopg.Error as error:
            made = server_error(error, f"cannot make database {quote_name(name)}")
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                made.hint = _right_to_create(connection, tablespace)
            raise made from error
        if not instead:
            return []
        locale = quote_name(hint.locale or hint.collate)
        return [
            f"the server lacks the source's locale {locale}: made with {instead}, so that text may sort differently"
        ]
    assert first_error is not None  # noqa: S101 (every attempt failed)
    raise server_error(first_error, f"cannot make database {quote_name(name)}") from first_error


def _right_to_create(connection: "Connection[TupleRow]", tablespace: str) -> str | None:
    """What to do for a role that may not make a database."""
    query = "SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    row = connection.execute(query).fetchone()
    if row and row[0]:
        return f"grant the role CREATE on tablespace {quote_name(tablespace)}" if tablespace else None
    return "give the role the right to make databases (ALTER ROLE … CREATEDB), or use one that has it"


def _locale(hint: DatabaseHint, major: int) -> tuple[str, str]:
    """The clauses for the locale of the source, and what they are instead where the server is too old for it."""
    words = f" LC_COLLATE {literal(hint.collate)} LC_CTYPE {literal(hint.ctype)}"
    libc = " LOCALE_PROVIDER libc" if major >= 15 else ""  # else the provider of template0, which may be ICU
    if hint.provider == "i" and hint.locale and major >= 15:
        icu = f"{words} LOCALE_PROVIDER icu ICU_LOCALE {literal(hint.locale)}"
        if not hint.rules:
            return icu, ""
        return (f"{icu} ICU_RULES {literal(hint.rules)}", "") if major >= 16 else (icu, "it, but without its rules")
    if hint.provider == "b" and hint.locale and major >= 17:
        return f"{words} LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(hint.locale)}", ""
    return words + libc, "" if hint.provider == "c" else f"locale {quote_name(hint.collate)} of the system"


def drop(connection: "Connection[TupleRow]", location: Location, *, force: bool = True) -> None:
    """Drop a database that we made, or one that was replaced, and end the sessions in it, if that is wanted.

    Its subscriptions go first, as no server drops a database that has one: they were never connected. What takes too
    long for the connection, which is one for maintenance, is an error of the server, and the database is left.
    """
    name = location.database
    query = "SELECT datistemplate, datconnlimit FROM pg_catalog.pg_database WHERE datname = %s"
    row = connection.execute(query, (name,)).fetchone()
    if row is None:
        return
    is_template, limit = row
    if is_template:  # which the server refuses to drop
        connection.execute(f"ALTER DATABASE {quoted(name)} IS_TEMPLATE false")
    if limit != INVALID and any("subscription" in fixture for fixture in read_fixtures(connection, name)):
        with connected(location) as scratch:
            limit_statements(scratch)
            detach_subscriptions(scratch)
    words = " WITH (FORCE)" if force and read_server(connection).major >= 13 else ""
    connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)}{words}")


def end_session(connection: "Connection[TupleRow]", session: SessionIdentity) -> None:
    """End a session that may still work for a client that has gone, and wait for a moment until it has ended.

    When it began is compared as a number: see `holdfast_postgres.watched`.
    """
    query = """
        SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE pid = %s AND (extract(epoch FROM backend_start) * 1000000)::int8 = %s
            AND pid <> pg_catalog.pg_backend_pid()
    """
    deadline = time.monotonic() + _END_WAIT
    while connection.execute(query, session[:2]).fetchone() and time.monotonic() < deadline:
        time.sleep(0.05)


def detach_subscriptions(connection: "Connection[TupleRow]") -> None:
    """Drop the subscriptions of a database; without its slot nothing on the publisher is touched, or asked."""
    for name in first_column(connection, _SUBSCRIPTIONS):
        for action in ("DISABLE", "SET (slot_name = NONE)"):
            connection.execute(f"ALTER SUBSCRIPTION {quoted(name)} {action}")
        connection.execute(f"DROP SUBSCRIPTION {quoted(name)}")


def read_users(connection: "Connection[TupleRow]", name: str, *, ours: int = 0) -> list[str]:
    """Who uses a database, for messages: sessions, prepared transactions, slots and subscriptions.

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
    return [row[0] for row in rows] + read_fixtures(connection, name)


def read_fixtures(connection: "Connection[TupleRow]", name: str) -> list[str]:
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
    in_use_by = read_fixtures(connection, name) if disconnect else read_users(connection, name, ours=ours)
    if in_use_by:
        more = f" and {len(in_use_by) - 3} more" if len(in_use_by) > 3 else ""
        raise UnsafeError(
            f"database {quote_name(name)} is in use: {'; '.join(in_use_by[:3])}{more}",
            hint="drop or disable them first"
            if disconnect
            else "end them first, or use -o disconnect=true to end sessions",
        )


def disconnect_users(connection: "Connection[TupleRow]", name: str) -> None:
    """End the sessions in a database."""
    connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
        "WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid()",
        (name,),
    )


def read_oid(connection: "Connection[TupleRow]", name: str) -> int:
    """The OID of a database, which a new name does not change."""
    row = connection.execute("SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone()
    if row is None:
        raise UnsafeError(f"database {quote_name(name)} was removed by another session meanwhile")
    oid: int = row[0]
    return oid


def list_databases(connection: "Connection[TupleRow]") -> Sequence[str]:
    """The databases that can be backed up: no templates, none that takes no connections, no half-dropped ones."""
    with translate_errors("cannot list the databases"):
        rows = connection.execute(
            "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate "
            f"AND datconnlimit <> {INVALID} ORDER BY datname"
        )
        return [row[0] for row in rows]
