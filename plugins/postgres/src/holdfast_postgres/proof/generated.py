"""Generated columns that a restore computed otherwise than the source, since a name in a function means another there.

The body of a function finds its names by the search_path of whoever loads the rows, and nothing tells which that was.
Where several schemas have such a name, a table counts as restored if one of them gives the rows as they were recorded.
"""

from collections.abc import Callable, Iterable, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof
from holdfast_postgres.catalog import schemas, unambiguous_schemas
from holdfast_postgres.proof.rows import TABLE, TableSetting, prove_computed
from holdfast_postgres.session import quoted

_MOST = 50  # paths that are tried for one table
_GENERATED = """
SELECT a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attgenerated = 's' AND EXISTS (
    SELECT FROM pg_catalog.pg_depend u WHERE u.classid = 'pg_catalog.pg_attrdef'::regclass AND u.objid = d.oid
        AND u.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass))
"""


def with_generated(
    proofs: Sequence[ObjectProof | None],
    settings: Sequence[TableSetting],
    recorded: Iterable[ObjectProof],
    open_session: "Callable[[], Connection[TupleRow]]",
) -> tuple[list[ObjectProof | None], list[str]]:
    """The proofs of tables, with those as recorded whose columns some path gives, and a warning that names it."""
    known = {proof.name: proof for proof in recorded if proof.kind == TABLE}
    result, warnings = list(proofs), list[str]()
    differing = [
        (number, held)
        for number, proof in enumerate(proofs)
        if proof and (held := known.get(proof.name)) and held != proof and held.rows == proof.rows
    ]
    if not differing:
        return result, warnings
    with open_session() as connection:
        paths: list[list[str]] | None = None
        for number, held in differing:
            setting = settings[number]
            names = (quoted(setting.schema, setting.name),)
            columns: dict[str, str] = dict(connection.execute(_GENERATED, names).fetchall())
            if not columns:
                continue
            paths = _paths(connection) if paths is None else paths
            for path in paths:
                if prove_computed(connection, setting, columns, [setting.schema, *path]) == held:
                    result[number] = held
                    warnings.append(_warning(held.name, setting.schema, path[0]))
                    break
    return result, warnings


def _paths(connection: "Connection[TupleRow]") -> list[list[str]]:
    """All schemas, with each of those first that have a name which means something else in another."""
    every, single = schemas(connection), set(unambiguous_schemas(connection))
    others = sorted(every, key=lambda name: name not in single)
    return [[first, *others] for first in every if first not in single][:_MOST]


def _warning(table: str, own: str, schema: str) -> str:
    path = ",".join(dict.fromkeys((own, schema)))
    return (
        f"the generated columns of table {table} are as recorded under another search_path alone, since a name in a "
        f"function is in several schemas: restore with -o search_path={path}"
    )
