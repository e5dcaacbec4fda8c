"""Rows of partitions, which a restore may put into another partition of the same table.

Where a row belongs is for the server to say: what enums and types of extensions hash to depends on their OIDs, what
text does on collations and encodings. So the rows of all partitions of a table count together where one by one they
differ. The digests of partitions can be added: all have the same columns, which are digested in the order of names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof
from holdfast_postgres.proof.rows import TableSetting
from holdfast_postgres.proof.values import add_digests, object_name
from holdfast_postgres.session import quoted

_ROOTS = """
SELECT w.place::int - 1, pg_catalog.pg_partition_root(c.oid)::oid::int8
FROM unnest(%s::text[]) WITH ORDINALITY w(name, place)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name) WHERE c.relispartition
"""


def with_moved_rows(
    proofs: Sequence[ObjectProof | None],
    settings: Sequence[TableSetting],
    recorded: Iterable[ObjectProof],
    open_session: "Callable[[], Connection[TupleRow]]",
) -> list[ObjectProof | None]:
    """The proofs of tables, with partitions as recorded where all those of one table hold together what they held."""
    known = {proof.name: proof for proof in recorded}
    names = [object_name(setting.schema, setting.name) for setting in settings]
    result = list(proofs)
    if all(proof is None or proof == known.get(name) for name, proof in zip(names, proofs, strict=True)):
        return result
    with open_session() as connection:
        roots = _read_roots(connection, settings)
    for members in roots.values():
        held = [known[names[number]] for number in members if names[number] in known]
        there = [proof for number in members if (proof := proofs[number]) is not None]
        alike = len({frozenset(settings[number].wide) for number in members}) == 1
        if alike and len(held) == len(there) == len(members) and _sum(held) == _sum(there):
            for number in members:
                result[number] = known[names[number]]
    return result


def _read_roots(connection: "Connection[TupleRow]", settings: Sequence[TableSetting]) -> Mapping[int, list[int]]:
    """The partitions of each partitioned table, as places in the list."""
    roots: dict[int, list[int]] = {}
    names = [quoted(setting.schema, setting.name) for setting in settings]
    for number, root in connection.execute(_ROOTS, (names,)):
        roots.setdefault(root, []).append(number)
    return roots


def _sum(proofs: Sequence[ObjectProof]) -> tuple[int, str]:
    return sum(proof.rows or 0 for proof in proofs), add_digests([proof.digest for proof in proofs])
