"""The exchange of names that lets a database take the place of another, in one transaction of the server."""

import logging
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, UnreachableError, UnsafeError, quote_name
from holdfast_postgres.database_properties import read_properties
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.location import Location
from holdfast_postgres.session import literal, quoted
from holdfast_postgres.target import databases
from holdfast_postgres.target.temporary import Maintenance, replaced_comment
from holdfast_postgres.watched import SessionIdentity

log = logging.getLogger("holdfast.postgres.exchange")


@dataclass(frozen=True, kw_only=True)
class Comments:
    """The comments on two databases that exchange their names, each under the name that it gets."""

    target: str | None
    old: str


def exchange(elsewhere: Maintenance, location: Location, new: str, *, disconnect: bool) -> str:
    """Let the database `new` take the place of that at the location, with the properties of that; returns its new name.

    If this raises, nothing has happened, unless the error says that the server could not be asked whether it did.
    """
    name = location.database
    old = databases.temporary_name(name, "holdfast_old")
    what = f"cannot put the backup in the place of database {quote_name(name)}"
    with elsewhere.connected(location, avoid=name) as connection, translate_errors(what):
        elsewhere.hold(old)
        properties = read_properties(connection, name)
        for item in properties.items:
            if item.kind != "comment":  # given with the name, since until then it says what the database is
                connection.execute(item.statement(new))
        oid = databases.read_oid(connection, new)
        comments = Comments(target=properties.comment, old=replaced_comment(oid, properties.comment))
        try:
            _swap(connection, name, new, old, comments, disconnect=disconnect)
        except psycopg.OperationalError:
            others = f"{quote_name(new)} or {quote_name(old)}"
            if not (connection.broken and _has_happened(elsewhere, location, connection.identity, oid, others)):
                raise
    return old


def _has_happened(
    elsewhere: Maintenance, location: Location, session: SessionIdentity | None, oid: int, others: str
) -> bool:
    """Whether the exchange had happened when the answer to it was lost."""
    name = location.database
    try:
        with elsewhere.connected(location, avoid=name) as connection:
            if session is not None:
                databases.end_session(connection, session)
            return databases.read_oid(connection, name) == oid
    except (psycopg.Error, HoldfastError) as error:
        raise UnreachableError(
            f"lost the server as database {quote_name(name)} was replaced, and it cannot be asked whether it was: "
            f"{' '.join(str(error).split())}",
            hint=f"it is the old one or the new one, whole; the other, {others}, is dropped by the next restore or "
            "drill there",
        ) from error


def _swap(
    connection: "Connection[TupleRow]", target: str, new: str, old: str, comments: Comments, *, disconnect: bool
) -> None:
    """Let `new` take the name of `target`, which becomes `old`, with these comments: all of it, or nothing.

    Sessions in `new` are ended, which is ours alone: a pooler keeps those of our own for the next client.
    """
    for attempt in range(5):
        databases.check_unused(connection, target, disconnect=disconnect)
        if disconnect:
            databases.disconnect_users(connection, target)
        databases.disconnect_users(connection, new)
        try:
            with connection.transaction():
                connection.execute(f"ALTER DATABASE {quoted(target)} RENAME TO {quoted(old)}")
                connection.execute(f"ALTER DATABASE {quoted(new)} RENAME TO {quoted(target)}")
                for name, comment in ((target, comments.target), (old, comments.old)):
                    text = "NULL" if comment is None else literal(comment)
                    connection.execute(f"COMMENT ON DATABASE {quoted(name)} IS {text}")
            return
        except psycopg.errors.ObjectInUse as error:
            log.info("database %s is in use, attempt %d: %s", target, attempt + 1, error)
            if not disconnect:
                raise UnsafeError(
                    f"database {quote_name(target)} is in use: {error.diag.message_detail or error}",
                    hint="use -o disconnect=true to end the sessions in it",
                ) from error
    raise UnsafeError(f"database {quote_name(target)} is in use again right after its sessions were ended")


def drop_leftover(elsewhere: Maintenance, location: Location, name: str, what: str) -> list[str]:
    """Drop what is of no more use beside the database at the location; that it could not be is a warning."""
    try:
        with elsewhere.connected(location, avoid=location.database) as connection:
            databases.drop(connection, location.at(name))
    except (psycopg.Error, HoldfastError) as error:
        log.info("could not drop %s %s: %s", what, name, error)
        said = f"could not drop {what}, which is now {quote_name(name)}"
        return [f"{said}: the next restore or drill on that server does"]
    return []
