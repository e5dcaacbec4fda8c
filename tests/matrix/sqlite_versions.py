"""What one version of SQLite made another drills and restores: run by `.ci/matrix/sqlite`, not by `make test`."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.commandline import HOLDFAST

NAMES = os.environ.get("HOLDFAST_TEST_SQLITE", "").split()
BARE = "bare"  # without modules

PLAIN = """
PRAGMA application_id = 4711; PRAGMA user_version = 3;
CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE, balance REAL,
  photo BLOB, doubled AS (balance * 2), stored TEXT AS (upper(name)) STORED, CHECK (length(name) > 0));
CREATE TABLE pair (a TEXT, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE strict (a ANY, b INT) STRICT;
CREATE INDEX customer_name ON customer (name); CREATE UNIQUE INDEX pair_b ON pair (b) WHERE b > 3;
CREATE INDEX customer_day ON customer (substr(name, 1, 1));
CREATE VIEW spent AS SELECT name, sum(balance) AS total FROM customer GROUP BY name;
CREATE TRIGGER audit AFTER DELETE ON customer BEGIN INSERT INTO strict VALUES (old.id, 1); END;
INSERT INTO customer (name, balance, photo) VALUES ('Ämil', 0.1, x'00ff'), ('ß', 9e999, NULL),
  ('z', -0.0, zeroblob(9000)), (char(55296), 3, 1), ('a' || char(0) || 'b', 4e-320, 'text');
INSERT INTO pair VALUES ('x', 1), ('x', '1'), ('x', x'31'), ('y', 4.5); INSERT INTO strict VALUES ('1', 1), (1.5, 2);
ANALYZE;
"""
MODULES = """
CREATE VIRTUAL TABLE prose USING fts5(title, body, tokenize = 'porter unicode61');
INSERT INTO prose VALUES ('kelp', 'holdfasts grip rock'), ('storm', 'waves break');
CREATE VIRTUAL TABLE three USING fts5(body, tokenize = 'trigram'); INSERT INTO three VALUES ('abcdef');
CREATE TABLE page (id INTEGER PRIMARY KEY, body); INSERT INTO page VALUES (1, 'one'), (2, 'two');
CREATE VIRTUAL TABLE page_text USING fts5(body, content = 'page', content_rowid = 'id');
INSERT INTO page_text (page_text) VALUES ('rebuild');
CREATE VIRTUAL TABLE words USING fts5vocab(prose, 'row');
CREATE VIRTUAL TABLE bodiless USING fts5(body, content = ''); INSERT INTO bodiless (rowid, body) VALUES (7, 'seven');
CREATE VIRTUAL TABLE older USING fts4(body, tokenize=simple); INSERT INTO older VALUES ('one'), ('two');
CREATE VIRTUAL TABLE hollow USING fts4(body, content=''); INSERT INTO hollow (docid, body) VALUES (1, 'one');
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1, +label); INSERT INTO box VALUES (1, 0, 1, 0, 1, 'one');
"""
NEWER = {  # by the version that brought it
    (3, 44): "CREATE VIEW ordered AS SELECT group_concat(a, ',' ORDER BY a DESC) AS x FROM strict;",
    (3, 39): "CREATE VIEW joined AS SELECT * FROM pair FULL OUTER JOIN strict ON pair.b IS NOT DISTINCT FROM strict.b;",
}
LATIN = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, \"pr\udce9nom\" TEXT DEFAULT 'caf\udce9'); INSERT INTO t VALUES (1, 'x');"
)
_MAKE = """
import sqlite3, sys
path, encoding = sys.argv[1:]
connection = sqlite3.connect(path, isolation_level=None)
connection.execute(f"PRAGMA encoding = '{encoding}'")
connection.executescript(sys.stdin.buffer.read().decode(errors="surrogateescape"))
"""


@dataclass(frozen=True)
class Library:
    """One build of SQLite."""

    name: str

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(map(int, self.name.split("."))) if self.name != BARE else (3, 99)

    def run(self, *arguments: str, code: int | None = 0, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program with this library in the place of the machine's."""
        library = Path(os.environ["HOLDFAST_TEST_SQLITE_FOLDER"], self.name, "libsqlite3.so.0")
        done = subprocess.run(
            arguments,
            env={**os.environ, "LD_PRELOAD": str(library)},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert code is None or done.returncode == code, f"{self.name}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def make(self, path: Path, script: str, encoding: str = "UTF-8") -> Path:
        self.run(sys.executable, "-c", _MAKE, str(path), encoding, text=script)
        return path

    def holdfast(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.run(*HOLDFAST, *arguments, code=code)

    def back_up(self, path: Path, store: Path, *options: str) -> str:
        return self.holdfast("backup", f"sqlite:///{path}", "--store", str(store), "--proof", *options).stdout.strip()


@pytest.fixture(params=NAMES)
def maker(request: pytest.FixtureRequest) -> Library:
    return Library(request.param)


@pytest.fixture(params=NAMES)
def reader(request: pytest.FixtureRequest) -> Library:
    return Library(request.param)


def state(store: Path) -> str:
    (backup,) = json.loads(Library(NAMES[0]).holdfast("list", "--store", str(store), "--json").stdout)
    return str(backup["state"])


def script_of(maker: Library) -> str:
    newer = "".join(script for version, script in NEWER.items() if maker.version >= version)
    return PLAIN + newer + ("" if maker.name == BARE else MODULES)


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_an_image_is_proven_and_restored_by_every_other(
    maker: Library, reader: Library, encoding: str, tmp_path: Path
) -> None:
    source, store = maker.make(tmp_path / "app.db", script_of(maker), encoding), tmp_path / "store"
    backup = maker.back_up(source, store)
    ran = reader.holdfast("drill", backup, "--store", str(store))
    assert ran.stdout.startswith(f"proven {backup}"), ran.stdout
    assert "its source:" not in ran.stdout
    reader.holdfast("restore", backup, f"sqlite:///{tmp_path}/copy.db", "--store", str(store))
    assert (tmp_path / "copy.db").read_bytes() == source.read_bytes()


def test_a_script_is_proven_by_every_other_or_needs_what_that_has_not(
    maker: Library, reader: Library, tmp_path: Path
) -> None:
    unknown = any(reader.version < version <= maker.version for version in NEWER)
    lacks = (reader.name == BARE) > (maker.name == BARE) or unknown
    source, store = maker.make(tmp_path / "app.db", script_of(maker)), tmp_path / "store"
    backup = maker.back_up(source, store, "-o", "format=sql")
    ran = reader.holdfast("drill", backup, "--store", str(store), code=None if lacks else 0)
    assert ran.returncode != 13, ran.stdout + ran.stderr
    assert state(store) in (("proven", "complete") if lacks else ("proven",)), ran.stderr


def test_one_file_has_the_same_proof_with_every_library(maker: Library, tmp_path: Path) -> None:
    """Made by the oldest: every other says the same of it, but for what only a module can show."""
    proofs = {}
    source = Library(NAMES[0]).make(tmp_path / "app.db", PLAIN + ("" if NAMES[0] == BARE else MODULES))
    for library in {Library(NAMES[0]), maker}:
        store = tmp_path / library.name
        library.back_up(source, store)
        (manifest,) = store.glob("app/*/backup_manifest.json")
        objects = json.loads(manifest.read_text())["proof"]["objects"]
        proofs[library.name] = {(entry["kind"], entry["name"]): (entry["rows"], entry["digest"]) for entry in objects}
    first = proofs[NAMES[0]]
    if maker.name == BARE:
        virtual = {("table", name) for name in ("prose", "three", "older", "box")}
        first = {key: value if key not in virtual else (None, "") for key, value in first.items()}
    assert proofs[maker.name] == first


def test_names_that_are_not_utf_8_are_proven_by_every_other(maker: Library, reader: Library, tmp_path: Path) -> None:
    source, store = tmp_path / "app.db", tmp_path / "store"
    subprocess.run(["sqlite3", str(source)], input=LATIN.encode(errors="surrogateescape"), check=True)
    backup = maker.back_up(source, store)
    ran = reader.holdfast("drill", backup, "--store", str(store))
    assert ran.stdout.startswith(f"proven {backup}"), ran.stdout


def test_a_fault_of_an_index_is_told_as_that_by_every_library(maker: Library, tmp_path: Path) -> None:
    script = """
    CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1), (2); PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (-a)' WHERE name = 'i';
    """
    source, store = maker.make(tmp_path / "app.db", script), tmp_path / "store"
    backup = maker.back_up(source, store)
    ran = maker.holdfast("drill", backup, "--store", str(store))
    assert ran.stdout.startswith(f"proven {backup}"), ran.stdout
    assert "its source: index i does not agree with table t" in ran.stdout
