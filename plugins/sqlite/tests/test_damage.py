"""A damaged source is refused, or backed up and never counted as good; nothing hangs, and older backups stay."""

import os
import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sweeps import tries

import holdfast
from holdfast.errors import IntegrityError, PluginError
from holdfast_sqlite.header import unsupported

_DAMAGES = tries(100, long=400)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small database with most of what pages can be: index, overflow, free list, pointer maps, full-text."""
    path = tmp_path_factory.mktemp("sound") / "app.db"
    rng = random.Random(5)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            """
            PRAGMA page_size=1024; PRAGMA auto_vacuum=2;
            CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT, y BLOB); CREATE INDEX i ON t(x);
            CREATE VIRTUAL TABLE f USING fts5(a);
            CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
            """
        )
        rows = [(f"row {number}", rng.randbytes(rng.choice([10, 300, 5000]))) for number in range(60)]
        connection.executemany("INSERT INTO t(x, y) VALUES (?, ?)", rows)
        connection.executemany("INSERT INTO w VALUES (?, ?)", rows)
        connection.executemany("INSERT INTO f VALUES (?)", [(f"some words {number}",) for number in range(60)])
        connection.execute("DELETE FROM t WHERE id % 4 = 0")
    return path


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One kind of damage: flipped bits, zeroed or random runs, a piece swapped, cut off, or grown."""
    changed = bytearray(data)
    kind = rng.randrange(6)
    # Half of it where it matters most: the header, and the heads of pages.
    place = rng.choice([rng.randrange(len(data)), rng.randrange(100), 1024 * rng.randrange(len(data) // 1024)])
    length = min(rng.choice([1, 16, 100, 1024]), len(data) - place)
    if kind == 0:
        changed[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        changed[place : place + length] = bytes(length)
    elif kind == 2:
        changed[place : place + length] = rng.randbytes(length)
    elif kind == 3:
        other = 1024 * rng.randrange(len(data) // 1024)
        changed[other : other + 1024] = data[place // 1024 * 1024 :][:1024].ljust(1024, b"\0")
    elif kind == 4:
        del changed[rng.randrange(len(data)) :]
    else:
        changed += rng.randbytes(length)
    return bytes(changed)


def is_bad(path: Path) -> bool | None:
    """What SQLite itself says of the structure of a file, by the same check that a backup runs.

    None for a header that could be one of a newer format: a turned bit makes it one, and nothing tells the two apart.
    """
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes
            return any(row.startswith(b"***") for (row,) in connection.execute("PRAGMA quick_check"))
    except sqlite3.DatabaseError:
        return None if unsupported(path.read_bytes()[:100]) else True


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(4))
def test_random_damage_is_refused_or_marked(seed: int, sound: Path, tmp_path: Path, backups: Any) -> None:
    good = backups.make(sound)
    kept = (Path(good.path) / "backup_manifest.json").read_bytes()
    rng = random.Random(seed)
    data = sound.read_bytes()
    refused = marked = 0
    for number in range(_DAMAGES // 4):
        source = tmp_path / "app.db"
        source.write_bytes(damaged(data, rng))
        bad = is_bad(source)
        if bad is None:
            continue
        started = time.monotonic()
        allow = bool(number % 2)
        if bad and not allow:
            with pytest.raises(IntegrityError) as failure:
                backups.make(source, name="app", adopt=True)
            assert failure.value.message
            assert "\n" not in failure.value.message
            refused += 1
        else:
            record = backups.make(source, name="app", adopt=True, allow_damaged=allow)
            assert (record.state == "damaged") == bad, (seed, number)
            assert record.warnings or not bad
            assert backups.image(record) == source.read_bytes()[: record.size_bytes]
            marked += bad
        assert time.monotonic() - started < 30
        assert (Path(good.path) / "backup_manifest.json").read_bytes() == kept
    assert refused > _DAMAGES // 40
    assert marked > _DAMAGES // 40
    states = {record.id: record.state for record in holdfast.list_backups(str(backups.store))}
    assert states[good.id] == "complete"


@pytest.mark.sweep(12)
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cut to its header", lambda data: data[:100]),
        ("cut to half a header", lambda data: data[:50]),
        ("cut to its magic number", lambda data: data[:16]),
        ("one byte", lambda data: data[:1]),
        ("cut in the middle of a page", lambda data: data[: len(data) // 2 + 1]),
        ("one page short", lambda data: data[:-1024]),
        ("a page size of nonsense", lambda data: data[:16] + b"\x03\xe7" + data[18:]),
        ("another format version", lambda data: data[:18] + b"\x07\x07" + data[20:]),
        ("the schema overwritten", lambda data: data[:100] + b"\xff" * 400 + data[500:]),
        ("more pages told than there are", lambda data: data[:28] + b"\x7f\xff\xff\xff" + data[32:]),
        ("all zeros behind the header", lambda data: data[:100] + bytes(len(data) - 100)),
        ("WAL mode by its header only", lambda data: data[:18] + b"\2\2" + data[20:]),
    ],
)
@pytest.mark.parametrize("allow", [False, True])
def test_damage_by_hand_is_refused_or_marked(
    name: str, change: Any, allow: bool, sound: Path, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    source.write_bytes(change(sound.read_bytes()))
    before = source.read_bytes()
    if name.startswith("WAL"):
        assert backups.make(source, allow_damaged=allow).state == "complete"
    elif name.startswith("another format") and not allow:
        with pytest.raises(PluginError, match="its file format has the version 7, newer than this SQLite knows"):
            backups.make(source)
    elif name.startswith("another format"):
        record = backups.make(source, allow_damaged=True)
        assert (record.state, backups.image(record)) == ("complete", before)
        assert any("copied as it is" in line for line in record.warnings)
    elif allow:
        record = backups.make(source, allow_damaged=True)
        assert record.state == "damaged"
    else:
        with pytest.raises(IntegrityError):
            backups.make(source)
        assert not list(backups.store.rglob("backup_manifest.json"))
    assert source.read_bytes() == before


def test_a_damaged_log_is_read_as_far_as_sqlite_itself_reads_it(tmp_path: Path, backups: Any) -> None:
    for seed in range(12):
        source = tmp_path / f"{seed}.db"
        keeper = sqlite3.connect(tmp_path / f"first-{seed}.db", isolation_level=None)
        keeper.executescript("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);")
        for number in range(30):
            keeper.execute("INSERT INTO t VALUES (?)", (f"{number} " * 100,))
        shutil.copy(tmp_path / f"first-{seed}.db", source)
        log = bytearray((tmp_path / f"first-{seed}.db-wal").read_bytes())
        keeper.close()
        rng = random.Random(seed)
        for _ in range(3):
            log[rng.randrange(len(log))] ^= 1 << rng.randrange(8)
        del log[rng.randrange(len(log) // 2, len(log)) :]
        Path(f"{source}-wal").write_bytes(log)
        before = (source.read_bytes(), bytes(log))
        record = backups.make(source)
        assert (source.read_bytes(), Path(f"{source}-wal").read_bytes()) == before
        copy = backups.restore(record, tmp_path / f"copy-{seed}.db")
        with closing(sqlite3.connect(copy)) as ours, closing(sqlite3.connect(source)) as theirs:
            counts = [
                connection.execute("SELECT group_concat(name) FROM sqlite_schema").fetchall()
                for connection in (ours, theirs)
            ]
            assert counts[0] == counts[1]
            if counts[0][0][0]:
                assert ours.execute("SELECT * FROM t").fetchall() == theirs.execute("SELECT * FROM t").fetchall()


def test_no_check_lets_damage_pass_and_the_restore_finds_it(sound: Path, tmp_path: Path, backups: Any) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    data = bytearray(sound.read_bytes())
    data[5 * 1024 : 6 * 1024] = os.urandom(1024)
    source.write_bytes(data)
    record = backups.make(source, check=False, proof=False)
    assert record.state == "complete"
    with pytest.raises(IntegrityError, match="the restored database is damaged"):
        backups.restore(record, target)
    assert not list(tmp_path.glob("target*"))
    assert backups.restore(record, target, check=False).read_bytes() == data


def test_a_damaged_backup_is_restored_only_when_asked_for(sound: Path, tmp_path: Path, backups: Any) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    source.write_bytes(sound.read_bytes()[:-3000])
    record = backups.make(source, allow_damaged=True)
    with pytest.raises(IntegrityError):
        backups.restore(record, target)
    assert not target.exists()
    url, store = f"sqlite:///{target}", str(backups.store)
    restored = holdfast.restore(record, url, store=store, allow_damaged=True)
    assert any(line.startswith("the restored database is damaged: ") for line in restored.warnings)
    assert target.read_bytes() == source.read_bytes()


def test_a_check_that_needs_the_application_does_not_call_its_database_damaged(tmp_path: Path, backups: Any) -> None:
    """JSON that is none is an error of the expression which reads it, and none of the file."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t(x); INSERT INTO t VALUES ('no JSON'); PRAGMA writable_schema=ON;")
        column = "'CREATE TABLE t(x, y INTEGER AS (json_extract(x, ''$.y'')) NOT NULL)'"
        connection.execute(f"UPDATE sqlite_schema SET sql = {column} WHERE name = 't'")
    record = backups.make(source)
    assert record.state == "complete"
    assert record.warnings == ("table t could not be checked: malformed JSON",)
    restored = holdfast.restore(record, f"sqlite:///{tmp_path}/copy.db", store=str(backups.store))
    assert restored.warnings == record.warnings


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:100] + b"\xff" * 400 + data[500:],
        lambda data: data[:2048] + b"\xff" * 1024 + data[3072:],
        lambda data: b"no database" + data[11:],
    ],
    ids=["schema", "page", "magic number"],
)
def test_a_damaged_source_is_not_written_as_a_script_and_the_hint_says_what_works(
    change: Any, sound: Path, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    source.write_bytes(change(sound.read_bytes()))
    for check in (True, False):
        with pytest.raises(IntegrityError):
            backups.make(source, options={"format": "sql"}, check=check, proof=False)
        with pytest.raises(IntegrityError, match="cannot be written as SQL") as failure:
            backups.make(source, options={"format": "sql"}, check=check, allow_damaged=True)
        assert failure.value.hint == "use -o format=image and add --allow-damaged to back it up as it is"
    assert backups.make(source, options={"format": "image"}, allow_damaged=True).state == "damaged"


@pytest.mark.parametrize(
    ("place", "value"), [(18, b"\x07\x07"), (47, b"\x09")], ids=["format version", "schema format"]
)
def test_a_newer_format_is_not_written_as_a_script_and_no_damage(
    place: int, value: bytes, sound: Path, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    data = sound.read_bytes()
    source.write_bytes(data[:place] + value + data[place + len(value) :])
    for options in ({"check": False}, {}, {"allow_damaged": True}):
        with pytest.raises(holdfast.HoldfastError) as failure:
            backups.make(source, options={"format": "sql"}, **options)
        assert not isinstance(failure.value, IntegrityError)
    record = backups.make(source, options={"format": "image"}, allow_damaged=True)
    assert record.state == "complete"
    with pytest.raises(PluginError, match="cannot be compared by SQLite") as unable:
        holdfast.drill(record, store=str(backups.store))
    assert "newer SQLite" in str(unable.value.hint)
    assert backups.restore(record, tmp_path / "copy.db").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("key", ["PRIMARY KEY) WITHOUT ROWID", "UNIQUE)"])
def test_a_script_that_needs_the_application_is_refused_with_a_hint_at_the_image(
    key: str, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.create_collation("mine", lambda a, b: (a > b) - (a < b))
        connection.create_function("doubled", 1, lambda x: 2 * x, deterministic=True)
        connection.execute(f"CREATE TABLE t(a TEXT COLLATE mine {key}")
        connection.execute("CREATE INDEX i ON t(a)")
    for options in ({"format": "sql"}, {"format": "sql", "method": "backup"}):
        with pytest.raises(holdfast.HoldfastError, match=r"cannot write .* as SQL: table 't' would not") as failure:
            backups.make(source, options=options)
        assert failure.value.exit_code == 1
        assert "-o format=image" in str(failure.value.hint)
