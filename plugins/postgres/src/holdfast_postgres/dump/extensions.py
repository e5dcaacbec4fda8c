"""The extensions of a database: their version, their schema, and the tables whose rows they leave to pg_dump."""

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres import special_extensions
from holdfast_postgres.hints import ExtensionHint
from holdfast_postgres.selection.backup_scope import BackupScope

# The order of pg_extension.extconfig is that in which the extension named them.
_EXTENSIONS = """
WITH member AS MATERIALIZED (
    SELECT classid, objid, refobjid AS extension FROM pg_catalog.pg_depend
    WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'e'
), used AS MATERIALIZED (
    SELECT DISTINCT m.extension FROM pg_catalog.pg_depend d
    JOIN member m ON m.classid = d.refclassid AND m.objid = d.refobjid
    WHERE d.deptype = 'n' AND NOT EXISTS (SELECT FROM member o WHERE o.classid = d.classid AND o.objid = d.objid)
)
SELECT e.extname, e.extversion, n.nspname, ARRAY(
    SELECT ARRAY[s.nspname::text, c.relname::text]
    FROM unnest(e.extconfig) WITH ORDINALITY AS u(oid, place) JOIN pg_catalog.pg_class c ON c.oid = u.oid
    JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace ORDER BY u.place),
    e.oid IN (SELECT extension FROM used)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql' ORDER BY 1
"""


def read_extensions(
    connection: "Connection[TupleRow]", scope: BackupScope | None, *, selects: bool
) -> list[ExtensionHint]:
    """The extensions that a dump makes: all of them, or those of a selection; `selects` is not by --exclude alone."""
    return [
        ExtensionHint(
            name=name,
            version=version,
            schema=schema,
            used=used,
            undivided=special_extensions.undivided(connection, name),
            configuration=[
                (pair[0], pair[1]) for pair in configuration if not (selects and name in special_extensions.MODES)
            ],
        )
        for name, version, schema, configuration, used in connection.execute(_EXTENSIONS).fetchall()
        if scope is None or name in scope.extensions
    ]
