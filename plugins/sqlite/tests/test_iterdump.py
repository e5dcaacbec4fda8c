"""What the `iterdump` of any Python from 3.8 to 3.14 writes is restored, virtual tables included."""

import gzip
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import HoldfastError, IntegrityError

Loader = Callable[..., Path]

SCHEMA = r"""
    CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, "say ""so"" now" TEXT);
    INSERT INTO account(name, "say ""so"" now") VALUES ('it''s; -- /* ', 'two' || char(10) || 'lines;'), ('☃', NULL);
    DELETE FROM account WHERE id = 2;
    CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, photo BLOB, weight REAL);
    INSERT INTO users VALUES (7, x'00ff0027', 9e999), (8, x'', -0.1);
    CREATE TABLE "a ""quoted"" name"(x);
    INSERT INTO "a ""quoted"" name" VALUES ('');
    CREATE TABLE pair(a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
    INSERT INTO pair VALUES ('x', 'y');
    CREATE TABLE price(cents INTEGER, twice AS (cents * 2), euros AS (cents / 100.0) STORED, currency TEXT);
    INSERT INTO price VALUES (150, 'EUR');
    CREATE VIRTUAL TABLE box USING rtree(id, low, high, +label);
    INSERT INTO box VALUES (41, 2, 3, 'far'), (7, -1, 1, 'near');
    CREATE VIRTUAL TABLE note USING fts5(title, body);
    INSERT INTO note(rowid, title, body) VALUES (12, 'kelp', 'it''s a holdfast'), (5, 'storm', 'waves; break');
    CREATE VIRTUAL TABLE "note v" USING fts5vocab(note, 'row');
    CREATE VIRTUAL TABLE letter USING fts4(body);
    INSERT INTO letter(docid, body) VALUES (9, 'dear kelp');
    CREATE VIRTUAL TABLE legacy USING fts3(body);
    INSERT INTO legacy(docid, body) VALUES (3, 'old words');
    CREATE VIRTUAL TABLE unstored USING fts5(body, content='');
    INSERT INTO unstored(rowid, body) VALUES (77, 'nothing kept');
    CREATE VIRTUAL TABLE account_text USING fts5(name, content='users_view', content_rowid='id');
    CREATE VIEW users_view AS SELECT id, name FROM account;
    INSERT INTO account_text(rowid, name) VALUES (1, 'it''s');
    CREATE INDEX account_name ON account(name COLLATE NOCASE) WHERE name <> ';';
    CREATE TRIGGER log AFTER INSERT ON account BEGIN SELECT ';'; INSERT INTO pair VALUES (new.name, ';'); END;
    ANALYZE;
"""
# A node of an R-tree as SQLite's `quote` writes it, of the smallest size: its cells, and zeros to the end.
NODE = "X'" + "00000001000000000000000740000000404000000000000000000000".ljust(2 * 480, "0") + "'"
# The words of a full-text index.
WORDS = "X'00000020023061050204010269740502020101730502030104776F726405020504060706'"
# What Python 3.8 and 3.9 write: counters first, rows of virtual tables besides those of their shadow tables.
TEXT_3_8 = f"""BEGIN TRANSACTION;
CREATE VIRTUAL TABLE "Box 1" USING rtree(id, low, high);
INSERT INTO "Box 1" VALUES(7,2.0,3.0);
CREATE TABLE "Box 1_node"(nodeno INTEGER PRIMARY KEY,data);
INSERT INTO "Box 1_node" VALUES(1,{NODE});
CREATE TABLE "Box 1_parent"(nodeno INTEGER PRIMARY KEY,parentnode);
CREATE TABLE "Box 1_rowid"(rowid INTEGER PRIMARY KEY,nodeno);
INSERT INTO "Box 1_rowid" VALUES(7,1);
CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, long AS (length(name)) STORED);
INSERT INTO "account" VALUES(1,'it''s; -- /*');
CREATE VIRTUAL TABLE area USING geopoly(label);
INSERT INTO "area" VALUES(X'01000001',NULL);
CREATE TABLE "area_node"(nodeno INTEGER PRIMARY KEY,data);
INSERT INTO "area_node" VALUES(1,{NODE});
CREATE TABLE "area_parent"(nodeno INTEGER PRIMARY KEY,parentnode);
CREATE TABLE "area_rowid"(rowid INTEGER PRIMARY KEY,nodeno,a0,a1);
INSERT INTO "area_rowid" VALUES(7,1,X'01000001',NULL);
CREATE TABLE counter(x INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE "n_other"(x);
INSERT INTO "n_other" VALUES('kept');
CREATE VIRTUAL TABLE note USING fts5(body);
INSERT INTO "note" VALUES('it''s a word');
CREATE TABLE 'note_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "note_config" VALUES('version',4);
CREATE TABLE 'note_content'(id INTEGER PRIMARY KEY, c0);
INSERT INTO "note_content" VALUES(5,'it''s a word');
CREATE TABLE 'note_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO "note_data" VALUES(1,X'0104');
INSERT INTO "note_data" VALUES(10,X'000000000101010001010101');
INSERT INTO "note_data" VALUES(137438953473,{WORDS});
CREATE TABLE 'note_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO "note_docsize" VALUES(5,X'04');
CREATE TABLE 'note_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO "note_idx" VALUES(1,X'',2);
CREATE VIRTUAL TABLE note_words USING fts5vocab(note, 'row');
INSERT INTO "note_words" VALUES('it',1,1);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('account',9);
INSERT INTO "sqlite_sequence" VALUES('counter',4);
CREATE TABLE "t ""q"" too"(k TEXT PRIMARY KEY, "v ""w"" too" BLOB) WITHOUT ROWID;
INSERT INTO "t ""q"" too" VALUES('a',X'00FF0027');
INSERT INTO "t ""q"" too" VALUES('b',-Inf);
CREATE TRIGGER log AFTER INSERT ON account BEGIN SELECT ';'; INSERT INTO n_other VALUES (new.name); END;
CREATE INDEX account_long ON account(long);
COMMIT;
"""


def with_counters_last(text: str) -> str:
    """As Python 3.10 to 3.11.5 write it."""
    counters = "".join(line for line in text.splitlines(keepends=True) if '"sqlite_sequence"' in line)
    return text.replace(counters, "").replace("COMMIT;\n", f"{counters}COMMIT;\n")


def with_schema_rows(text: str) -> str:
    """As Python 3.11.6 to 3.13 write it: virtual tables as rows of the schema."""
    lines, first = [], "PRAGMA writable_schema=ON;\n"
    for line in with_counters_last(text).splitlines():
        if line.startswith("CREATE VIRTUAL TABLE"):
            sql = line[:-1]
            name = sql.removeprefix("CREATE VIRTUAL TABLE ").partition(" USING")[0].strip('"')
            quoted = sql.replace("'", "''")
            lines.append(
                f"{first}INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)"
                f"VALUES('table','{name}','{name}',0,'{quoted}');"
            )
            first = ""
        else:
            lines.append("PRAGMA writable_schema=OFF;\n" + line if line.startswith("DELETE FROM") else line)
    return "\n".join(lines)


def with_quotes_in_names(text: str) -> str:
    """As Python 3.14 writes it: a name may hold a quote, and foreign keys that are broken are told of."""
    text = "PRAGMA foreign_keys=OFF;\n" + with_schema_rows(text).replace("-Inf", "-9.0e+999")
    return text.replace("counter(x", '"it\'s"(x').replace("'counter',4", "'it''s',4")


WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
sys.stdout.buffer.write("\\n".join(connection.iterdump()).encode())
"""


def pythons() -> list[str]:
    """Every Python of this machine that `iterdump` could have been called in, the one that runs the tests first."""
    versions = Path.home().glob(".pyenv/versions/3.*/bin/python")
    names = [f"python3.{minor}" for minor in range(8, 20)]
    programs = [*map(str, versions), *filter(None, map(shutil.which, names)), "/usr/bin/python3"]
    usable: dict[str, str] = {}
    for program in [sys.executable, *sorted(programs)]:
        code = "import sqlite3, sys; print(*sys.version_info[:3], sep='.')"
        done = subprocess.run([program, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and int(done.stdout.split(".")[1]) >= 8:
            usable.setdefault(done.stdout.strip(), program)
    return list(usable.values())


def version(program: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([program, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
    return path


@pytest.mark.parametrize("program", pythons(), ids=version)
def test_what_each_python_here_writes_is_restored(
    program: str, source: Path, load: Loader, picture: Callable[..., Any]
) -> None:
    data = subprocess.run([program, "-c", WRITE, str(source)], check=True, capture_output=True).stdout
    target = load(data)
    assert picture(target, layout=False) == picture(source, layout=False)
    with closing(sqlite3.connect(target)) as connection:
        for table in ("note", "letter", "legacy"):
            connection.execute(f"INSERT INTO {table}({table}) VALUES ('integrity-check')")
        assert connection.execute("SELECT rowid FROM note WHERE note MATCH 'holdfast'").fetchall() == [(12,)]
        assert connection.execute("SELECT id, label FROM box WHERE low < 0").fetchall() == [(7, "near")]
        assert connection.execute("SELECT rowid FROM unstored WHERE unstored MATCH 'kept'").fetchall() == [(77,)]


@pytest.mark.parametrize(
    ("text", "counter"),
    [
        (TEXT_3_8, "counter"),
        (with_counters_last(TEXT_3_8), "counter"),
        (with_schema_rows(TEXT_3_8), "counter"),
        (with_quotes_in_names(TEXT_3_8), "it's"),
    ],
    ids=["3.8 to 3.9", "3.10 to 3.11.5", "3.11.6 to 3.13", "3.14"],
)
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_what_each_version_writes_is_restored(size: int, text: str, counter: str, load: Loader) -> None:
    with closing(sqlite3.connect(load(text.encode(), size=size))) as connection:

        def query(sql: str) -> list[Any]:
            return connection.execute(sql).fetchall()

        virtual = ["Box 1", "area", "note", "note_words"]
        schema = "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%' AND rootpage = 0 ORDER BY name"
        assert query(schema) == [(name,) for name in virtual]
        assert query("SELECT count(*), count(DISTINCT name) FROM sqlite_schema") == [(22, 22)]
        assert query("SELECT * FROM account") == [(1, "it's; -- /*", 11)]
        assert query("SELECT * FROM n_other") == [("kept",)]
        assert query("SELECT * FROM sqlite_sequence ORDER BY name") == [("account", 9), (counter, 4)]
        assert query('SELECT * FROM "t ""q"" too"') == [("a", b"\0\xff\0'"), ("b", float("-inf"))]
        assert query("SELECT rowid, a0 FROM area_rowid") == [(7, b"\1\0\0\1")]
        assert query('SELECT * FROM "Box 1" WHERE low > 1') == [(7, 2.0, 3.0)]
        connection.execute("INSERT INTO note(note) VALUES ('integrity-check')")
        assert query("SELECT rowid, body FROM note WHERE note MATCH 'word'") == [(5, "it's a word")]
        assert query("SELECT term FROM note_words ORDER BY term") == [("a",), ("it",), ("s",), ("word",)]
        connection.execute("INSERT INTO account(name) VALUES ('logged')")
        assert query("SELECT max(id) FROM account") == [(10,)]
        assert query("SELECT * FROM n_other") == [("kept",), ("logged",)]


@pytest.mark.parametrize("packed", [False, True])
def test_an_iterdump_is_restored_with_its_virtual_tables(
    packed: bool, source: Path, load: Loader, picture: Callable[..., Any]
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        data = "\n".join(connection.iterdump()).encode()
    data = gzip.compress(data[:500]) + gzip.compress(data[500:]) if packed else data
    target = load(data)
    assert picture(target, layout=False) == picture(source, layout=False)


def test_an_iterdump_of_an_older_python_is_restored(load: Loader) -> None:
    """They filled sqlite_sequence before it was there, and entered virtual tables without writable_schema."""
    data = b"""BEGIN TRANSACTION;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('users',9);
CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
INSERT INTO "users" VALUES(1,'Ann');
INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)
VALUES('table','n','n',0,'CREATE VIRTUAL TABLE n USING fts5(b)');
CREATE TABLE 'n_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'n_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE 'n_content'(id INTEGER PRIMARY KEY, c0);
CREATE TABLE 'n_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'n_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "n_config" VALUES('version',4);
INSERT INTO "n_data" VALUES(1,X'');
INSERT INTO "n_data" VALUES(10,X'00000000000000');
COMMIT;
"""
    target = load(data, size=7)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT * FROM users").fetchall() == [(1, "Ann")]
        assert connection.execute("SELECT seq FROM sqlite_sequence").fetchone() == (9,)
        connection.execute("INSERT INTO n VALUES ('words')")
        assert connection.execute("SELECT b FROM n WHERE n MATCH 'words'").fetchall() == [("words",)]


def test_infinities_of_an_iterdump_are_restored_and_texts_that_read_so_stay(load: Loader) -> None:
    """SQLite before 3.41 quotes them as Inf, which no SQLite reads."""
    data = b"""BEGIN TRANSACTION;
CREATE TABLE "Inf"(a REAL, b REAL, "Inf" TEXT);
INSERT INTO "Inf" VALUES(Inf,-Inf,'it''s Inf, -Inf');
INSERT INTO "Inf" VALUES(-Inf,1.5,'Inf');
COMMIT;
"""
    target = load(data)
    infinity = float("inf")
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute('SELECT * FROM "Inf"').fetchall() == [
            (infinity, -infinity, "it's Inf, -Inf"),
            (-infinity, 1.5, "Inf"),
        ]


def test_a_virtual_table_that_a_script_fills_by_its_rows_alone_is_restored(load: Loader) -> None:
    data = b"""BEGIN; CREATE VIRTUAL TABLE note USING fts5(body);
INSERT INTO note VALUES('some words'); CREATE TABLE other(x); INSERT INTO note VALUES('more words'); COMMIT;"""
    with closing(sqlite3.connect(load(data))) as connection:
        assert connection.execute("SELECT rowid FROM note WHERE note MATCH 'words'").fetchall() == [(1,), (2,)]


def test_a_row_that_a_virtual_table_refuses_is_an_error_unless_its_shadow_tables_come(load: Loader) -> None:
    create = 'CREATE VIRTUAL TABLE box USING rtree(id, low, high);\nINSERT INTO "box" VALUES(7,3.0,2.0);\n'
    with pytest.raises(IntegrityError, match=r"statement 2 .INSERT INTO \"box\" ….: .*constraint failed"):
        load(f"{create}CREATE TABLE other(x);".encode())
    shadows = (
        f'CREATE TABLE "box_node"(nodeno INTEGER PRIMARY KEY,data);\nINSERT INTO "box_node" VALUES(1,{NODE});\n'
        'CREATE TABLE "box_parent"(nodeno INTEGER PRIMARY KEY,parentnode);\n'
        'CREATE TABLE "box_rowid"(rowid INTEGER PRIMARY KEY,nodeno);\nINSERT INTO "box_rowid" VALUES(7,1);\n'
    )
    with closing(sqlite3.connect(load((create + shadows).encode()))) as connection:
        assert connection.execute("SELECT * FROM box").fetchall() == [(7, 2.0, 3.0)]


def test_a_module_that_is_not_here_is_told_of_at_the_end_unless_its_shadow_tables_come(load: Loader) -> None:
    create = "CREATE VIRTUAL TABLE note USING fts5(body, tokenize='snow');\nINSERT INTO \"note\" VALUES('x');\n"
    with pytest.raises(HoldfastError, match=r"statement 1 .*no such tokenizer: snow") as failure:
        load(f"{create}CREATE TABLE other(x);".encode())
    assert failure.value.exit_code == 1
    shadows = "CREATE TABLE 'note_content'(id INTEGER PRIMARY KEY, c0);\nINSERT INTO \"note_content\" VALUES(1,'x');\n"
    with closing(sqlite3.connect(load((create + shadows).encode()))) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("note",), ("note_content",)]
        assert connection.execute("SELECT * FROM note_content").fetchall() == [(1, "x")]


def test_the_tables_of_a_module_that_is_not_here_are_taken_for_its_content(load: Loader) -> None:
    """As `iterdump` of Python 3.8 to 3.11.5 writes it where sqlite-vec is loaded, with a table of the user's."""
    data = b"""BEGIN TRANSACTION;
CREATE VIRTUAL TABLE ev USING vec0(e float[1], chunk_size=8);
INSERT INTO "ev" VALUES(1,X'0000803F');
CREATE TABLE "ev_chunks"(chunk_id INTEGER PRIMARY KEY, size INTEGER);
INSERT INTO "ev_chunks" VALUES(1,8);
CREATE TABLE "ev_jobs"(x);
CREATE TABLE "ev_rowids"(rowid INTEGER PRIMARY KEY, chunk_id INTEGER);
COMMIT;
"""
    with closing(sqlite3.connect(load(data))) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
        assert names == [("ev",), ("ev_chunks",), ("ev_jobs",), ("ev_rowids",)]
        assert connection.execute("SELECT * FROM ev_chunks").fetchall() == [(1, 8)]


def test_a_table_of_the_user_s_that_drop_table_would_take_along_stays(load: Loader) -> None:
    """DROP TABLE of an FTS3 table drops its _stat, whoever made it."""
    data = b"""CREATE TABLE docs_stat(mine); INSERT INTO docs_stat VALUES (1);
CREATE VIRTUAL TABLE docs USING fts3(x); INSERT INTO docs VALUES ('word');
CREATE TABLE 'docs_content'(docid INTEGER PRIMARY KEY, 'c0x'); INSERT INTO docs_content VALUES (5, 'word');
CREATE TABLE 'docs_segments'(blockid INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE IF NOT EXISTS 'docs_segdir'(level INTEGER,idx INTEGER,start_block INTEGER,leaves_end_block INTEGER,
end_block INTEGER,root BLOB,PRIMARY KEY(level, idx));
"""
    with closing(sqlite3.connect(load(data))) as connection:
        assert connection.execute("SELECT * FROM docs_stat").fetchall() == [(1,)]
        assert connection.execute("SELECT docid, x FROM docs").fetchall() == [(5, "word")]


def test_the_content_of_an_external_index_is_no_part_of_it(load: Loader) -> None:
    data = b"""CREATE VIRTUAL TABLE notes USING fts5(b, content='notes_content', content_rowid='id');
CREATE TABLE notes_content(id INTEGER PRIMARY KEY, b); INSERT INTO notes_content VALUES (3, 'a word');
INSERT INTO notes(notes) VALUES ('rebuild');
"""
    with closing(sqlite3.connect(load(data))) as connection:
        assert connection.execute("SELECT rowid, b FROM notes WHERE notes MATCH 'word'").fetchall() == [(3, "a word")]
