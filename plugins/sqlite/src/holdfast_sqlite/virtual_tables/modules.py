"""What each module of virtual tables makes beside a table of its own, and which tables it reads.

Of SQLite's own modules, and of widespread extensions, from their sources.
"""

from __future__ import annotations

import re

from holdfast_sqlite.tokens import folded, unquoted
from holdfast_sqlite.virtual_tables.fts import fts3, fts4, fts5

TYPE_CHECKING = False  # see `tokens`
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast_sqlite.virtual_tables.definition import Definition

    Made = tuple[set[str], list[str]]  # suffixes of shadow tables, tables that are read

_VECTOR = re.compile(r"\w+\s+(?:float|f32|float32|int8|i8|bit)\s*\[", re.ASCII | re.IGNORECASE)
_VECTOR_TABLES = (
    "vector_chunks", "rescore_chunks", "rescore_vectors", "vectors", "diskann_nodes", "diskann_buffer",
    "ivf_centroids", "ivf_cells", "ivf_rowid_map", "ivf_vectors",
)  # fmt: skip
_KEY = re.compile(r"\s(?:partition|primary)\s+key\b", re.ASCII | re.IGNORECASE)
_OPTION = re.compile(r"\w+\s*=", re.ASCII)


def _fixed(*suffixes: str) -> Callable[[tuple[str, ...]], Made]:
    return lambda _: (set(suffixes), [])


def _reads_first(arguments: tuple[str, ...]) -> Made:
    """A module whose first argument is the table that it shows."""
    return set(), [unquoted(argument) for argument in arguments[:1]]


def _reads(*options: str) -> Callable[[tuple[str, ...]], Made]:
    """A module that has the names of tables in options."""

    def read(arguments: tuple[str, ...]) -> Made:
        pairs = [argument.partition("=") for argument in arguments]
        return set(), [unquoted(value.strip()) for key, _, value in pairs if folded(key.strip()) in options]

    return read


def _spellfix1(arguments: tuple[str, ...]) -> Made:
    return {"vocab"}, _reads("edit_cost_table")(arguments)[1]


def _vec0(arguments: tuple[str, ...]) -> Made:
    """The vector tables of sqlite-vec: numbered tables for every column of vectors, and of metadata."""
    suffixes = {"info", "chunks", "rowids"}
    vectors = metadata = 0
    for argument in arguments:
        if argument.startswith("+"):
            suffixes.add("auxiliary")
        elif _VECTOR.match(argument):
            suffixes |= {f"{name}{vectors:02d}" for name in _VECTOR_TABLES}
            vectors += 1
        elif not _KEY.search(argument) and not _OPTION.match(argument):
            suffixes |= {f"metadatachunks{metadata:02d}", f"metadatatext{metadata:02d}"}
            metadata += 1
    return suffixes, []


_rtree = _fixed("node", "parent", "rowid")
_nothing = _fixed()
_MODULES: dict[str, Callable[[tuple[str, ...]], Made]] = {
    "fts1": _fixed("content", "term"),
    "fts2": _fixed("content", "segments", "segdir"),
    "fts3": fts3,
    "fts4": fts4,
    "fts5": fts5,
    "rtree": _rtree,
    "rtree_i32": _rtree,
    "geopoly": _rtree,
    "fts3aux": _reads_first,
    "fts4aux": _reads_first,
    "fts5vocab": _reads_first,
    "spellfix1": _spellfix1,
    "transitive_closure": _reads("tablename"),
    "approximate_match": _reads("vocabulary_table", "edit_distances"),
    "fuzzer": _reads_first,
    "vec0": _vec0,
    "vss0": _fixed("index", "data"),
    # SpatiaLite, whose R-trees are virtual tables of their own
    "mbrcache": _reads_first,
    "virtualbbox": _reads_first,
    "virtualfdo": _reads_first,
    "virtualgpkg": _reads_first,
    "virtualnetwork": _reads_first,
    "virtualrouting": _reads_first,
    "virtualxpath": _reads_first,
    **dict.fromkeys(
        (
            "csv", "dbstat", "fts3tokenize", "generate_series", "sqlite_dbpage", "sqlite_stmt", "swarmvtab",
            "unionvtab", "vsv", "wholenumber", "zipfile", "virtualdbf", "virtualelementary", "virtualgeojson",
            "virtualknn", "virtualknn2", "virtualogr", "virtualshape", "virtualspatialindex", "virtualtext",
            "virtualxl",
        ),
        _nothing,
    ),
}  # fmt: skip
# Extensions whose names others bear too: without these tables a module is not the one that is known.
_ESSENTIAL = {"spellfix1": ("vocab",), "vec0": ("chunks", "rowids"), "vss0": ("data",)}


def made_by(definition: Definition, has: Callable[[str, str], bool]) -> Made | None:
    """The suffixes of the shadow tables that a virtual table's module makes for it, and the tables that it reads.

    `has` tells whether there is a table of a name and a suffix. None is the answer for a module that is not known.
    """
    module = _MODULES.get(definition.module)
    essential = _ESSENTIAL.get(definition.module, ())
    if module is None or not all(has(definition.name, suffix) for suffix in essential):
        return None
    return module(definition.arguments)


def suffixes_of(definition: Definition) -> set[str]:
    """The suffixes of the shadow tables that making a virtual table makes; none of an unknown module."""
    return _MODULES.get(definition.module, _nothing)(definition.arguments)[0]
