"""What every object of a database is, as text that is the same after a restore; the part of the proof without rows.

Each object has two texts. The *portable* one is made of names, types and flags that every version of PostgreSQL says
alike. The *full* one adds what the server writes from its parse trees (views, defaults, constraints), which another
major version may write otherwise; it counts only between servers of one major version.

Left out on purpose: owners and privileges, which a drill may have to leave out, and what belongs to an extension.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from sys import intern

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof
from holdfast_postgres.proof.definition_queries import COMMENTS, NOT_NULL, ON_OWN, PARTS, PUBLISHED, QUERIES
from holdfast_postgres.proof.printed import Definition, parse_marks
from holdfast_postgres.session import releasing_locks

_ON_OWN = re.compile(r"\{on_own (\S+)\}")
_NEW = re.compile(r"\{new (.*?)\}", re.DOTALL)  # what a proof of Holdfast 0.1 has not
_NAMES_NOT_NULL = 18  # pg_dump before 17.6 leaves the names of those of domains out
_HALF = 32  # hexadecimal digits of each text's SHA-256


def read_definitions(connection: "Connection[TupleRow]", major: int, *, old: bool = False) -> list[Definition]:
    """Every object of the database; the search_path is empty, so that each name has its schema.

    An `old` proof, of Holdfast 0.1, has lists in the order of the database's own collation, what is on tables of
    extensions, and less of sequences, publications and constraints.
    """
    definitions: list[Definition] = []
    with releasing_locks(connection):  # of views, those on all that they read
        for kind, query in QUERIES.items():
            definitions += _read_kind(connection, kind, query, major, old=old)
    return sorted(definitions, key=lambda entry: entry.key)


def _read_kind(
    connection: "Connection[TupleRow]", kind: str, query: str, major: int, *, old: bool
) -> Iterator[Definition]:
    text = _for_server(query, major, old=old)
    for schema, name, portable, full in connection.execute(text):
        yield Definition(
            kind=kind, schema=intern(schema), name=name, portable=portable or "", full=parse_marks(full or "")
        )


def _for_server(query: str, major: int, *, old: bool) -> str:
    """A query in the words of a version."""
    fragments = {
        "{parts}": PARTS if major >= 15 else "''",
        "{published}": "NULL" if old else PUBLISHED,
        "{logged}": "''" if old else "nullif(c.relpersistence, 'p')::text",
        "{not_null}": NOT_NULL.format(
            condition="n.conrelid = a.attrelid AND n.conkey = ARRAY[a.attnum]",
            chosen="(c.relname || '_' || a.attname || '_not_null')",
        ),
        "{filled}": NOT_NULL.format(condition="n.contypid = t.oid", chosen="(t.typname || '_not_null')"),
        "{c}": "" if old else ' COLLATE "C"',
        "{no_body}": "p.prosqlbody IS NULL" if major >= 14 else "true",
        "{no_expressions}": "s.stxexprs IS NULL" if major >= 14 else "true",
    }
    if major < _NAMES_NOT_NULL or old:
        fragments |= {"{not_null}": "NULL", "{filled}": "NULL"}
    if major < 14:
        fragments[",\n            a.attcompression::text"] = ""
    query = _NEW.sub("NULL" if old else r"\1", query)
    for place, fragment in fragments.items():
        query = query.replace(place, fragment)
    return _ON_OWN.sub(lambda match: "true" if old else ON_OWN.format(match[1]), query)


def prove_definitions(definitions: Sequence[Definition], *, grouped: bool) -> list[ObjectProof]:
    """One object for each definition, or for each kind in a schema."""
    groups: dict[tuple[str, str], list[Definition]] = {}
    for definition in definitions:
        groups.setdefault(group_name(definition, grouped=grouped), []).append(definition)
    return [
        ObjectProof(kind=kind, name=name, rows=len(group) if grouped else None, digest=_digest(group))
        for (kind, name), group in groups.items()
    ]


def prove_comments(connection: "Connection[TupleRow]") -> ObjectProof:
    """All comments."""
    row = connection.execute(COMMENTS).fetchone()
    assert row is not None  # noqa: S101 (an aggregate has one row)
    return ObjectProof(kind="comments", name="database", rows=row[0], digest=row[1][:_HALF] + "0" * _HALF)


def group_name(definition: Definition, *, grouped: bool) -> tuple[str, str]:
    """Kind and name of the object of a proof that a definition belongs to."""
    if grouped:
        return f"definition of every {definition.kind}", definition.schema or "database"
    name = f"{definition.schema}.{definition.name}" if definition.schema else definition.name
    return f"definition of {definition.kind}", name


def _digest(group: Sequence[Definition]) -> str:
    """The full half, then the portable half."""
    full = ((definition, definition.full_text) for definition in group)
    portable = ((definition, definition.portable) for definition in group)
    return _half(full) + _half(portable)


def _half(texts: Iterable[tuple[Definition, str]]) -> str:
    digest = hashlib.sha256()
    for definition, text in texts:
        for part in (*definition.key, text):
            data = part.encode()
            digest.update(b"%d:%s" % (len(data), data))
    return digest.hexdigest()[:_HALF]


def portable_digest(computed: str, recorded: str) -> str:
    """The digest to compare where the full half says nothing: it is taken as recorded."""
    return recorded[:_HALF] + computed[_HALF:]


def same_portable(computed: str, recorded: str) -> bool:
    """Whether two digests are of objects that every version says alike."""
    return computed[_HALF:] == recorded[_HALF:]
