"""What a merge takes from the target and the backup has not, for warnings."""

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.errors import some_names
from holdfast_postgres.merge.plan import MergePlan
from holdfast_postgres.merge.relations import read_parts, read_relations


def gone_warnings(plan: MergePlan, target: "Connection[TupleRow]", staged: "Connection[TupleRow]") -> list[str]:
    """Name the partitions of replaced tables, and the indexes and triggers of these, that the backup has not."""
    names = {relation.key for relation in plan.replaced}
    coming = read_parts(staged, [relation for relation in read_relations(staged) if relation.key in names])
    there = read_parts(target, plan.replaced)
    partitions = some_names([old.label for old in plan.gone])
    said = f"gone with the tables that they were partitions of, since the backup has them not: {partitions}"
    return [said] * bool(partitions) + [
        f"{what.partition(' ')[0]} {key[-1]} is gone: {key[0]}.{key[1]} of the backup has none of that name"
        for key, what in there.items()
        if key not in coming
    ]
