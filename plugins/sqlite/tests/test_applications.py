"""Databases of well-known applications and libraries, in the shapes in which reports of them speak of false alarms."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import rows, run

import holdfast


def fold(left: str, right: str) -> int:
    """An order as applications bring one along (Anki's unicase, Plex' icu_root); not that of the bytes."""
    return (left.lower() > right.lower()) - (left.lower() < right.lower())


def warnings(source: Path, backups: Any, **options: Any) -> tuple[str, ...]:
    """What is said of a source by a backup and, which is the same, by a drill of it."""
    record = backups.make(source, **options)
    result = holdfast.drill(record, store=str(backups.store))
    assert (record.state, result.passed, result.problems) == ("complete", True, ())
    return (*record.warnings, *result.warnings)


@pytest.mark.parametrize("check", [True, "full"])
def test_no_table_is_compared_in_another_order_than_its_applications(check: Any, tmp_path: Path, backups: Any) -> None:
    """Anki: several tables are ordered by a collation that is not here, and none of them is at fault."""
    source = tmp_path / "collection.anki2"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.create_collation("unicase", fold)
        connection.executescript("""
            CREATE TABLE notetypes(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE unicase);
            CREATE UNIQUE INDEX idx_notetypes_name ON notetypes(name);
            CREATE TABLE tags(tag TEXT NOT NULL PRIMARY KEY COLLATE unicase, usn INT NOT NULL) WITHOUT ROWID;
            CREATE TABLE decks(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE unicase);
            CREATE UNIQUE INDEX idx_decks_name ON decks(name);
            INSERT INTO notetypes VALUES (1, 'Cloze'), (2, 'basic'); INSERT INTO tags VALUES ('Leech', 1), ('abc', 0);
            INSERT INTO decks VALUES (1, 'Zulu'), (2, 'alpha'), (3, 'Mike');""")
    said = set(warnings(source, backups, check=check))
    assert said == {
        f"table {table} with its indexes could not be checked: no such collation sequence: unicase"
        for table in ("notetypes", "tags", "decks")
    }


KEYS = [
    "CREATE TABLE t(a, b INT NOT NULL, c TEXT NOT NULL, PRIMARY KEY(c, b)) WITHOUT ROWID",
    "CREATE TABLE t(a, b, c NOT NULL, PRIMARY KEY(c DESC, a, b)) WITHOUT ROWID",
    "CREATE TABLE t(a NOT NULL, b NOT NULL, c AS (b) STORED NOT NULL, d PRIMARY KEY) WITHOUT ROWID",
]


@pytest.mark.parametrize("check", [True, "full"])
@pytest.mark.parametrize("key", KEYS)
def test_no_null_is_said_to_be_where_none_is(key: str, check: Any, tmp_path: Path, backups: Any) -> None:
    """quick_check of SQLite 3.40, which Debian 12 has, takes one column of such tables for another."""
    source = tmp_path / "app.db"
    columns = "a, b, d" if "STORED" in key else "a, b, c"
    run(source, f"{key}; INSERT INTO t({columns}) VALUES (1, 2, 3), (4, 5, 6)")
    assert warnings(source, backups, check=check) == ()


def test_nulls_that_are_there_are_said(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    run(source, "CREATE TABLE t(a, b, c INT NOT NULL, PRIMARY KEY(c)) WITHOUT ROWID; INSERT INTO t VALUES (1, NULL, 2)")
    run(source, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'b,', 'b NOT NULL,')")
    (said,) = set(warnings(source, backups, check=True))
    assert said == "NULL value in t.b: against the declaration of the table, kept as it is"


def test_an_index_that_only_the_application_can_fill_is_not_at_fault(tmp_path: Path, backups: Any) -> None:
    """libSQL keeps a vector index in tables beside it, and the tree of the index itself empty."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.create_function("libsql_vector_idx", -1, lambda *values: values[0], deterministic=True)
        connection.executescript("""
            CREATE TABLE movies(id INTEGER PRIMARY KEY, title TEXT, embedding F32_BLOB(3));
            INSERT INTO movies VALUES (1, 'Kelp', x'0000803f'), (2, 'Rock', x'00004040');
            CREATE TABLE bare(embedding); CREATE INDEX movies_idx ON bare(libsql_vector_idx(embedding));
            PRAGMA writable_schema = ON; UPDATE sqlite_schema SET tbl_name = 'movies',
            sql = 'CREATE INDEX movies_idx ON movies(libsql_vector_idx(embedding))' WHERE name = 'movies_idx'""")
    for check in (True, "full"):
        for line in warnings(source, backups, check=check):
            assert "could not be checked" in line
            assert "REINDEX" not in line


def test_a_selection_names_the_tables_of_a_vector_index_that_it_leaves_out(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.create_function("libsql_vector_idx", -1, lambda *values: values[0], deterministic=True)
        connection.executescript("""
            CREATE TABLE movies(id INTEGER PRIMARY KEY, embedding F32_BLOB(3));
            CREATE TABLE libsql_vector_meta_shadow(name TEXT PRIMARY KEY, metadata BLOB) WITHOUT ROWID;
            CREATE TABLE movies_idx_shadow(index_key INTEGER, data BLOB, PRIMARY KEY (index_key));
            CREATE INDEX movies_idx ON movies(libsql_vector_idx(embedding))""")
    assert backups.make(source, select=["movies"]).warnings == (
        "index movies_idx is restored and keeps its entries in movies_idx_shadow, which is not",
        "index movies_idx is restored and keeps its entries in libsql_vector_meta_shadow, which is not",
    )
    assert backups.make(source, select=["movies*", "libsql*"]).warnings == ()


def test_an_index_that_is_named_like_one_of_sqlites_own_is_kept_or_refused(tmp_path: Path, backups: Any) -> None:
    """Some tools give an index such a name and a definition; no SQLite makes it again, and none may be lost."""
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    run(source, "CREATE TABLE t(a, b UNIQUE); INSERT INTO t VALUES (1, 2); CREATE UNIQUE INDEX i ON t(a)")
    run(
        source,
        """PRAGMA writable_schema = ON; UPDATE sqlite_schema SET name = 'sqlite_autoindex_t_v2',
        sql = 'CREATE UNIQUE INDEX sqlite_autoindex_t_v2 ON t(a)' WHERE name = 'i'""",
    )
    run(target, "CREATE TABLE t(a); CREATE TABLE stays(x)")
    with pytest.raises(holdfast.HoldfastError, match="index 'sqlite_autoindex_t_v2' would not be loaded: object name"):
        backups.make(source, options={"format": "sql"})
    record = backups.make(source)
    assert backups.restore(record, tmp_path / "copy.db").read_bytes() == source.read_bytes()
    with pytest.raises(holdfast.HoldfastError, match="index sqlite_autoindex_t_v2 cannot be made in the target"):
        backups.restore(record, target, select=["t"], replace=True)
    assert rows(target, "SELECT name FROM sqlite_schema ORDER BY 1") == [("stays",), ("t",)]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_a_table_of_as_many_columns_as_there_may_be_is_merged(encoding: str, tmp_path: Path, backups: Any) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    columns = ", ".join(f"c{number}" for number in range(2000))
    run(source, f"CREATE TABLE wide({columns}); INSERT INTO wide(rowid, c0, c1999) VALUES (7, 1, 'x'), (-7, 2, 'y')")
    run(target, f"PRAGMA encoding='{encoding}'; CREATE TABLE stays(x)")
    backups.restore(backups.make(source), target, select=["wide"])
    query = "SELECT rowid, c0, c1, c1999 FROM wide ORDER BY rowid"
    assert rows(target, query) == rows(source, query) == [(-7, 2, None, "y"), (7, 1, None, "x")]


def test_a_merge_warns_where_the_target_may_have_checksums_of_its_pages(tmp_path: Path, backups: Any) -> None:
    """The checksum VFS calls every page that SQLite has written without it a disk I/O error."""
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    run(source, "CREATE TABLE t(a)")
    shell = ".filectrl reserve_bytes 8\nCREATE TABLE stays(x);"
    subprocess.run(["sqlite3", target], input=shell, text=True, check=True, capture_output=True)
    run(target, "VACUUM")
    assert target.read_bytes()[20] == 8
    record = backups.make(source)
    result = holdfast.restore(record, f"sqlite:///{target}", store=str(backups.store), select=["t"])
    assert [line for line in result.warnings if "checksums" in line]
