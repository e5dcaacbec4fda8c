"""What a dump changes in pg_dump's output: definitions that mean operators which an empty search_path does not find."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.api import Chunk
from holdfast_postgres.encodings import encode
from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.operator_path import (
    archive_with_paths,
    directory_with_paths,
    script_with_paths,
    tar_with_paths,
)
from holdfast_postgres.implied_operators import Implied
from holdfast_postgres.session import literal, quoted


class OperatorPaths:
    """The definitions of one dump that are made under a search_path of their own."""

    def __init__(self, implied: Sequence[Implied], encoding: str) -> None:
        addresses: dict[tuple[int, int], set[str]] = {}
        titles: dict[tuple[str, str], set[str]] = {}
        for each in implied:
            for place in each.addresses:
                addresses.setdefault(place, set()).update(each.schemas)
            for title in each.titles:
                titles.setdefault(title, set()).update(each.schemas)
        self._paths = {place: _path(schemas, encoding) for place, schemas in addresses.items()}
        self._titles = {
            (encode(schema, encoding), encode(name, encoding)): _path(schemas, encoding)
            for (schema, name), schemas in titles.items()
        }

    def in_archive(self, chunks: Iterator[Chunk], form: str) -> Iterator[Chunk]:
        """The output of pg_dump in a format other than that of a directory."""
        if not self._paths:
            return chunks
        if form == "plain":
            return script_with_paths(chunks, self._titles)
        return (tar_with_paths if form == "tar" else archive_with_paths)(chunks, self._paths)

    def in_directory(self, folder: Path) -> None:
        """What pg_dump wrote into a folder."""
        if self._paths:
            directory_with_paths(folder, self._paths)


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
