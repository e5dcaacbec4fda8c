"""Whatever an SQLite file can hold comes back: as an image to the last page, as SQL to the last row."""

import os
import random
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast

ODD: dict[str, str] = {
    "nothing at all": "",
    "no tables but a version": "PRAGMA user_version=-7; PRAGMA application_id=1213486160;",
    "names with quotes": """
        CREATE TABLE "a ""b"" 'c' `d` [e]"("x ""y"" z" TEXT, "select" INT, 'it''s' INT, "" INT, "ä\n☃" TEXT);
        INSERT INTO "a ""b"" 'c' `d` [e]" VALUES ('v', 1, 2, 3, 'snow');
        CREATE INDEX "i ""x"" z" ON "a ""b"" 'c' `d` [e]"("x ""y"" z");
        CREATE VIEW "v;--" AS SELECT * FROM "a ""b"" 'c' `d` [e]";
    """,
    "WITHOUT ROWID": """
        CREATE TABLE w(a TEXT, b INT, c BLOB, PRIMARY KEY (b, a)) WITHOUT ROWID;
        INSERT INTO w VALUES ('z', 1, x'00'), ('a', 2, NULL), ('m', 1, x'ff');
    """,
    "STRICT": """
        CREATE TABLE s(i INTEGER, r REAL, t TEXT, b BLOB, a ANY) STRICT;
        INSERT INTO s VALUES (1, 2, 'x', x'00', '5'), (NULL, 9e999, '', x'', 5);
    """,
    "generated columns": """
        CREATE TABLE g(a INT, b INT GENERATED ALWAYS AS (a * 2) VIRTUAL, c TEXT AS (a || 'x') STORED, d INT);
        INSERT INTO g(a, d) VALUES (1, 2), (3, 4);
        CREATE INDEX g_b ON g(b);
    """,
    "autoincrement with gaps": """
        CREATE TABLE one(id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO one(id, x) VALUES (99, 1), (500, 2);
        DELETE FROM one WHERE id = 500;
        CREATE TABLE other(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO other VALUES (9223372036854775807);
    """,
    "a counter whose table is gone": """
        CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (4); DROP TABLE t;
    """,
    "rowids without a column": """
        CREATE TABLE r(x); INSERT INTO r(rowid, x) VALUES (-5, 'a'), (7, 'b'), (9223372036854775807, 'c');
        CREATE TABLE q(rowid TEXT, oid TEXT); INSERT INTO q(_rowid_, rowid, oid) VALUES (42, 'x', 'y');
        CREATE TABLE all_taken(rowid, oid, _rowid_); INSERT INTO all_taken VALUES (3, 2, 1), (6, 5, 4);
        CREATE TABLE d(id INTEGER PRIMARY KEY DESC, x); INSERT INTO d(rowid, id, x) VALUES (8, 1, 'not an alias');
    """,
    "numbers at their limits": """
        CREATE TABLE n(x);
        INSERT INTO n VALUES (9223372036854775807), (-9223372036854775808), (9e999), (-9e999), (0.1), (1e308),
            (4.9e-324), (2.2250738585072014e-308), (-0.0), (1.0), (123456789.12345678), (1e22), (0), (1), (NULL);
    """,
    "texts with everything": """
        CREATE TABLE t(x);
        INSERT INTO t VALUES ('it''s'), (''), ('a' || char(0) || 'b'), (char(0)), (x'00'), (x''), ('line' || char(10)),
            ('dos' || char(13) || char(10) || 'end'), (char(13)), (char(13) || char(57357)), (char(57357)), ('☃ 𝄞'),
            (';'), ('--'), ('/*'), ('CREATE TRIGGER x BEGIN;'), ('a' || char(10) || '.quit' || char(10) || 'go'),
            (CAST(x'ff27fe' AS TEXT)), (CAST(x'c3' AS TEXT)), (CAST(x'eda080' AS TEXT)), (char(65533)), (char(1114111));
    """,
    "types against their columns": """
        CREATE TABLE m(i INTEGER, t TEXT, r REAL, n NUMERIC, b BLOB, v VARCHAR(3));
        INSERT INTO m VALUES ('x', 5, 7, '1e3', 5, 'long text'), (x'00', x'01', x'02', x'03', 'text', 12),
            (1.5, 1.5, 1, 1.0, 1.0, 1.0);
    """,
    "full-text search 5": """
        CREATE VIRTUAL TABLE f USING fts5(title, body, tokenize='porter unicode61', prefix='2 3');
        INSERT INTO f VALUES ('one', 'running water'), ('two', 'it''s ☃'), ('three', 'runs');
        DELETE FROM f WHERE title = 'two';
        CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO doc VALUES (3, 'external words'), (8, 'more');
        CREATE VIRTUAL TABLE x USING fts5(body, content='doc', content_rowid='id');
        INSERT INTO x(x) VALUES ('rebuild');
        CREATE TRIGGER doc_ai AFTER INSERT ON doc BEGIN INSERT INTO x(rowid, body) VALUES (new.id, new.body); END;
        CREATE VIRTUAL TABLE c USING fts5(body, content=''); INSERT INTO c(rowid, body) VALUES (5, 'contentless');
    """,
    "full-text search 4": """
        CREATE VIRTUAL TABLE f4 USING fts4(a, b); INSERT INTO f4 VALUES ('x y', 'z'), ('q', 'r');
        INSERT INTO f4(f4) VALUES ('optimize');
    """,
    "R-tree": """
        CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1, +label TEXT);
        INSERT INTO box VALUES (1, 0.1, 0.2, -5, 5, 'a'), (2, 1e6, 1e7, 3, 4, 'b');
        CREATE VIRTUAL TABLE cell USING rtree_i32(id, x0, x1); INSERT INTO cell VALUES (1, -2147483648, 2147483647);
    """,
    "triggers of every kind": """
        CREATE TABLE t(a); CREATE TABLE audit(what TEXT); CREATE VIEW v AS SELECT a AS b FROM t;
        CREATE TRIGGER t1 BEFORE INSERT ON t WHEN new.a > 5 BEGIN
            INSERT INTO audit VALUES ('; END;'); SELECT CASE WHEN new.a = 6 THEN 1 ELSE 2 END; -- END;
        END;
        CREATE TRIGGER t2 INSTEAD OF UPDATE ON v BEGIN UPDATE t SET a = new.b WHERE a = old.b; END;
        INSERT INTO t VALUES (1), (6);
    """,
    "views on views and on nothing": """
        CREATE TABLE base(x); CREATE VIEW one AS SELECT x FROM base; CREATE VIEW two AS SELECT x FROM one -- end
        ; CREATE VIEW broken AS SELECT * FROM no_such_table; CREATE VIEW recursive_one AS
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n;
    """,
    "indexes of every kind": """
        CREATE TABLE t(a TEXT COLLATE NOCASE, b INT UNIQUE, c JSON, UNIQUE (a, c));
        INSERT INTO t VALUES ('A', 1, '{"k": 1}'), ('b', 2, '{}');
        CREATE UNIQUE INDEX e ON t(lower(a)); CREATE INDEX p ON t(b DESC) WHERE b > 1;
        CREATE INDEX j ON t(json_extract(c, '$.k'));
    """,
    "statistics": """
        CREATE TABLE t(a, b); CREATE INDEX ta ON t(a);
        INSERT INTO t VALUES (1, 2), (1, 3), (2, 4); ANALYZE;
    """,
    "foreign keys in a circle, and broken": """
        CREATE TABLE a(id INTEGER PRIMARY KEY, b REFERENCES b(id) DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE b(id INTEGER PRIMARY KEY, a REFERENCES a(id));
        INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (2, 1), (3, 99);
    """,
    "rows that break a CHECK": """
        CREATE TABLE c(x CHECK (x > 0)); PRAGMA ignore_check_constraints=ON; INSERT INTO c VALUES (-1);
        PRAGMA ignore_check_constraints=OFF;
    """,
    "line breaks of DOS": """
        CREATE TABLE t(\r\n a TEXT DEFAULT '\r\n',\r\n b TEXT CHECK (b <> '\n'), -- \ue00d\r\n
            c TEXT AS (replace(b, '\r\n', 'x')) STORED);
        INSERT INTO t(a, b) VALUES ('\r\n', '1\r\n2'), ('\n', '3\n4');
        CREATE INDEX i ON t(replace(b, '\r\n', 'y'));\r\nCREATE INDEX p ON t(a) WHERE a = '\r\n';
        CREATE VIEW v AS\r\n SELECT '\r\n' AS x FROM t;
        CREATE TRIGGER tr AFTER INSERT ON t BEGIN\r\n SELECT '\r\n'; END;
        CREATE TABLE w(a TEXT DEFAULT '\r'); INSERT INTO w DEFAULT VALUES; CREATE VIRTUAL TABLE f USING fts5(\r\n x);
    """,
    "free pages": """
        CREATE TABLE t(x); INSERT INTO t VALUES (randomblob(200000)), (zeroblob(300000)); DELETE FROM t WHERE rowid = 1;
    """,
}


def build(path: Path, sql: str, *pragmas: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(sql)


@pytest.mark.sweep(12)
@pytest.mark.parametrize("name", ODD)
def test_an_odd_database_comes_back_as_image_and_as_script(
    name: str, tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    source = tmp_path / "odd.db"
    build(source, ODD[name])
    assert source.exists() or not source.write_bytes(b"")
    image = backups.restore(backups.make(source), tmp_path / "image.db")
    assert picture(image) == picture(source)
    assert image.read_bytes() == source.read_bytes()
    _, loaded, shell = by_script(source, tmp_path, backups)
    assert picture(loaded, layout=False) == picture(source, layout=False)
    assert picture(shell, layout=False) == picture(source, layout=False)
    for path in (image, loaded, shell):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def by_script(source: Path, tmp_path: Path, backups: Any) -> tuple[Any, Path, Path]:
    """Back up as a script; the record, and the databases that `holdfast restore` and the shell make of it."""
    record = backups.make(source, options={"format": "sql"})
    loaded = backups.restore(record, tmp_path / "loaded.db")
    shell = tmp_path / "shell.db"
    subprocess.run(["sqlite3", "-bail", str(shell)], input=backups.image(record), check=True, capture_output=True)
    return record, loaded, shell


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_texts_that_are_not_valid_utf_16_come_back_in_a_script(
    encoding: str, tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    """SQLite makes UTF-8 of them which is another text, or none: single surrogates, U+FFFE, U+FFFF."""
    source = tmp_path / "odd.db"
    units = [
        0x41,
        0x0D,
        0x27,
        0x00,
        0x263A,
        0xD800,
        0xD841,
        0xDBFF,
        0xDC00,
        0xDFFF,
        0xE00D,
        0xFEFF,
        0xFFFD,
        0xFFFE,
        0xFFFF,
    ]
    pairs = [
        struct.pack("<2H" if encoding.endswith("le") else ">2H", first, second) for first in units for second in units
    ]
    texts = [*pairs, *(pair[:2] for pair in pairs[:: len(units) - 1]), b"", *map(bytes.__add__, pairs[7:], pairs)]
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA encoding='{encoding}'")
        connection.execute("CREATE TABLE t(x, y TEXT)")
        for text in texts:  # a parameter would be taken for UTF-8
            connection.execute(f"INSERT INTO t VALUES (CAST(x'{text.hex()}' AS TEXT), CAST(x'{text.hex()}' AS TEXT))")
        assert connection.execute("SELECT count(DISTINCT CAST(x AS BLOB)) FROM t").fetchone()[0] > 225

    def raw(path: Path) -> list[Any]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(
                "SELECT rowid, typeof(x), hex(CAST(x AS BLOB)), hex(CAST(y AS BLOB)) FROM t"
            ).fetchall()

    record, loaded, shell = by_script(source, tmp_path, backups)
    assert raw(loaded) == raw(source)
    assert raw(shell) == raw(source)
    assert holdfast.drill(record.id, store=str(backups.store)).state == "proven"


def test_a_name_that_the_shell_changes_is_told_by_the_backup(
    tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    source = tmp_path / "odd.db"
    build(source, 'CREATE TABLE t("a\r\nb"); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT "a\r\nb" FROM t;')
    record, loaded, _ = by_script(source, tmp_path, backups)
    assert picture(loaded, layout=False) == picture(source, layout=False)
    end = "is changed by the sqlite3 shell, which drops the CR at the end of a line; holdfast restore keeps it"
    assert record.warnings == (f"the definition of table 't' {end}", f"the definition of view 'v' {end}")


@pytest.mark.sweep(4)
@pytest.mark.parametrize("columns", [1, 49, 50, 51, 101, 600, 1999, 2000])
@pytest.mark.parametrize("style", ["rowid", "WITHOUT ROWID", "alias"])
def test_a_table_of_very_many_columns_comes_back_in_a_script(
    columns: int, style: str, tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    """SQLite's limits are 2000 columns, also of a result, and expressions 1000 deep."""
    source = tmp_path / "wide.db"
    kinds = [" INTEGER PRIMARY KEY" if style == "alias" else " PRIMARY KEY" if style != "rowid" else ""]
    names = ", ".join(f"c{number}{''.join(kinds[number : number + 1])}" for number in range(columns))
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute(f"CREATE TABLE t({names}) {style if style.startswith('WITHOUT') else ''}")
        for row in (3, 5, 8):
            values = ", ".join([str(row), *(repr(f"{row} {number}") for number in range(1, columns))])
            connection.execute(f"INSERT INTO t VALUES ({values})")
        connection.execute("DELETE FROM t WHERE c0 = 3")
    _, loaded, shell = by_script(source, tmp_path, backups)
    assert picture(loaded, layout=False) == picture(source, layout=False)
    assert picture(shell, layout=False) == picture(source, layout=False)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("size", [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_every_page_size_comes_back_with_an_unmerged_log(
    size: int, mode: str, tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    source = tmp_path / "pages.db"
    pragmas = (f"page_size={size}", f"auto_vacuum={size // 512 % 3}", f"journal_mode={mode}", "wal_autocheckpoint=0")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
        rng = random.Random(size)
        for _ in range(6):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO t(x) VALUES (?)", [(rng.randbytes(900),) for _ in range(150)])
            connection.execute("UPDATE t SET x = 'short' WHERE id % 3 = ?", (rng.randrange(3),))
            connection.execute("DELETE FROM t WHERE id % 7 = ?", (rng.randrange(7),))
            connection.execute("COMMIT")
        assert (os.path.getsize(f"{source}-wal") > 0) if mode == "wal" else True
        for method in ("raw", "backup"):
            copy = backups.restore(backups.make(source, options={"method": method}), tmp_path / f"{method}.db")
            with closing(sqlite3.connect(copy)) as restored:
                assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            # A backup by SQLite itself counts as one more change of the schema.
            assert picture(copy, layout=method == "raw") == picture(source, layout=method == "raw")


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("style", ["image", "sql"])
def test_encodings_and_pragmas_come_back(
    encoding: str, style: str, tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    source = tmp_path / "encoded.db"
    sql = (
        ODD["names with quotes"]
        + ODD["autoincrement with gaps"]
        + """
        CREATE TABLE t(x); INSERT INTO t VALUES ('ä☃𝄞'), ('a' || char(0)), ('a' || char(13) || char(10));
    """
    )
    build(
        source, sql, f"encoding='{encoding}'", "page_size=8192", "auto_vacuum=2", "journal_mode=wal",
        "user_version=2147483647", "application_id=-1",
    )  # fmt: skip
    copy = backups.restore(backups.make(source, options={"format": style}), tmp_path / "copy.db")
    assert picture(copy, layout=style == "image") == picture(source, layout=style == "image")


def test_ten_thousand_random_floats_come_back_to_the_bit(tmp_path: Path, backups: Any) -> None:
    source, rng = tmp_path / "floats.db", random.Random(3)
    floats = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(10_000)]
    floats = [number for number in floats if number == number] + [rng.random() for _ in range(1000)]
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE f(x REAL)")
        connection.executemany("INSERT INTO f VALUES (?)", [(number,) for number in floats])
    copy = backups.restore(backups.make(source, options={"format": "sql"}), tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection:
        assert [row[0] for row in connection.execute("SELECT x FROM f ORDER BY rowid")] == floats


def test_a_database_with_functions_and_collations_of_its_application_is_backed_up(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "own.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.create_collation("mine", lambda a, b: (a > b) - (a < b))
        connection.create_function("doubled", 1, lambda x: 2 * x, deterministic=True)
        connection.execute("CREATE TABLE t(a TEXT COLLATE mine PRIMARY KEY, b INT, c AS (doubled(b)))")
        connection.execute("CREATE INDEX i ON t(doubled(b))")
        connection.executemany("INSERT INTO t(a, b) VALUES (?, ?)", [("x", 1), ("y", 2)])
    record = backups.make(source)
    assert record.state == "complete"
    copy = backups.restore(record, tmp_path / "copy.db")
    assert copy.read_bytes() == source.read_bytes()
