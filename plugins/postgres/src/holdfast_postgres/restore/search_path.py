"""The search_path of a second attempt, for names that the source found by its own.

pg_dump writes every name with its schema and an empty search_path, but not the names in bodies of functions, nor those
of operators that a definition only implies (IS DISTINCT FROM). Where they are used during a restore, as by an index, a
generated column or a materialized view, they are not found.
"""

from collections.abc import Iterable, Iterator

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Chunk
from holdfast_postgres.catalog import first_column, unambiguous_schemas
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.session import literal, quoted

_EMPTY = b"SELECT pg_catalog.set_config('search_path', '', false);\n"
_HEAD = 1 << 16  # pg_dump sets it within the first lines
_DEFAULT = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'"
_EXTENSION_SCHEMAS = """
SELECT DISTINCT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE n.nspname <> 'pg_catalog' ORDER BY 1
"""


def second_path(run: RestoreRun, connection: "Connection[TupleRow]", schema: str = "") -> str:
    """As given; else the object's own schema, the paths of source and target, the schemas of extensions, and others.

    A session may have made an object under a path that nothing tells of any more: those are others where a name can be
    mistaken for no other.
    """
    return second_paths(run, connection, [schema])[schema]


def second_paths(run: RestoreRun, connection: "Connection[TupleRow]", schemas: Iterable[str]) -> dict[str, str]:
    """The same for objects of several schemas: what is alike for all is asked for once."""
    if run.options.search_path:
        return dict.fromkeys(schemas, run.options.search_path)
    (default,) = first_column(connection, _DEFAULT)
    extensions = [quoted(name) for name in first_column(connection, _EXTENSION_SCHEMAS)]
    others = [quoted(name) for name in unambiguous_schemas(connection)]
    alike = [*filter(None, [run.hints.search_path, default]), *extensions, *others]
    return {schema: ", ".join(dict.fromkeys([*([quoted(schema)] if schema else []), *alike])) for schema in schemas}


def set_path(path: str) -> str:
    """The statement that gives a session this search_path."""
    return f"SELECT pg_catalog.set_config('search_path', {literal(path)}, false);\n"


def with_path(chunks: Iterable[Chunk], path: str) -> Iterator[Chunk]:
    """A script of pg_dump or pg_restore with this search_path in the place of its empty one, which is in its head."""
    source, head = iter(chunks), b""
    for chunk in source:
        head += bytes(chunk)
        if _EMPTY in head or len(head) >= _HEAD:
            break
    yield head.replace(_EMPTY, set_path(path).encode(), 1)
    yield from source
