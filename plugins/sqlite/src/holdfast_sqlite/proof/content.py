"""What a database holds, object by object: definitions, numbers of rows, digests of rows.

Imports little but the standard library, because processes that open databases need this and no more.

A digest of rows is the sum, modulo 2^128, of a BLAKE2b of each row's stored values with their types: it does not depend
on the order of rows, on the layout of the file, or on SQLite's version. Nothing is in it that a library makes for
itself: no statistics, and none of the tables in which a module keeps the content of a virtual table, which is read
through the module instead (`proof.scope`).
"""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from functools import partial

from holdfast_sqlite.catalog import argument, identifier, is_utf8, printable
from holdfast_sqlite.child.check import is_damage, raise_if_ended
from holdfast_sqlite.child.schema import read_schema
from holdfast_sqlite.lending import lending
from holdfast_sqlite.proof.scope import Scope
from holdfast_sqlite.tokens import surrogates

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast_sqlite.catalog import Entry
    from holdfast_sqlite.proof.scope import Table

Described = tuple[str, str, "int | None", str]
"""Kind, name, number of rows, digest."""

METHOD = "sqlite-2"
FIRST_METHOD = "sqlite-1"  # had statistics and the tables of modules in it, and no virtual tables
METHODS = (METHOD, FIRST_METHOD)

# Counting rows costs 0.1 to 0.6 s a GB, a dump 2 to 8. Digesting them costs 3 s a GB where rows are long and 2.7 µs
# a row where they are short, 70 s a GB: within these bounds at most 0.2 s, beyond them it has to be asked for.
SMALL_SIZE = 16 << 20  # bytes of image
SMALL_ROWS = 50_000
_MODULUS = 1 << 128
_PRAGMAS = ("application_id", "user_version", "encoding")
_KINDS = {"table": "table definition"}
_VIEW = "holdfast_proof"


class Content:
    """What a database holds: `objects`, and which tables this library could not read and why."""

    def __init__(self) -> None:
        self.objects: list[Described] = []
        self.unread: dict[str, str] = {}
        self.unread_virtual: dict[str, str] = {}


def describe(
    connection: sqlite3.Connection, *, digests: bool | None = None, tolerate: bool = False, method: str = METHOD
) -> Content:
    """Describe every object that a connection shows: definitions, and for each table the number of its rows.

    `digests` digests the rows as well, None where the database is small. The connection must hold a read
    transaction, or be alone. A table that this library cannot read has neither count nor digest; with `tolerate` nor
    has one that is damaged, otherwise SQLite's error is raised. `method` repeats what an older proof holds.
    """
    before = connection.text_factory
    connection.text_factory = surrogates
    try:
        return _describe(connection, digests, tolerate=tolerate, whole=method == FIRST_METHOD)
    finally:
        connection.text_factory = before


def _describe(connection: sqlite3.Connection, digests: bool | None, *, tolerate: bool, whole: bool) -> Content:
    read_schema(connection)  # so that one definition that is not understood does not hide the others
    content = Content()
    scope = Scope(connection, whole=whole)
    content.objects = [_pragma(connection, name) for name in _PRAGMAS]
    content.objects += [_definition(entry) for entry in scope.definitions]
    stored = list(scope.tables)
    counted = _each(_count, connection, stored, content, tolerate=tolerate)
    size = _number(connection, "page_count") * _number(connection, "page_size")
    small = size <= SMALL_SIZE and sum(rows or 0 for _, _, rows, _ in counted) <= SMALL_ROWS
    if digests or (digests is None and small):
        counted = _each(_digest_rows, connection, stored, content, tolerate=tolerate)
    content.objects += counted
    return content


def _each(
    describe_table: Callable[[sqlite3.Connection, Table], Described],
    connection: sqlite3.Connection,
    stored: Iterable[Table],
    content: Content,
    *,
    tolerate: bool,
) -> list[Described]:
    described = []
    for table in stored:
        try:
            described.append(lending(connection, partial(describe_table, connection, table)))
        except MemoryError as error:
            text = f"there is not enough memory for the rows of table {printable(table.name)}"
            raise MemoryError(text + _largest(connection, table)) from error
        except sqlite3.Error as error:
            raise_if_ended(error)
            why = " ".join(str(error).split())
            if table.virtual:  # its index may be beyond reading while the file is sound
                content.unread_virtual[table.name] = why
            elif not is_damage(error):
                content.unread[table.name] = why
            elif not tolerate:
                raise
            described.append(("table", table.name, None, ""))
    return described


def _largest(connection: sqlite3.Connection, table: Table) -> str:
    """The column with the longest value and its size, as far as that can be asked for with little memory."""
    length = "octet_length" if sqlite3.sqlite_version_info >= (3, 43) else "length"
    sizes = []
    try:
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_info(CAST(? AS TEXT))", (argument(table.name),)
        ):
            query = f"SELECT max({length}({identifier(name)})) FROM main.{identifier(table.name)}"  # noqa: S608
            sizes.append((int(connection.execute(query).fetchone()[0] or 0), printable(name)))
    except (MemoryError, sqlite3.Error):
        return ""
    size, name = max(sizes, default=(0, ""))
    return f", whose column {name} has a value of {size} bytes" if size else ""


def _definition(entry: Entry) -> Described:
    return (_KINDS.get(entry.kind, entry.kind), entry.name, None, _digest(entry.sql, entry.on))


def _digest(*texts: str) -> str:
    # Each text with its length, so that no two lists of texts read the same.
    data = b"".join(b"%d:%b" % (len(raw), raw) for raw in (text.encode(errors="surrogateescape") for text in texts))
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _pragma(connection: sqlite3.Connection, name: str) -> Described:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return ("pragma", name, None, _digest(str(value)))


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _count(connection: sqlite3.Connection, table: Table) -> Described:
    rows = _select(connection, f"SELECT count(*) FROM main.{identifier(table.name)}").fetchone()[0]  # noqa: S608
    return ("table", table.name, int(rows), "")


def _digest_rows(connection: sqlite3.Connection, table: Table) -> Described:
    information = connection.execute(
        "SELECT name, hidden FROM pragma_table_xinfo(CAST(? AS TEXT))", (argument(table.name),)
    )
    # Generated columns follow from the others, and may need functions that are not here.
    columns = [identifier(str(name)) for name, hidden in information if hidden == 0]
    if not columns:
        raise sqlite3.OperationalError("its definition is not understood")
    # NOT INDEXED: an index that holds all columns would be read instead of the table itself.
    where = f"main.{identifier(table.name)}{'' if table.virtual else ' NOT INDEXED'}"
    # Python decodes the names of a result's columns, which may be of any bytes.
    names = [f"{name} AS c{number}" for number, name in enumerate(["rowid", *columns] if table.virtual else columns)]
    count, total = _sum(connection, f"SELECT {', '.join(names)} FROM {where}")  # noqa: S608
    return ("table", table.name, count, f"{total:032x}")


def _sum(connection: sqlite3.Connection, query: str) -> tuple[int, int]:
    count = total = 0
    for row in _select(connection, query):
        count += 1
        # marshal's version 2 writes a value always the same way, with its type: 1, 1.0, '1' and x'31' differ.
        total += int.from_bytes(hashlib.blake2b(marshal.dumps(row, 2), digest_size=16).digest(), "little")
    return count, total % _MODULUS


def _select(connection: sqlite3.Connection, query: str) -> sqlite3.Cursor:
    """Run a query with names of any bytes: a statement of Python's holds UTF-8 alone, but a view holds all of them."""
    if is_utf8(query):
        return connection.execute(query)
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute(f"DROP VIEW IF EXISTS temp.{_VIEW}")
    connection.execute(f"CREATE TEMP VIEW {_VIEW} AS SELECT 1")
    view = f"CREATE VIEW {_VIEW} AS {query}".encode(errors="surrogateescape")
    connection.execute("UPDATE sqlite_temp_schema SET sql = CAST(? AS TEXT) WHERE name = ?", (view, _VIEW))
    connection.execute("PRAGMA writable_schema=RESET")
    read_schema(connection)
    return connection.execute(f"SELECT * FROM temp.{_VIEW}")  # noqa: S608
