"""Generated columns that a restore computed otherwise than the source, since a name in a function means another there.

The body of a function finds its names by the search_path of whoever loads the rows, and nothing tells which that was;
current_schema() is the first of them. Where several schemas have such a name, or the table's own path is no other's, a
table counts as restored if one path gives the rows as they were recorded. A function that is IMMUTABLE by declaration
alone gives other values each time, or when other tables have changed, and nobody can restore those: there the other
columns count.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof
from holdfast_postgres.catalog import schemas, unambiguous_schemas
from holdfast_postgres.proof.rows import STORED, TABLE, TableSetting, prove_computed
from holdfast_postgres.session import quoted

_MOST = 50  # paths that are tried for one table, all of whose rows are read for each
_MOST_FIRST = 10  # of them those that differ in what current_schema() is
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
    recorded: Sequence[ObjectProof],
    stored: Iterable[ObjectProof | None],
    open_session: "Callable[[], Connection[TupleRow]]",
) -> tuple[list[ObjectProof | None], list[str]]:
    """The proofs of tables, with those as recorded whose columns some path gives, and a warning that names it.

    Of those that no path gives, those whose `stored` columns are as recorded, with a warning too.
    """
    known = {proof.name: proof for proof in recorded if proof.kind == TABLE}
    kept = {proof.name: proof for proof in recorded if proof.kind == STORED}
    unchanged = {proof.name for proof in stored if proof and proof == kept.get(proof.name)}
    result, warnings = list(proofs), list[str]()
    differing = [
        (number, held)
        for number, proof in enumerate(proofs)
        if proof and (held := known.get(proof.name)) and held != proof and held.rows == proof.rows
    ]
    if not differing:
        return result, warnings
    every: list[str] | None = None
    with open_session() as connection:
        for number, held in differing:
            setting = settings[number]
            names = (quoted(setting.schema, setting.name),)
            columns: dict[str, str] = dict(connection.execute(_GENERATED, names).fetchall())
            if not columns:
                continue
            if every is None:
                every = schemas(connection)
                shared = sorted({*every}.difference(unambiguous_schemas(connection)))
            for path in islice(_paths(setting.schema, every, shared), _MOST):
                if prove_computed(connection, setting, columns, path) == held:
                    result[number] = held
                    warnings.append(_warning(held.name, path))
                    break
            else:
                if held.name in unchanged:
                    result[number] = held
                    warnings.append(_changed(held.name))
    return result, warnings


def _paths(own: str, every: Sequence[str], shared: Sequence[str]) -> Iterator[list[str]]:
    """All schemas, with those first that have a name which means something else in another, then with any first."""
    others = [*shared, *(name for name in every if name not in shared)]
    for first in shared:
        for head in dict.fromkeys([(own, first), (first, own)]):
            yield [*dict.fromkeys([*head, *others])]
    likely = [name for name in dict.fromkeys([own, "public", *others]) if name in every and name not in shared]
    for first in likely[:_MOST_FIRST]:
        yield [*dict.fromkeys([first, own, *others])]


def _warning(table: str, path: Sequence[str]) -> str:
    return (
        f"the generated columns of table {table} are as recorded under another search_path alone, by which a function "
        f"finds a name that several schemas have, or the first schema: restore with -o search_path={','.join(path[:2])}"
    )


def _changed(table: str) -> str:
    return (
        f"the generated columns of table {table} have other values than in the source, its other columns the same: "
        "their functions, though IMMUTABLE by declaration, return what does not depend on the row alone"
    )
