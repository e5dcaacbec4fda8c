"""Schemas that were there before a restore, which gives them the owner, rights and comment of the backup."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.session import literal, quoted
from holdfast_postgres.target.contents import OWN_SCHEMA

# The rights as text for each grantee, in the order in which they were given; the owner's own are among them.
_SCHEMAS = f"""
SELECT n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), pg_catalog.obj_description(n.oid, 'pg_namespace'),
    ARRAY(
        SELECT ARRAY[CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type,
            CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END]
        FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a)
FROM pg_catalog.pg_namespace n WHERE {OWN_SCHEMA} ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class SchemaState:
    """One schema: `rights` are a grantee as SQL, a privilege, and what follows the grantee in GRANT."""

    name: str
    owner: str
    comment: str | None
    rights: tuple[tuple[str, str, str], ...]


def read_schemas(connection: "Connection[TupleRow]") -> list[SchemaState]:
    """The schemas where something of the role's own can be."""
    return [
        SchemaState(
            name=name, owner=owner, comment=comment, rights=tuple((who, right, tail) for who, right, tail in rights)
        )
        for name, owner, comment, rights in connection.execute(_SCHEMAS).fetchall()
    ]


def as_before(connection: "Connection[TupleRow]", before: Sequence[SchemaState]) -> list[str]:
    """The statements that give schemas what they had, as far as that was changed."""
    there = {schema.name: schema for schema in read_schemas(connection)}
    return [
        statement for schema in before if schema.name in there for statement in _changes(there[schema.name], schema)
    ]


def _changes(now: SchemaState, before: SchemaState) -> Iterator[str]:
    name = quoted(now.name)
    if now.comment != before.comment:
        yield f"COMMENT ON SCHEMA {name} IS {'NULL' if before.comment is None else literal(before.comment)}"
    if set(now.rights) != set(before.rights):
        for who in dict.fromkeys(who for who, _, _ in now.rights):
            yield f"REVOKE ALL ON SCHEMA {name} FROM {who} CASCADE"
    if now.owner != before.owner:
        yield f"ALTER SCHEMA {name} OWNER TO {quoted(before.owner)}"
    if set(now.rights) != set(before.rights):
        for who, right, tail in before.rights:
            yield f"GRANT {right} ON SCHEMA {name} TO {who}{tail}"
