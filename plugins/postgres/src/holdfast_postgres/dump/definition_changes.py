"""What a dump changes of the definitions that pg_dump writes, so that they can be restored as they are."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Chunk
from holdfast_postgres.encodings import encode
from holdfast_postgres.errors import some_names
from holdfast_postgres.implied_operators import Implied
from holdfast_postgres.session import literal, quoted

if TYPE_CHECKING:
    from holdfast_postgres.formats.definition_changes import Change

Key = TypeVar("Key")

# pg_dump makes a column that is inherited with the default of its parent, and then neither lets the server make it an
# identity nor leaves a default of NULL out that it may not have.
_IDENTITIES = """
SELECT s.tableoid::int8, s.oid::int8, n.nspname, s.relname, t.nspname, c.relname, a.attname,
    pg_catalog.format('%I.%I', t.nspname, c.relname), pg_catalog.quote_ident(a.attname)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace t ON t.oid = c.relnamespace
JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid
    AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
WHERE a.attidentity <> '' AND EXISTS (
    SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_attribute p ON p.attrelid = i.inhparent
    WHERE i.inhrelid = c.oid AND p.attname = a.attname AND p.atthasdef)
"""
_NO_CATALOG = (0, 0)


class DefinitionChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is changed of the definitions of one dump: by OIDs in its archive, by schema and name in its script."""

    by_address: "Mapping[tuple[int, int], Change]"
    by_title: "Mapping[tuple[bytes, bytes], Change]"

    def in_stream(self, chunks: Iterator[Chunk], form: str) -> Iterator[Chunk]:
        """The output of pg_dump in a format other than that of a directory."""
        if not self.by_address:
            return chunks
        from holdfast_postgres.formats.definition_changes import changed_archive, changed_script, changed_tar

        if form == "plain":
            return changed_script(chunks, self.by_title)
        return (changed_tar if form == "tar" else changed_archive)(chunks, self.by_address)

    def in_directory(self, folder: Path) -> None:
        """What pg_dump wrote into a folder."""
        if self.by_address:
            from holdfast_postgres.formats.definition_changes import change_directory

            change_directory(folder, self.by_address)


def definition_changes(
    connection: "Connection[TupleRow]", implied: Sequence[Implied], encoding: str
) -> DefinitionChanges:
    """What a dump has to change."""
    identities = connection.execute(_IDENTITIES).fetchall()
    addresses: dict[tuple[int, int], Change] = {}
    titles: dict[tuple[bytes, bytes], Change] = {}
    if not (implied or identities):
        return DefinitionChanges(by_address=addresses, by_title=titles)
    from holdfast_postgres.formats.definition_changes import with_path

    for address, schemas in _schemas((key, each.schemas) for each in implied for key in each.addresses).items():
        addresses[address] = partial(with_path, path=_path(schemas, encoding))
    for title, schemas in _schemas((key, each.schemas) for each in implied for key in each.titles).items():
        titles[_encoded(title, encoding)] = partial(with_path, path=_path(schemas, encoding))
    defaults = set[bytes]()
    for catalog, oid, schema, sequence, *column, table, name in identities:
        alter = encode(f"ALTER TABLE ONLY {table} ALTER COLUMN {name} ", encoding)
        before = alter + b"DROP DEFAULT;\n\n"
        addresses[catalog, oid] = titles[_encoded((schema, sequence), encoding)] = partial(_after, before)
        defaults.add(alter + b"SET DEFAULT NULL;")
        titles[_encoded((column[0], " ".join(column[1:])), encoding)] = partial(_without, defaults)
    if defaults:
        addresses[_NO_CATALOG] = partial(_without, defaults)
    return DefinitionChanges(by_address=addresses, by_title=titles)


def _schemas(pairs: Iterable[tuple[Key, Sequence[str]]]) -> dict[Key, set[str]]:
    """The schemas of each key."""
    result: dict[Key, set[str]] = {}
    for key, schemas in pairs:
        result.setdefault(key, set()).update(schemas)
    return result


def _encoded(title: tuple[str, str], encoding: str) -> tuple[bytes, bytes]:
    return encode(title[0], encoding), encode(title[1], encoding)


def _after(before: bytes, definition: bytes) -> bytes:
    """What makes an identity, after something else; its value is set under the same name."""
    return before + definition if b" ADD GENERATED " in definition else definition


def _without(definitions: Collection[bytes], definition: bytes) -> bytes:
    return b"" if definition.strip() in definitions else definition


def unreadable_warning(implied: Sequence[Implied]) -> list[str]:
    """What no search_path helps."""
    labels = [each.meaning.label for each in implied if each.unreadable]
    if not labels:
        return []
    warning = (
        "PostgreSQL writes comparisons of rows with the operator of their first columns alone, so that no restore can "
        f"read them again: in {some_names(labels)}; let a column of a type in pg_catalog be the first, or compare the "
        "columns one by one"
    )
    return [warning]


def _path(schemas: set[str], encoding: str) -> bytes:
    """A search_path of these schemas, as a literal."""
    return encode(literal(", ".join(quoted(schema) for schema in sorted(schemas))), encoding)
