"""What a role may not read, of all that a backup holds: asked of the catalogs, as LOCK TABLE, COPY and pg_dump ask."""

from collections.abc import Iterator, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import CheckRequest, Requirement
from holdfast_postgres import catalog
from holdfast_postgres.dump.omissions import unseen
from holdfast_postgres.errors import some_names
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.selection import Selection
from holdfast_postgres.session import Server, quoted

_CREDENTIALS = 12
_MOST = 20  # objects that a statement names; for more, one role has all of it
_READ_ALL_SINCE = 14
_NO_USAGE = """
SELECT DISTINCT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s) AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') ORDER BY 1
"""
_NO_SELECT = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s) AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY 1, 2
"""
_HIDING_ROWS = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s) AND c.relkind = 'r' AND pg_catalog.row_security_active(c.oid) ORDER BY 1, 2
"""
# The right to one is asked for when it is opened, unless `lo_compat_privileges` lifts that.
_CLOSED_LARGE_OBJECTS = """
SELECT m.oid::int8 FROM pg_catalog.pg_largeobject_metadata m
WHERE pg_catalog.current_setting('lo_compat_privileges') = 'off'
    AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT'
        AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
ORDER BY 1
"""
_EVERY_LARGE_OBJECT = (
    "DO $$ DECLARE o oid; BEGIN FOR o IN SELECT oid FROM pg_catalog.pg_largeobject_metadata LOOP "
    "EXECUTE pg_catalog.format('GRANT SELECT ON LARGE OBJECT %%s TO {role}', o); END LOOP; END $$"
)
_MAY_READ_PASSWORDS = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"


def rights(
    connection: "Connection[TupleRow]", server: Server, request: CheckRequest, options: PostgresOptions
) -> Iterator[Requirement]:
    """What the role lacks, one by one; that it lacks nothing is told too."""
    lacking = list(_lacking(connection, server, request, options))
    yield from lacking
    if not lacking:
        yield Requirement(name="rights", state="ok", detail=f"role {server.role} may read all that a backup holds")


def _lacking(
    connection: "Connection[TupleRow]", server: Server, request: CheckRequest, options: PostgresOptions
) -> Iterator[Requirement]:
    scope = _scope(connection, request, definitions=not options.data_only)
    tables = [
        table.oid
        for table in catalog.listed_tables(connection)
        if (scope is None or table.oid in scope) and (not table.member or table.config)
    ]
    rows = not options.schema_only
    sequences = [
        oid
        for oid, _, _ in catalog.listed_sequences(connection, unlogged=not server.standby)
        if scope is None or oid in scope
    ]
    read = [*tables, *(sequences if rows else ())]
    role = quoted(server.role)
    if names := catalog.first_column(connection, _NO_USAGE, (read,)):
        listed = ", ".join(map(quoted, names))
        grant = f"GRANT USAGE ON SCHEMA {listed} TO {role}"
        yield _right(f"no USAGE on schema {some_names(names)}", _for_all(grant, names, server))
    for kind, oids in (("TABLE", tables), ("SEQUENCE", sequences if rows else [])):
        if pairs := connection.execute(_NO_SELECT, (oids,)).fetchall():
            grant = f"GRANT SELECT ON {kind} {', '.join(quoted(*pair) for pair in pairs)} TO {role}"
            yield _right(f"no SELECT on {kind.lower()} {_some(pairs)}", _for_all(grant, pairs, server))
    if rows and (pairs := connection.execute(_HIDING_ROWS, (tables,)).fetchall()):
        yield _right(f"row-level security hides rows of table {_some(pairs)}", f"ALTER ROLE {role} BYPASSRLS")
    whole = scope is None and not request.select and not request.exclude
    if rows and whole and not server.superuser:
        yield from _large_objects(connection, role)
    if whole and not options.data_only:
        for what in unseen(connection, superuser=server.superuser):
            yield Requirement(
                name="rights",
                state="warning",
                detail=f"{what} will not be in the backup, since role {server.role} may not see it",
                remedy="back up as a superuser",
            )
    if options.globals is True and connection.execute(_MAY_READ_PASSWORDS).fetchone() != (True,):
        yield Requirement(
            name="rights",
            state="warning",
            detail="the passwords of roles will not be in the backup",
            remedy=f"GRANT SELECT ON pg_catalog.pg_authid TO {role}",
        )


def _scope(connection: "Connection[TupleRow]", request: CheckRequest, *, definitions: bool) -> "frozenset[int] | None":
    """The relations that a selection takes, None for all of them."""
    selection = Selection(select=request.select, exclude=request.exclude)
    if not selection:
        return None
    from holdfast_postgres.selection import backup_scope

    relations = catalog.relations(connection)
    return frozenset(backup_scope.find_scope(connection, selection, relations, definitions=definitions).relations)


def _large_objects(connection: "Connection[TupleRow]", role: str) -> Iterator[Requirement]:
    oids = [str(oid) for oid in catalog.first_column(connection, _CLOSED_LARGE_OBJECTS)]
    if not oids:
        return
    grant = f"GRANT SELECT ON LARGE OBJECT {', '.join(oids)} TO {role}"
    if len(oids) > _MOST:
        grant = _EVERY_LARGE_OBJECT.replace("%%", "%").replace("{role}", role.replace("'", "''").replace("%", "%%"))
    yield _right(f"no SELECT on {len(oids)} large objects: {some_names(oids)}", grant)


def _right(detail: str, statement: str) -> Requirement:
    return Requirement(name="rights", state="failed", detail=detail, remedy=f"{statement};", exit_code=_CREDENTIALS)


def _for_all(grant: str, lacking: Sequence[object], server: Server) -> str:
    """The statement for what is lacking; for much, where there is such a role, the one for everything."""
    if len(lacking) <= _MOST or server.major < _READ_ALL_SINCE:
        return grant
    return f"GRANT pg_read_all_data TO {quoted(server.role)}"


def _some(pairs: Sequence[tuple[str, str]]) -> str:
    return some_names([f"{schema}.{name}" for schema, name in pairs])
