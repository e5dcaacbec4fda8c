"""What a selection keeps and what it says, by the rules that hold for any schema."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.child.selection import select_tables

Select = Callable[..., tuple[set[str], list[str]]]


def plain(*names: str) -> str:
    return "".join(
        f'CREATE TABLE "{name}"(id INTEGER PRIMARY KEY, x); INSERT INTO "{name}" VALUES (7, 1);' for name in names
    )


def with_suffixes(name: str, suffixes: tuple[str, ...]) -> set[str]:
    return {name, *(f"{name}_{suffix}" for suffix in suffixes)}


def test_what_belongs_to_a_table_of_an_unknown_module_stays_and_is_told(select: Select) -> None:
    script = "CREATE VIRTUAL TABLE ev USING who_knows(x);" + plain("ev_chunks", "ev_jobs", "other")
    why = "because its module 'who_knows' is not known, nor what belongs to it"
    both = "ev_chunks, ev_jobs"
    assert select(script, exclude=("ev",)) == (
        {"ev_chunks", "ev_jobs", "other"},
        [f"{both}: restored although virtual table ev is not, {why}; exclude what does"],
    )  # fmt: skip


def test_what_may_belong_to_a_table_of_an_unknown_module_is_brought_and_told(select: Select) -> None:
    """The table of a full-text index that may be its own comes whole."""
    script = "CREATE VIRTUAL TABLE ev USING vec0(e float[4]);" + plain("ev_chunks", "ev_data", "evening")
    script += "CREATE VIRTUAL TABLE ev_fts USING fts5(x, columnsize=0);"
    why = "because its module 'vec0' is not known, nor what belongs to it"
    kept = {"ev", "ev_data", *with_suffixes("ev_fts", ("config", "content", "data", "idx"))}
    assert select(script, select=("ev",), exclude=("ev_ch*",)) == (
        kept, [f"ev_data, ev_fts: restored with virtual table ev, {why}; exclude what does not",
               "ev_chunks: not restored, but may belong to virtual table ev, which is"],
    )  # fmt: skip


@pytest.mark.parametrize("own", ["ev_jobs", "EV_JOBS", "ev_j*"])
def test_a_table_that_may_belong_to_another_can_be_chosen_alone(own: str, select: Select) -> None:
    script = "CREATE VIRTUAL TABLE ev USING vec0(e float[4]);" + plain("ev_chunks", "ev_jobs")
    assert select(script, select=(own,)) == ({"ev_jobs"}, [])


@pytest.mark.parametrize(
    ("choice", "error", "hint"),
    [
        ({"select": ("docs_data",)},
         "no table 'docs_data' of its own: 'Docs_data' belongs to the virtual table 'Docs'",
         "name 'Docs', with which its inner tables go"),
        ({"exclude": ("DOCS_c*",)},
         "no table 'DOCS_c*' of its own: 'Docs_config' belongs to the virtual table 'Docs'",
         "name 'Docs', with which its inner tables go"),
        ({"select": ("sqlite_seq*",)},
         "no table 'sqlite_seq*': 'sqlite_sequence' is SQLite's own and goes with its table", None),
        ({"select": ("by_x",)}, "no table 'by_x': 'by_x' is the index of table 'plain' and goes with its table", None),
        ({"exclude": ("noted",)},
         "no table 'noted': 'noted' is the trigger of table 'plain' and goes with its table", None),
        ({"select": ("plain", "gone_*")}, "no table 'gone_*' (it has: 'plain', 'Docs', 'seen')", None),
    ],
)  # fmt: skip
def test_what_goes_with_another_cannot_be_chosen_alone(
    choice: dict[str, Any], error: str, hint: str | None, select: Select
) -> None:
    script = (
        "CREATE TABLE plain(id INTEGER PRIMARY KEY AUTOINCREMENT, x); CREATE INDEX by_x ON plain(x);"
        "CREATE VIRTUAL TABLE Docs USING fts5(x); CREATE VIEW seen AS SELECT 1;"
        "CREATE TRIGGER noted AFTER INSERT ON Plain BEGIN SELECT 1; END;"
    )
    with pytest.raises(TaskError) as failure:
        select(script, **choice)
    assert str(failure.value) == f"the database has {error}"
    assert failure.value.hint == hint


def test_inner_tables_that_a_pattern_is_true_of_and_go_another_way_are_told(select: Select) -> None:
    script = "CREATE VIRTUAL TABLE docs USING fts5(x, columnsize=0);" + plain("docs_notes", "other")
    inner = "docs_config, docs_content, docs_data, docs_idx"
    owner = "virtual table docs, to which they belong"
    assert select(script, select=("docs_*",)) == ({"docs_notes"}, [f"{inner}: not restored, nor is {owner}"])


def test_inner_tables_that_a_pattern_leaves_out_stay_with_their_table(select: Select) -> None:
    script = "CREATE VIRTUAL TABLE docs USING fts5(x, columnsize=0);" + plain("docs_notes", "other")
    inner = "docs_config, docs_content, docs_data, docs_idx"
    kept = {"docs", "other", *inner.split(", ")}
    assert select(script, exclude=("docs_*",)) == (
        kept, [f"{inner}: restored with virtual table docs, to which they belong"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("a[b]", {"a[b]"}),
        ("A[B]", {"a[b]"}),
        ("a[[]b]", {"a[b]"}),
        ("a[bx]", {"ab"}),
        ("log*", {"log*"}),
        ("log[*]", {"log*"}),
        ("log?", {"log*", "log1"}),
        ("l*", {"log*", "log1", "log 2"}),
        ("what?", {"what?"}),
        ("it's", {"it's"}),
        ("é", {"é"}),
        ("É", {"É"}),
        ("*É*", {"É"}),
        ("C D", {"c d"}),
        ('say "x"', {'say "x"'}),
    ],
)
def test_a_name_is_a_name_before_it_is_a_pattern(pattern: str, kept: set[str], select: Select) -> None:
    """Letters of ASCII are the same in either case, others are not, as SQLite has it."""
    names = ("a[b]", "ab", "log*", "log1", "log 2", "what?", "whats", "it's", "é", "É", "c d")
    script = plain(*names) + 'CREATE TABLE "say ""x"" "(x); CREATE TABLE "say ""x"""(x);'
    assert select(script, select=(pattern,)) == (kept, [])


def test_references_are_what_sqlite_takes_for_them(select: Select) -> None:
    """Columns and texts may bear the name of a table; a table may be written like a text."""
    script = (
        plain("gone", "part", "kept") + "CREATE TABLE t(gone, part, n CHECK (n <> 'gone'));"
        "CREATE VIEW a AS SELECT gone, part AS kept FROM t; CREATE VIEW b AS SELECT 1 FROM 'gone';"
        "CREATE VIEW c AS SELECT * FROM b;"
        "CREATE VIEW d AS WITH gone AS (SELECT 1 AS x) SELECT x FROM gone;"
        "CREATE VIEW e AS SELECT part FROM t JOIN main.[GONE] ON n = [GONE].x WHERE unheard_of(part COLLATE strange);"
        "CREATE TRIGGER f AFTER INSERT ON T WHEN unheard_of(new.gone) BEGIN SELECT new.part; END;"
        "CREATE TRIGGER g AFTER UPDATE OF gone ON t BEGIN UPDATE kept SET x = old.part WHERE id IN gone; END;"
        "CREATE TRIGGER h AFTER INSERT ON kept BEGIN INSERT INTO t(gone) SELECT x FROM part; END;"
        "CREATE TRIGGER i INSTEAD OF DELETE ON a BEGIN DELETE FROM part WHERE x = old.gone; END;"
        "CREATE VIEW j AS SELECT n AS gone, unknown_to_all(n) AS m FROM t;"
        "CREATE TRIGGER k INSTEAD OF UPDATE ON j BEGIN UPDATE kept SET x = new.gone; SELECT 1 FROM part; END;"
    )  # fmt: skip
    kept, told = select(script, exclude=("gone", "part"))
    assert kept == {"kept", "t", *"abcdej"}
    assert told == [
        f"{what} is restored and refers to {name}, which is not"
        for what, name in (
            ("view b", "gone"), ("view e", "gone"), ("trigger g", "gone"), ("trigger h", "part"), ("trigger i", "part"),
            ("trigger k", "part"),
        )
    ]  # fmt: skip


def test_references_that_sqlite_cannot_tell_are_looked_for_in_the_text(select: Select) -> None:
    """As where a trigger writes into a table whose module is not here."""
    script = (
        plain("gone", "part", "t") + "CREATE VIRTUAL TABLE v USING who_knows(x);"
        + "CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO v SELECT x, t.part FROM main.gone; END;"
        "CREATE VIEW b AS SELECT v.gone, 'part' FROM v;"
    )  # fmt: skip
    kept, told = select(script, exclude=("gone", "part"))
    assert kept == {"t", "v", "b"}
    assert told == ["trigger a is restored and refers to gone, which is not"]


def test_what_sqlite_counts_and_measures_goes_with_its_table(tmp_path: Path, select: Select) -> None:
    script = """
    CREATE TABLE a(i INTEGER PRIMARY KEY AUTOINCREMENT, x); CREATE INDEX ax ON a(x); INSERT INTO a(x) VALUES (1), (2);
    CREATE TABLE B(i INTEGER PRIMARY KEY AUTOINCREMENT, x); CREATE INDEX bx ON b(x); INSERT INTO b(x) VALUES (1), (2);
    CREATE TABLE k(a TEXT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO k VALUES ('z', 1), ('y', 1);
    CREATE VIRTUAL TABLE v USING fts4(x); INSERT INTO v VALUES ('word'); DELETE FROM a WHERE i = 2; ANALYZE;
    """
    assert select(script, select=("a", "K")) == ({"a", "k"}, [])
    with closing(sqlite3.connect(tmp_path / "target.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT * FROM sqlite_sequence").fetchall() == [("a", 2)]
        assert connection.execute("SELECT DISTINCT tbl FROM sqlite_stat1 ORDER BY 1").fetchall() == [("a",), ("k",)]
        assert connection.execute("SELECT * FROM k").fetchall() == [("y", 1), ("z", 1)]


def test_a_user_s_table_that_drop_table_would_take_along_stays(tmp_path: Path, select: Select) -> None:
    """DROP TABLE of an FTS3 table drops its _docsize and _stat, whoever made them."""
    script = "CREATE VIRTUAL TABLE docs USING fts3(x);" + plain("docs_docsize", "docs_stat")
    assert select(script, exclude=("docs",)) == ({"docs_docsize", "docs_stat"}, [])
    with closing(sqlite3.connect(tmp_path / "target.db")) as connection:
        assert connection.execute("SELECT * FROM docs_docsize, docs_stat").fetchall() == [(7, 1, 7, 1)]


@pytest.mark.parametrize(
    "application",
    [
        "CREATE TABLE a(x TEXT COLLATE unicase UNIQUE); INSERT INTO a VALUES ('B'), ('a');",
        "CREATE TABLE a(x TEXT PRIMARY KEY COLLATE unicase) WITHOUT ROWID; INSERT INTO a VALUES ('B'), ('a');",
        "CREATE TABLE a(x TEXT); CREATE INDEX ax ON a(stem(x)); INSERT INTO a VALUES ('B'), ('a');",
        "CREATE TABLE a(x TEXT CHECK (stem(x) <> 'c'), y AS (stem(x))); INSERT INTO a VALUES ('B'), ('a');",
    ],
)
@pytest.mark.parametrize("wal", [False, True])
def test_what_needs_the_application_is_chosen_and_nothing_of_the_rest_is_in_the_file(
    application: str, wal: bool, tmp_path: Path
) -> None:
    """As in Anki's collection: VACUUM would need what only the application has."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        lend(connection)
        connection.executescript(
            f"CREATE TABLE hidden(x); {application}"
            "CREATE VIRTUAL TABLE v USING fts5(x); INSERT INTO v VALUES ('secret');"
        )
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO hidden VALUES (?)", [("secret" * n,) for n in range(2000)])
        connection.execute("COMMIT")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        assert select_tables(connection, str(target), select=("a",), exclude=()) == []
    assert target.read_bytes()[18:20] == (b"\2\2" if wal else b"\1\1")
    assert b"secret" not in target.read_bytes()
    with closing(sqlite3.connect(target)) as connection:
        lend(connection)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT x FROM a ORDER BY x COLLATE unicase").fetchall() == [("a",), ("B",)]
        assert connection.execute("SELECT DISTINCT tbl_name FROM sqlite_schema").fetchall() == [("a",)]


def lend(connection: sqlite3.Connection) -> None:
    """What the application has and nobody else."""
    connection.create_collation(
        "unicase", lambda left, right: (left.lower() > right.lower()) - (left.lower() < right.lower())
    )
    connection.create_function("stem", 1, lambda text: text[:1], deterministic=True)


@pytest.mark.parametrize("wal", [False, True])
def test_a_selection_that_leaves_nothing_out_is_the_database_as_it_was(wal: bool, tmp_path: Path) -> None:
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        connection.executescript(
            "CREATE TABLE a(i INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO a(x) VALUES (1), (2); ANALYZE;"
            "DELETE FROM a WHERE i = 2; CREATE VIEW v AS SELECT x FROM a; CREATE INDEX ax ON a(x);"
        )
        dump = list(connection.iterdump())
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        assert select_tables(connection, str(target), select=("*",), exclude=()) == []
    assert target.read_bytes()[18:20] == (b"\2\2" if wal else b"\1\1")
    with closing(sqlite3.connect(target)) as connection:
        assert list(connection.iterdump()) == dump
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_damaged_table_can_be_left_out(tmp_path: Path) -> None:
    """Nothing of what is left out is read."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.executescript(plain("sound", "broken") + "CREATE INDEX i ON broken(x);")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO broken(x) VALUES (?)", [("x" * 1000,) for _ in range(100)])
        connection.execute("COMMIT")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'broken'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with source.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        assert select_tables(connection, str(target), select=(), exclude=("broken",)) == []
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT * FROM sound").fetchall() == [(7, 1)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_names_and_texts_that_are_not_utf_8_are_left_out_and_kept(tmp_path: Path) -> None:
    """As old programs for Windows wrote them, in Latin-1."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    script = """
        CREATE TABLE "caf~"(x PRIMARY KEY); CREATE TABLE other("pr~nom" DEFAULT 'caf~'); CREATE VIEW "v~" AS SELECT 1;
        INSERT INTO "caf~" VALUES (1); INSERT INTO other VALUES ('pr~'); CREATE INDEX "caf~ i" ON "caf~"(x);
        CREATE VIEW "~2" AS SELECT * FROM "caf~"; CREATE TABLE child(y REFERENCES "caf~");
        CREATE TRIGGER "t~" AFTER UPDATE ON other BEGIN SELECT * FROM "caf~"; END;
    """
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(script)
    source.write_bytes(source.read_bytes().replace(b"~", b"\xe9"))
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        told = select_tables(connection, str(target), select=(), exclude=(os.fsdecode(b"CAF\xe9"),))
    assert told == [
        r"view \xe92 is restored and refers to caf\xe9, which is not",
        r"table child is restored and its foreign key refers to caf\xe9, which is not",
        r"trigger t\xe9 is restored and refers to caf\xe9, which is not",
    ]
    with closing(sqlite3.connect(target)) as connection:
        connection.text_factory = bytes
        names = connection.execute("SELECT name FROM sqlite_schema ORDER BY rowid").fetchall()
        assert names == [(b"other",), (b"child",), (b"v\xe9",), (b"\xe92",), (b"t\xe9",)]
        assert connection.execute("SELECT count(*) FROM other").fetchall() == [(1,)]


def test_names_are_shown_on_one_line(select: Select) -> None:
    script = plain("go\ne\x1b") + 'CREATE TABLE t(x REFERENCES "GO\ne\x1b");'
    told = r"table t is restored and its foreign key refers to go\ne\x1b, which is not"
    assert select(script, select=("t",)) == ({"t"}, [told])
