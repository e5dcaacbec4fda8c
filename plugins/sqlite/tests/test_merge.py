"""Selected tables come into a database that holds more: they take the place of their likes, and all else stays."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import rows, run

import holdfast
from holdfast.errors import LockedError, UnsafeError, UsageError

SOURCE = """
CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE, note BLOB);
INSERT INTO users VALUES (1, 'Ann', x'00ff'), (2, 'Bob', NULL), (40, 'Cyd', 'text');
DELETE FROM users WHERE id = 40;
CREATE INDEX users_note ON users(note) WHERE note IS NOT NULL;
CREATE TRIGGER users_new AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.id, 'source'); END;
CREATE TABLE orders(id INTEGER PRIMARY KEY, user REFERENCES users(id) ON DELETE CASCADE);
INSERT INTO orders VALUES (1, 1);
CREATE TABLE log(user, what);
CREATE VIEW names AS SELECT name FROM users;
CREATE VIRTUAL TABLE docs USING fts5(title, body);
INSERT INTO docs VALUES ('kelp', 'holdfasts grip rock');
CREATE TABLE heap(value); INSERT INTO heap(rowid, value) VALUES (7, 'seven'), (4000, 4.0), (9, NULL);
CREATE TABLE pair(a TEXT, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pair VALUES ('x', 1), ('y', x'31');
CREATE TABLE made(a INTEGER, b INT AS (a * 2) STORED, c INT AS (a + 1), d TEXT) STRICT;
INSERT INTO made(a, d) VALUES (4, 'd');
"""
TODAY = """
DELETE FROM orders; INSERT INTO orders VALUES (7, 2), (8, 1);
DELETE FROM log; INSERT INTO log VALUES (0, 'work of today');
DROP TRIGGER users_new;
UPDATE users SET name = name || '!';
INSERT INTO heap VALUES ('more'); DELETE FROM pair; UPDATE made SET a = 5; DELETE FROM docs;
CREATE TABLE late(x); INSERT INTO late VALUES (1);
CREATE TRIGGER orders_gone AFTER DELETE ON orders BEGIN INSERT INTO log SELECT id, name FROM users; END;
"""


def everything(path: Path) -> dict[str, Any]:
    """Each object with its definition and, of a table, its rows with their rowids."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        seen: dict[str, Any] = {}
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall():
            content = None
            quoted = name.decode().replace('"', '""')
            if kind == b"table" and sql and not sql.startswith(b"CREATE VIRTUAL"):
                try:
                    content = connection.execute(f'SELECT rowid, * FROM "{quoted}" ORDER BY 1').fetchall()
                except sqlite3.OperationalError:
                    content = connection.execute(f'SELECT * FROM "{quoted}" ORDER BY 1').fetchall()
            seen[f"{kind.decode()} {name.decode()}"] = (sql, content)
        return seen


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    run(path, SOURCE)
    return path


@pytest.fixture
def record(source: Path, backups: Any) -> holdfast.Backup:
    made: holdfast.Backup = backups.make(source)
    run(source, TODAY)
    return made


@pytest.fixture
def restore(backups: Any) -> Callable[..., Any]:
    def restored(record: holdfast.Backup, target: Path, **options: Any) -> Any:
        return holdfast.restore(record, f"sqlite:///{target}", store=str(backups.store), **options)

    return restored


def check(path: Path) -> None:
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    names = [row[0] for row in rows(path, "SELECT name FROM sqlite_schema")]
    assert not [name for name in names if "holdfast" in name]
    assert sorted(file.name for file in path.parent.iterdir()) == ["app.db", "store"]


TABLES = ["users", "heap", "pair", "made", "docs", "orders", "names"]


@pytest.mark.parametrize(
    ("name", "style", "mode"),
    [*((name, "image", "delete") for name in TABLES), *((name, "sql", "wal") for name in ("users", "heap", "docs"))],
)
def test_a_table_takes_the_place_of_its_like_and_all_else_stays(
    name: str, style: str, mode: str, source: Path, backups: Any, restore: Callable[..., Any]
) -> None:
    record = backups.make(source, options={"format": style})
    saved = everything(source)
    run(source, f"PRAGMA journal_mode={mode}; {TODAY}")
    now = everything(source)
    if name == "orders":
        del now["trigger orders_gone"]
    restore(record, source, select=(name,), replace=True)
    with closing(sqlite3.connect(source)) as connection:
        of_table = {
            f"{kind} {entry}"
            for kind, entry, on in connection.execute("SELECT type, name, tbl_name FROM sqlite_schema")
            if on == name or (name == "docs" and on.startswith("docs_"))
        }
    restored = everything(source)
    sequences = [seen.pop("table sqlite_sequence") for seen in (saved, now, restored)]
    assert restored == {**now, **{key: saved[key] for key in of_table}}
    assert sequences[2] == sequences[0]
    assert rows(source, "PRAGMA journal_mode") == [(mode,)]
    if name == "docs":
        assert rows(source, "SELECT title FROM docs WHERE docs MATCH 'grip'") == [("kelp",)]
        run(source, "INSERT INTO docs VALUES ('storm', 'waves grip')")
        assert len(rows(source, "SELECT title FROM docs WHERE docs MATCH 'grip'")) == 2
        run(source, "INSERT INTO docs(docs) VALUES ('integrity-check')")
    check(source)


def test_without_replace_it_is_said_what_would_be_replaced_and_nothing_is_touched(
    source: Path, record: holdfast.Backup, restore: Callable[..., Any]
) -> None:
    before = source.read_bytes()
    for dry_run in (False, True):
        with pytest.raises(UnsafeError, match=r"already holds table users .2 rows.$") as caught:
            restore(record, source, select=("users",), dry_run=dry_run)
        hint = caught.value.hint or ""
        assert "leave all other tables as they are: table users: replaced (2 rows by 2 rows)" in hint
    assert source.read_bytes() == before


def test_a_table_that_is_not_there_is_added_without_replace(
    source: Path, record: holdfast.Backup, restore: Callable[..., Any]
) -> None:
    saved = rows(source, "SELECT * FROM orders")
    run(source, "DROP TABLE users; PRAGMA user_version=9")
    result = restore(record, source, select=("users",))
    assert rows(source, "SELECT id, name FROM users") == [(1, "Ann"), (2, "Bob")]
    assert rows(source, "SELECT seq FROM sqlite_sequence WHERE name = 'users'") == [(40,)]
    assert rows(source, "SELECT * FROM orders") == saved
    assert rows(source, "PRAGMA user_version") == [(9,)]
    assert result.warnings == ()
    check(source)


def test_counters_and_statistics_of_others_stay(source: Path, backups: Any, restore: Callable[..., Any]) -> None:
    run(source, "CREATE TABLE other(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO other VALUES (5); ANALYZE")
    saved = rows(source, "SELECT * FROM sqlite_stat1 WHERE tbl = 'users'")
    record = backups.make(source)
    run(source, "INSERT INTO other VALUES (9); ANALYZE; INSERT INTO sqlite_sequence VALUES (NULL, 1), (7, 2)")
    others = rows(source, "SELECT * FROM sqlite_stat1 WHERE tbl <> 'users'")
    restore(record, source, select=("users",), replace=True)
    assert rows(source, "SELECT * FROM sqlite_sequence ORDER BY 1") == [(None, 1), (7, 2), ("other", 9), ("users", 40)]
    assert set(rows(source, "SELECT * FROM sqlite_stat1")) == {*others, *saved}


def test_rows_of_others_are_neither_cascaded_nor_checked_away_but_told_of(
    source: Path, backups: Any, restore: Callable[..., Any]
) -> None:
    """DROP TABLE deletes its rows first where foreign keys are on, and with them those that refer to them."""
    record = backups.make(source)
    run(source, "INSERT INTO users VALUES (50, 'Dan', NULL); INSERT INTO orders VALUES (5, 50), (6, 50)")
    result = restore(record, source, select=("users",), replace=True)
    assert rows(source, "SELECT * FROM orders") == [(1, 1), (5, 50), (6, 50)]
    assert result.warnings == ("table orders has 2 rows whose foreign key leads to no row of table users",)


def test_what_stays_and_no_longer_fits_is_told_of(source: Path, backups: Any, restore: Callable[..., Any]) -> None:
    record = backups.make(source)
    run(source, """ALTER TABLE users ADD COLUMN age; CREATE VIEW old AS SELECT age FROM users;
        CREATE TRIGGER heap_new AFTER INSERT ON heap BEGIN UPDATE users SET age = 1; END;
        CREATE VIRTUAL TABLE found USING fts5(name, content=users, content_rowid=id);
        INSERT INTO found(found) VALUES ('rebuild');""")  # fmt: skip
    rebuild = "rebuild it (INSERT INTO found(found) VALUES('rebuild')), unless that holds the same as before"
    assert restore(record, source, select=("users",), replace=True).warnings == (
        "view old cannot be used in the target: no such column: age",
        "trigger heap_new cannot be used in the target: no such column: age",
        f"the virtual table found (fts5) keeps an index of users, which was restored: {rebuild}",
    )
    assert rows(source, "SELECT sql FROM sqlite_schema WHERE name = 'old'")


def test_a_trigger_that_speaks_of_a_table_which_the_target_has_is_no_reason_to_warn(
    source: Path, record: holdfast.Backup, restore: Callable[..., Any], tmp_path: Path
) -> None:
    assert restore(record, source, select=("users",), replace=True).warnings == ()
    other = tmp_path / "other.db"
    run(other, "CREATE TABLE something(x)")
    assert restore(record, other, select=("users",)).warnings == (
        "trigger users_new cannot be used in the target: no such table: main.log",
    )


@pytest.mark.parametrize(
    ("script", "select", "said"),
    [
        ("CREATE INDEX users_note ON late(x)", "users", "the target has an index of late with this name"),
        ("CREATE TABLE users_note(x)", "users", "the target has a table with this name"),
        (
            "CREATE TRIGGER users_new AFTER INSERT ON late BEGIN SELECT 1; END",
            "users",
            "the target has a trigger of late with this name",
        ),
        ("CREATE TABLE docs_data(x)", "docs", "has a table that does not belong to a virtual table docs"),
        ("CREATE INDEX users ON late(x)", "users", "users cannot be put in: the target has an index of table late"),
        ("CREATE VIRTUAL TABLE us USING fts5(x); ALTER TABLE us RENAME TO u", "u_data", "part of the virtual table u"),
    ],
)
def test_names_that_others_have_taken_are_a_refusal(
    script: str, select: str, said: str, source: Path, backups: Any, restore: Callable[..., Any], tmp_path: Path
) -> None:
    run(source, "CREATE TABLE u_data(x)")
    record = backups.make(source)
    target = tmp_path / "app.db"
    target.unlink()
    run(target, f"CREATE TABLE late(x); {script}")
    before = target.read_bytes()
    for dry_run in (True, False):
        with pytest.raises(UnsafeError, match=said):
            restore(record, target, select=(select,), replace=True, dry_run=dry_run)
    assert target.read_bytes() == before


def test_a_name_that_is_not_utf8_hinders_only_what_names_it(
    source: Path, record: holdfast.Backup, restore: Callable[..., Any]
) -> None:
    """A table and a trigger of the target that no statement of Python's can name stay as they are."""
    run(
        source,
        """CREATE TABLE zz(x REFERENCES users(id)); INSERT INTO zz VALUES (2), (77);
        CREATE TRIGGER zz_new AFTER INSERT ON zz BEGIN DELETE FROM log; END; PRAGMA writable_schema=ON;
        UPDATE sqlite_schema SET name = replace(name, 'zz', CAST(x'6bff' AS TEXT)),
            tbl_name = CAST(x'6bff' AS TEXT), sql = replace(sql, 'zz', CAST(x'6bff' AS TEXT))
        WHERE tbl_name = 'zz'; PRAGMA writable_schema=OFF""",
    )
    whole = restore(record, source, replace=True, dry_run=True)
    assert [change.rows for change in whole.changes if change.name == "k\udcff"] == [None]
    result = restore(record, source, select=("users",), replace=True)
    assert "table k\\xff has 1 row whose foreign key leads to no row of table users" in result.warnings
    assert rows(source, "SELECT (SELECT count(*) FROM users), * FROM pragma_integrity_check") == [(2, "ok")]


def test_a_table_takes_the_place_of_a_view_and_a_view_that_of_a_virtual_table(
    source: Path, backups: Any, restore: Callable[..., Any]
) -> None:
    record = backups.make(source)
    run(source, """DROP VIEW names; CREATE VIRTUAL TABLE names USING fts5(x); DROP TABLE heap;
        CREATE VIEW heap AS SELECT 1;
        CREATE TRIGGER heap_in INSTEAD OF INSERT ON heap BEGIN SELECT 1; END;""")  # fmt: skip
    result = restore(record, source, select=("names", "heap"), replace=True)
    assert result.warnings == ("trigger heap_in is gone: heap of the backup has none of that name",)
    assert rows(source, "SELECT name FROM names") == [("Ann",), ("Bob",)]
    assert rows(source, "SELECT count(*) FROM heap") == [(3,)]
    assert not rows(source, "SELECT name FROM sqlite_schema WHERE name LIKE 'names_%'")
    check(source)


def test_rows_that_are_not_as_their_column_is_declared_are_carried_as_they_are(
    source: Path, backups: Any, restore: Callable[..., Any]
) -> None:
    run(source, """CREATE TABLE odd(a, b, CHECK (a > 0)); INSERT INTO odd VALUES (1, NULL), (2, '7');
        CREATE TABLE keyed(a TEXT UNIQUE, b); INSERT INTO keyed VALUES ('k', NULL), ('l', '8');
        PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, ', b', ', b INTEGER NOT NULL') WHERE
        name IN ('odd', 'keyed'); PRAGMA ignore_check_constraints=ON; UPDATE odd SET a = -a;""")  # fmt: skip
    record = backups.make(source, check=False)
    run(source, "DELETE FROM odd; DELETE FROM keyed;")
    restore(record, source, select=("odd", "keyed"), replace=True, check=False)
    assert rows(source, "SELECT a, b, typeof(b) FROM odd") == [(-1, None, "null"), (-2, "7", "text")]
    assert rows(source, "SELECT a, b, typeof(b) FROM keyed") == [("k", None, "null"), ("l", "8", "text")]


def test_exclude_is_a_selection_too(source: Path, record: holdfast.Backup, restore: Callable[..., Any]) -> None:
    before = everything(source)
    restore(record, source, exclude=("users", "names", "o*", "log"), replace=True)
    after = everything(source)
    for name in ("table users", "view names", "table orders", "table log", "table late", "trigger orders_gone"):
        assert after[name] == before[name]
    assert rows(source, "SELECT count(*) FROM heap") == [(3,)]
    check(source)


def test_a_backup_of_a_selection_leaves_everything_else_as_well(
    source: Path, backups: Any, restore: Callable[..., Any]
) -> None:
    record = backups.make(source, select=("users",))
    run(source, TODAY)
    with pytest.raises(UnsafeError, match="already holds table users"):
        restore(record, source)
    restore(record, source, replace=True)
    assert rows(source, "SELECT name FROM users") == [("Ann",), ("Bob",)]
    assert rows(source, "SELECT what FROM log") == [("work of today",)]
    check(source)


def test_a_dry_run_says_table_by_table_what_would_happen(
    source: Path, record: holdfast.Backup, restore: Callable[..., Any]
) -> None:
    run(source, "DROP TABLE pair; CREATE INDEX late_users ON users(id); PRAGMA journal_mode=WAL")
    before = source.read_bytes()
    result = restore(record, source, select=("users", "pair", "names"), replace=True, dry_run=True)
    assert (result.whole, [str(change) for change in result.changes]) == (False, [
        "table users: replaced (2 rows by 2 rows)", "view names: replaced", "table pair: added (2 rows)",
        "index of users late_users: gone",
    ])  # fmt: skip
    whole = restore(record, source, replace=True, dry_run=True)
    assert whole.whole
    said = [str(change) for change in whole.changes]
    assert {"table late: gone (1 row)", "table orders: gone (2 rows)", "view names: gone"} <= set(said)
    assert not [line for line in said if "docs_" in line]
    assert source.read_bytes() == before
    check(source)


def test_a_database_in_use_is_refused_and_with_live_its_users_go_on(
    source: Path, backups: Any, restore: Callable[..., Any]
) -> None:
    record = backups.make(source)
    run(source, f"{TODAY} PRAGMA journal_mode=WAL;")
    inode = source.stat().st_ino
    with closing(sqlite3.connect(source, isolation_level=None)) as user:
        assert user.execute("SELECT count(*) FROM users").fetchone() == (2,)
        with pytest.raises(UnsafeError, match="is in use by process"):
            restore(record, source, select=("users",), replace=True)
        user.execute("BEGIN")
        assert user.execute("SELECT name FROM users").fetchall() == [("Ann!",), ("Bob!",)]
        restore(record, source, select=("users",), replace=True, live=True)
        assert user.execute("SELECT name FROM users").fetchall() == [("Ann!",), ("Bob!",)]
        user.execute("COMMIT")
        assert user.execute("SELECT name FROM users").fetchall() == [("Ann",), ("Bob",)]
        user.execute("INSERT INTO users(name) VALUES ('Eve')")
        user.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedError, match=r"could not lock .* within 0.3 s"):
            restore(record, source, select=("users",), replace=True, live=True, options={"lock_timeout": 0.3})
        user.execute("ROLLBACK")
    assert rows(source, "SELECT max(id) FROM users") == [(41,)]
    assert source.stat().st_ino == inode


def test_virtual_tables_of_unknown_modules_come_and_are_never_dropped(
    source: Path, backups: Any, restore: Callable[..., Any], tmp_path: Path
) -> None:
    run(source, """PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES ('table', 'place', 'place', 0,
        'CREATE VIRTUAL TABLE place USING spatial(x)')""")  # fmt: skip
    record = backups.make(source)
    other = tmp_path / "other.db"
    run(other, "CREATE TABLE late(x)")
    assert restore(record, other, select=("place",)).warnings == ()
    assert rows(other, "SELECT sql FROM sqlite_schema WHERE name = 'place'")
    before = source.read_bytes()
    with pytest.raises(UnsafeError, match="place of the target cannot be dropped without its module"):
        restore(record, source, select=("place",), replace=True)
    assert source.read_bytes() == before


def test_what_takes_the_applications_own_functions_is_a_refusal(
    source: Path, backups: Any, restore: Callable[..., Any], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.create_function("own", 1, lambda x: x, deterministic=True)
        connection.create_collation("app", lambda a, b: (a > b) - (a < b))
        connection.executescript("""CREATE TABLE f(x); CREATE INDEX f_own ON f(own(x));
            CREATE TABLE c(x TEXT COLLATE app UNIQUE); INSERT INTO c VALUES ('b'), ('a');""")  # fmt: skip
    record = backups.make(source)
    target = tmp_path / "other.db"
    run(target, "CREATE TABLE late(x)")
    before = target.read_bytes()
    for name, said in (("f", "no such function: own"), ("c", "no such collation sequence: app")):
        with pytest.raises(UnsafeError, match=said) as caught:
            restore(record, target, select=(name,))
        assert "--load-extension" in str(caught.value.hint)
        assert target.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(
    record: holdfast.Backup, restore: Callable[..., Any], tmp_path: Path
) -> None:
    target = tmp_path / "notes.txt"
    target.write_text("not a database, but important\n" * 100)
    with pytest.raises(UnsafeError, match="is no SQLite database"):
        restore(record, target, select=("users",), replace=True)
    assert target.read_text().startswith("not a database")
    with pytest.raises(UsageError, match="no table 'nobody'"):
        restore(record, tmp_path / "app.db", select=("nobody",), replace=True)


def test_an_empty_target_becomes_what_was_selected(
    record: holdfast.Backup, restore: Callable[..., Any], tmp_path: Path
) -> None:
    target = tmp_path / "new.db"
    for there in (False, True):
        if there:
            target.touch()
        restore(record, target, select=("pair",))
        assert rows(target, "SELECT name FROM sqlite_schema") == [("pair",)]
        target.unlink()
