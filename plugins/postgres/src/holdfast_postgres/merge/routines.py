"""Routines that take or return rows of replaced relations: they go with the type of these, and come back as they were.

PostgreSQL drops no table as long as a routine has its type in its signature, or names it in a body that is parsed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.session import literal, quoted

Signature = tuple[str, str]
"""Schema, and name with the types of the arguments, as archives have it."""

# What needs such a routine may be one, too. An aggregate has no definition that could be read, what belongs to an
# extension is not made apart from it.
_CARRIED = """
WITH RECURSIVE doomed(class, oid) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, unnest(%(tables)s::oid[])
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, unnest(ARRAY[t.oid, t.typarray])
    FROM pg_catalog.pg_type t WHERE t.typrelid = ANY(%(tables)s)
), carried(oid) AS (
    SELECT d.objid FROM pg_catalog.pg_depend d JOIN doomed w ON w.class = d.refclassid AND w.oid = d.refobjid
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION
    SELECT d.objid FROM pg_catalog.pg_depend d JOIN carried c ON d.refobjid = c.oid
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refclassid = d.classid
)
SELECT DISTINCT p.oid::int8, n.nspname, p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', p.proname,
    pg_catalog.pg_get_function_identity_arguments(p.oid), pg_catalog.pg_get_functiondef(p.oid),
    pg_catalog.pg_get_userbyid(p.proowner), pg_catalog.obj_description(p.oid, 'pg_proc'), ARRAY(
        SELECT ARRAY[CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END,
            CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END]
        FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a)
FROM carried c JOIN pg_catalog.pg_proc p ON p.oid = c.oid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind <> 'a' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid
        AND e.deptype IN ('e', 'x'))
ORDER BY 1
"""
_DEFINITION = """
SELECT pg_catalog.pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind <> 'a' AND n.nspname = %s
    AND p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' = %s
"""


@dataclass(frozen=True, kw_only=True)
class Routine:
    """One routine of the target: `rights` are grantees as SQL, each with what follows it in GRANT."""

    oid: int
    signature: Signature
    name: str  # with its arguments, as SQL
    definition: str
    owner: str
    comment: str | None
    rights: tuple[tuple[str, str], ...]

    @property
    def drop(self) -> str:
        """The statement that drops it and nothing else."""
        return f"DROP ROUTINE {self.name}"

    def statements(self, definition: str | None) -> Iterator[str]:
        """What makes it as it was, after tables; `definition` is that of the backup's, if the archive makes it."""
        if definition != self.definition:
            yield self.definition.rstrip()
        yield f"ALTER ROUTINE {self.name} OWNER TO {quoted(self.owner)}"
        yield f"REVOKE ALL ON ROUTINE {self.name} FROM PUBLIC"
        for who, tail in self.rights:
            yield f"GRANT EXECUTE ON ROUTINE {self.name} TO {who}{tail}"
        yield f"COMMENT ON ROUTINE {self.name} IS {'NULL' if self.comment is None else literal(self.comment)}"


def carried_routines(connection: "Connection[TupleRow]", relations: Collection[int]) -> list[Routine]:
    """Those that cannot stay while relations of these OIDs are dropped, and can be made again."""
    connection.execute("SET search_path TO ''")
    rows = connection.execute(_CARRIED, {"tables": list(relations)})
    return [
        Routine(
            oid=oid,
            signature=(schema, signature),
            name=f"{quoted(schema, name)}({arguments})",
            definition=definition,
            owner=owner,
            comment=comment,
            rights=tuple((who, tail) for who, tail in rights),
        )
        for oid, schema, signature, name, arguments, definition, owner, comment, rights in rows
    ]


def made_again(staged: "Connection[TupleRow]", routines: Sequence[Routine]) -> list[str]:
    """The statements that make them as they were, once the relations and what the archive has of them are there."""
    if not routines:
        return []
    staged.execute("SET search_path TO ''")
    statements = ["SET search_path TO ''", "SET check_function_bodies TO off"]
    for routine in routines:
        row = staged.execute(_DEFINITION, routine.signature).fetchone()
        statements += routine.statements(row[0] if row else None)
    return statements
