"""The database that a restore goes into: what is there, and taking back what was made."""

from collections.abc import Callable

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.catalog.events import event_names
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.definitions.script import OF_SESSION
from holdfast_mysql.errors import server_error
from holdfast_mysql.location.database_url import Location
from holdfast_mysql.session import Session, connect, plain_literal, quoted

_UNDO_WAIT = 30  # seconds for locks that our own cut connections may still hold


def exists(session: Session, database: str) -> bool:
    """Whether there is a database of that name, as the server compares names."""
    return bool(
        session.rows(f"SELECT 1 FROM information_schema.schemata WHERE {session.is_named('schema_name', database)}")
    )


def redo_size(session: Session) -> int:
    """Bytes of InnoDB's redo log."""
    query = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('innodb_redo_log_capacity', 'innodb_log_file_size')"
    sizes = {name: size for name, size in session.texts(query)}  # noqa: C416 (tuples of any length, to mypy)
    # MySQL says both since 8.0.30, and the first one counts.
    return int(sizes.get("innodb_redo_log_capacity") or sizes.get("innodb_log_file_size") or 0)


def objects_of(session: Session, database: str) -> list[tuple[str, str]]:
    """Kind and name of everything in a database that a restore could collide with."""
    relations = [
        ({"VIEW": "view", "SEQUENCE": "sequence"}.get(kind, "table"), name)
        for name, kind in list_names(session, database)
    ]
    routines = session.texts(
        "SELECT routine_type, routine_name FROM information_schema.routines"
        f" WHERE {session.is_named('routine_schema', database)}"
    )
    libraries = []
    if session.server.mysql_since(9, 2):
        libraries = session.texts(
            "SELECT library_name FROM information_schema.libraries"
            f" WHERE {session.is_named('library_schema', database)}"
        )
    return [
        *relations,
        *(("library", name) for (name,) in libraries),
        *((kind.lower(), name) for kind, name in routines),
        *(("event", name) for name in event_names(session, database)),
    ]


def database_clauses(session: Session, database: str) -> str:
    """Character set, collation, comment and encryption of a database, as CREATE and ALTER DATABASE take them."""
    comment = "schema_comment" if session.server.mariadb_since(10, 5) else "NULL"
    encryption = "default_encryption" if session.server.mysql_since(8, 0, 16) else "''"
    charset, collation, text, encrypted = session.texts(
        f"SELECT default_character_set_name, default_collation_name, {comment}, {encryption}"
        f" FROM information_schema.schemata WHERE {session.is_named('schema_name', database)}"
    )[0]
    return settings_clauses(session, charset=charset, collation=collation, comment=text, encryption=encrypted)


def settings_clauses(session: Session, *, charset: str, collation: str, comment: str | None, encryption: str) -> str:
    """The clauses of those settings that the server knows; what is not said of the last two is left to the server."""
    told = f" COMMENT {plain_literal(comment)}" if comment is not None and session.server.mariadb_since(10, 5) else ""
    encrypted = encryption and session.server.mysql_since(8, 0, 16)
    clause = f" DEFAULT ENCRYPTION='{'Y' if encryption == 'YES' else 'N'}'" if encrypted else ""
    return f"CHARACTER SET {charset} COLLATE {collation}{told}{clause}"


def make_read_only(session: Session, database: str) -> list[str]:
    """Keep a database from being changed, as its source was; what cannot be is told."""
    if not session.server.mysql_since(8, 0, 22):
        return ["the database that was backed up was read only, which this server does not know"]
    try:
        session.execute(f"ALTER DATABASE {quoted(database)} READ ONLY=1")
    except pymysql.MySQLError as error:
        return [f"the database is not read only, as the one that was backed up was: {error.args[-1]}"]
    return []


def drop(session: Session, database: str, kind: str, name: str, run: Callable[[str], object] | None = None) -> None:
    """Drop one object, if it is there; `run` is what waits for locks."""
    packaged = kind.startswith("package")
    if packaged:
        session.execute("SET sql_mode='ORACLE'")  # the grammar knows packages in no other mode
    (run or session.execute)(f"DROP {kind.upper()} IF EXISTS {quoted(database)}.{quoted(name)}")
    if packaged:
        session.execute(OF_SESSION)


def undo(location: Location, database: str, *, made: list[tuple[str, str]], whole: bool) -> None:
    """Remove what a restore made, newest first; `HoldfastError` names what could not be removed."""
    left = [f"database {quote_name(database)}"] if whole else [f"{kind} {quote_name(name)}" for kind, name in made]
    if not left:
        return
    try:
        session = connect(location)
    except HoldfastError as error:
        raise _left(left, error.message) from error
    try:
        session.execute(f"SET foreign_key_checks=0, lock_wait_timeout={_UNDO_WAIT}")
        if whole:
            session.execute(f"DROP DATABASE IF EXISTS {quoted(database)}")
            return
        for kind, name in reversed(made):
            drop(session, database, kind, name)
            left.pop()
    except pymysql.MySQLError as error:
        raise _left(left, server_error(error, "cannot drop it").message) from error
    finally:
        session.close()


def _left(names: list[str], why: str) -> HoldfastError:
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return HoldfastError(f"left behind: {listed} ({why})", hint="drop what is left before the next restore")
