"""What the tests of the engine have in common: a store, scripts to load, a sample, and a picture of a database."""

import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.disks import small_disk
from support.sqlite_files import Restoring, make

import holdfast
from holdfast.api import RestoreRequest, Step, Stream
from holdfast_sqlite.child.selection import select_tables
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.restore import open_restore
from holdfast_sqlite.script.statements import Splitter
from holdfast_sqlite.virtual_tables.definition import parse

_PRAGMAS = ("page_size", "encoding", "auto_vacuum", "user_version", "application_id", "journal_mode")
_LAYOUT = ("schema_version", "page_count", "freelist_count")

_SAMPLE = """
PRAGMA application_id = 4711; PRAGMA user_version = 3;
CREATE TABLE customer (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE, email TEXT UNIQUE, balance REAL,
  photo BLOB, note TEXT DEFAULT 'a  b', CHECK (length(name) > 0)
);
CREATE TABLE purchase (
  id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, at TEXT, cents INTEGER,
  euros REAL GENERATED ALWAYS AS (cents / 100.0) STORED
);
CREATE TABLE pair (a TEXT, b TEXT, n INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE "odd ""name"" too" ("a b" ANY, "c'd" TEXT) STRICT;
CREATE TABLE empty (x);
CREATE TABLE heap (value);
CREATE VIRTUAL TABLE prose USING fts5(title, body);
CREATE INDEX customer_name ON customer (name);
CREATE INDEX purchase_big ON purchase (customer, cents) WHERE cents > 500;
CREATE INDEX purchase_day ON purchase (substr(at, 1, 10));
CREATE UNIQUE INDEX pair_n ON pair (n);
CREATE VIEW spent AS SELECT customer, sum(cents) AS total FROM purchase GROUP BY customer;
CREATE VIEW nobody AS SELECT * FROM customer WHERE 0;
CREATE TRIGGER audit AFTER DELETE ON purchase BEGIN INSERT INTO heap VALUES (old.id); END;
CREATE TRIGGER heap_once BEFORE UPDATE ON heap BEGIN SELECT raise(ABORT, 'append only'); END;
"""


def url(path: Path) -> str:
    return f"sqlite:///{quote(os.fsencode(path))}"


class Backups:
    """Backs up into a store of the test's own and restores from it."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def make(self, source: Path, **options: Any) -> holdfast.Backup:
        return holdfast.backup(url(source), store=str(self.store), codec="zstd:1", **options)

    def restore(self, record: holdfast.Backup, target: Path, **options: Any) -> Path:
        holdfast.restore(record, url(target), store=str(self.store), **options)
        return target

    def image(self, record: holdfast.Backup) -> bytes:
        """The plain bytes of the backup, by the codec's own tool."""
        (blob,) = Path(record.path).glob("database*.zst")
        return subprocess.run(["zstd", "-dc", str(blob)], check=True, capture_output=True).stdout


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path / "store")


class Script:
    """A stored stream of SQL text, in pieces of a given size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size
        self.stream = Stream(name="database", suffix=".sql", size=len(data))

    def chunks(self) -> Iterator[bytes]:
        yield from (self._data[at : at + self._size] for at in range(0, len(self._data), self._size))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Path]:
    """A function that restores SQL text which no Holdfast made: no hints, whatever the codec left of it."""

    def restore(data: bytes, *, size: int = 1000) -> Path:
        target = tmp_path / "target.db"
        script = Script(data, size)
        request = RestoreRequest(
            url=f"sqlite:///{target}", scratch=tmp_path, streams=(script.stream,), options=SqliteOptions()
        )
        with open_restore(request) as session:
            session.load(Step(stream="database"), script)  # type: ignore[arg-type]
            session.commit()
        return target

    return restore


def make_sample(path: Path, seed: int = 1) -> None:
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA secure_delete=ON")  # so that each value stands where it is used alone
        db.executescript(_SAMPLE)
        for n in range(60):
            photo = chance.randbytes(chance.choice([0, 7, 900, 9000])) if n % 3 else None
            row = (f"name-{seed}-{n:04}", f"{n}@mail.example", n / 7, photo, None if n % 5 == 0 else f"note-{n:04}")
            db.execute("INSERT INTO customer (name, email, balance, photo, note) VALUES (?, ?, ?, ?, ?)", row)
        for n in range(200):
            purchase = (n, chance.randrange(1, 61), f"2026-11-{n % 28 + 1:02}T10:00:00Z", chance.randrange(1000))
            db.execute("INSERT INTO purchase (id, customer, at, cents) VALUES (?, ?, ?, ?)", purchase)
            db.execute("INSERT INTO pair VALUES (?, ?, ?)", (f"a{n % 7}", f"b{n}", n))
            db.execute("INSERT INTO heap VALUES (?)", (chance.choice([n, n / 2, str(n), b"%d" % n, None]),))
        db.execute("""INSERT INTO "odd ""name"" too" VALUES (1, 'one'), ('1', 'text'), (x'31', 'blob'), (1.5, NULL)""")
        db.execute("INSERT INTO heap VALUES (?)", (sqlite3.Binary(b""),))
        db.execute("INSERT INTO heap VALUES (cast(x'ff41' AS TEXT))")  # text that is not UTF-8
        db.execute("INSERT INTO prose VALUES ('kelp', 'holdfasts grip rock'), ('storm', 'waves break')")
        db.commit()


@pytest.fixture(scope="session", name="make_sample")
def _make_sample() -> Callable[..., None]:
    """A function that makes a database with objects and values of all kinds, the same for the same seed."""
    return make_sample


@pytest.fixture
def picture() -> Callable[..., dict[str, Any]]:
    """A function that tells all that a database holds: pragmas, schema, and the bytes and types of every row.

    Without the `layout` it leaves out what no script holds, histograms too.
    """

    def take(path: Path, *, layout: bool = True) -> dict[str, Any]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.text_factory = bytes
            content: dict[str, Any] = {
                name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in (*_PRAGMAS, *(_LAYOUT if layout else ()))
            }
            columns = "type, name, tbl_name, sql" + (", rootpage" if layout else "")
            entries = connection.execute(f"SELECT {columns} FROM sqlite_schema ORDER BY type, name").fetchall()
            schema = [entry for entry in entries if layout or entry[1] != b"sqlite_stat4"]
            content["schema"] = schema
            for entry in schema:
                if entry[0] == b"table":
                    content[f"rows of {entry[1]!r}"] = _rows(connection, entry[1].decode())
            return content

    return take


def _rows(connection: sqlite3.Connection, table: str) -> list[Any]:
    name = '"' + table.replace('"', '""') + '"'
    try:
        rows = connection.execute(f"SELECT rowid, * FROM {name}").fetchall()
    except sqlite3.OperationalError as error:
        if "no such module" in str(error):
            return ["no module"]
        rows = connection.execute(f"SELECT * FROM {name}").fetchall()
    # repr tells 1 from 1.0, but texts come as bytes like blobs: their types tell those apart.
    columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({name})")]
    quoted = ['typeof("' + column.replace('"', '""') + '")' for column in columns]
    kinds = connection.execute(f"SELECT {', '.join(quoted)} FROM {name}").fetchall()
    return [*map(repr, rows), *kinds]


@pytest.fixture
def select(tmp_path: Path) -> Callable[..., tuple[set[str], list[str]]]:
    """A function that makes a database and selects from it: which tables and views are there, and what was said.

    A virtual table whose module or tokenizer is not here is entered as its application's file has it.
    """

    def run(script: str, *, select: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> tuple[set[str], list[str]]:
        source, target = tmp_path / "source.db", tmp_path / "target.db"
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            for statement in Splitter().feed(script):
                _make(connection, statement.text)
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            warnings = select_tables(connection, str(target), select=select, exclude=exclude)
        with closing(sqlite3.connect(target)) as connection:
            assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
            rows = connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
            return {name for (name,) in rows if not name.startswith("sqlite_")}, warnings

    return run


def _make(connection: sqlite3.Connection, statement: str) -> None:
    try:
        connection.execute(statement)
    except sqlite3.OperationalError:
        definition = parse(statement)
        assert definition is not None, statement
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)",
            (definition.name, statement.strip(" ;\n")),
        )
        connection.execute("PRAGMA writable_schema=RESET")


@pytest.fixture
def restoring(backups: Backups) -> Restoring:
    return Restoring(backups.store)


@pytest.fixture
def new(tmp_path: Path, backups: Backups) -> holdfast.Backup:
    make(tmp_path / "new.db", "new")
    return backups.make(tmp_path / "new.db")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[Path, Path], tuple[str, ...]]]:
    """A function that mounts a file over another, for commands that begin with what it returns."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", "4m") as enter:

        def mount(file: Path, over: Path) -> tuple[str, ...]:
            over.touch()
            subprocess.run([*enter, "mount", "--bind", str(file), str(over)], check=True)
            return enter

        yield mount
