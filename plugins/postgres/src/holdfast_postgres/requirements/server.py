"""What a backup needs of a server, and a drill: asked of the catalogs alone, so that no lock hinders anybody."""

import time
from collections.abc import Iterator

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import CheckRequest, Operation, PluginError, Requirement, UsageError
from holdfast_postgres.client.programs import find_programs
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.pooler import is_pooled
from holdfast_postgres.requirements.rights import rights
from holdfast_postgres.session import Server, connected, quoted, read_server, settings
from holdfast_postgres.target import databases

_CREDENTIALS, _PLUGIN = 12, 14
_MAY_MAKE = "SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"


def requirements(request: CheckRequest) -> Iterator[Requirement]:
    """Tell of the connection, and of what the role may do there."""
    options: PostgresOptions = request.options
    if request.operation is Operation.DRILL:
        yield from _of_drill(request.url, options)
        return
    location = Location.parse(request.url or "", connect_timeout=options.connect_timeout)
    with connected(location) as connection, translate_errors(f"cannot look at {location.label}"):
        server = read_server(connection)
        connection.execute(settings(server.major))
        yield from _of_server(connection, server)
        yield _programs(server, location, options)
        yield from rights(connection, server, request, options)


def _of_server(connection: "Connection[TupleRow]", server: Server) -> Iterator[Requirement]:
    pooled = ", behind a pooler" if is_pooled(connection) else ""
    standby = ", a standby" if server.standby else ""
    detail = f"PostgreSQL {server.version}, role {server.role}{standby}{pooled}"
    yield Requirement(name="server", state="ok", detail=detail)
    asked = time.time()
    row = connection.execute("SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8").fetchone()
    assert row is not None  # noqa: S101 (a SELECT without FROM has one row)
    yield Requirement.of_clock(row[0], asked, time.time())


def _programs(server: Server, location: Location, options: PostgresOptions) -> Requirement:
    why = f"a server of version {server.version}"
    try:
        programs = find_programs(server.major, why=why, parameters=location.parameters)
        if options.globals:
            programs.path("pg_dumpall")
    except PluginError as error:
        return Requirement(name="programs", state="failed", detail=error.message, remedy=error.hint, exit_code=_PLUGIN)
    return Requirement(name="programs", state="ok", detail=f"version {programs.version} in {programs.folder}")


def _of_drill(url: str | None, options: PostgresOptions) -> Iterator[Requirement]:
    if url is None:
        raise UsageError(
            "a PostgreSQL drill needs a server to restore on",
            hint="name a server with --into postgresql://user@host/, or with HOLDFAST_DRILL_URL",
        )
    location = Location.parse(url, connect_timeout=options.connect_timeout, database=False)
    with databases.maintenance(location) as connection, translate_errors(f"cannot look at {location.label}"):
        server = read_server(connection)
        yield from _of_server(connection, server)
        yield _programs(server, location, PostgresOptions())
        if server.standby:
            yield Requirement(
                name="scratch", state="failed", detail="no database can be made on a standby", exit_code=1,
                remedy="name the primary, or another server",
            )  # fmt: skip
        elif connection.execute(_MAY_MAKE).fetchone() == (True,):
            yield Requirement(name="scratch", state="ok", detail=f"role {server.role} may make and drop databases")
        else:
            yield Requirement(
                name="scratch",
                state="failed",
                detail=f"role {server.role} may not make databases",
                remedy=f"ALTER ROLE {quoted(server.role)} CREATEDB;",
                exit_code=_CREDENTIALS,
            )
