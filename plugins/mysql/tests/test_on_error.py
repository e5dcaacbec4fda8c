"""Restores that go on after errors: all else is there, and what is not is listed, exit 3."""

import json
from collections.abc import Callable

import pytest
from support.mutations import forge, stored_blobs
from support.mysql_parts import small_parts
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.cli import run

Content = Callable[[str], dict[str, object] | None]

# What no server takes, in the place of what the source has; of one length, since a script says how long statements are.
_CHANGES = [
    (b"`odd` (\n  `a` int(", b"`odd` (\n  `a` nit("),
    (b"SELECT 'p'", b"SELEKT 'p'"),
    (b"SET @f = 1", b"SET @f = !"),
    (b"two", b"one"),
]
_FAILED = [("procedure", "p"), ("table", "odd"), ("trigger", "fires"), ("view", "far")]


@pytest.fixture(params=["wire", "sql"])
def half(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, request: pytest.FixtureRequest
) -> str:
    """A backup of which a server takes one half; returns its id."""
    other = new_name()
    for statement in (
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.o(id INT)",
        "CREATE TABLE good(id INT PRIMARY KEY, v VARCHAR(9), KEY (v))",
        "CREATE TABLE dup(id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY words (v), KEY (id, v))",
        "CREATE TABLE odd(a INT)",
        "INSERT INTO good VALUES (1, 'x')",
        "INSERT INTO dup VALUES (1, 'one'), (2, 'two')",
        "INSERT INTO odd VALUES (1)",
        f"CREATE VIEW far AS SELECT id FROM {other}.o",
        "CREATE VIEW above AS SELECT id FROM far",
        "CREATE VIEW near AS SELECT id FROM good",
        "CREATE PROCEDURE p() SELECT 'p'",
        "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
        "CREATE TRIGGER fires BEFORE INSERT ON good FOR EACH ROW SET @f = 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    ):
        mariadb.rows(statement, database=database)
    record = holdfast.backup(mariadb.url(database), store=store, codec="none", options={"format": request.param})
    mariadb.rows(f"DROP DATABASE {other}")
    for stream, blob in stored_blobs(record).items():
        data = blob.read_bytes()
        for before, after in _CHANGES:
            data = data.replace(before, after)
        if data != blob.read_bytes():
            forge(record, stream, data)
    return record.id


def failures(store: str, capfd: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, str]]:
    """Kind and name of what a restore lists."""
    assert run(["restore", *arguments, "--store", store, "--json", "-o", "on_error=continue"]) == 3
    lines = map(json.loads, capfd.readouterr().out.splitlines())
    (line,) = (line for line in lines if line["type"] == "restore")
    return sorted((failure["kind"], failure["name"]) for failure in line["failures"])


def test_all_else_is_restored(
    mariadb: MariaDB, half: str, new_name: Callable[[], str], store: str, capfd: pytest.CaptureFixture[str],
    content: Content,
) -> None:  # fmt: skip
    target = new_name()
    assert failures(store, capfd, half, mariadb.url(target)) == [("key", "dup.words"), *_FAILED]
    there = content(target) or {}
    assert {"TABLE good", "TABLE dup", "VIEW above", "VIEW near", "FUNCTION f", "EVENT e"} <= set(there)
    assert "KEY `id` (`id`,`v`)" in str(there["TABLE dup"])
    assert mariadb.rows(f"SELECT * FROM {target}.dup") == [(1, "one"), (2, "one")]
    with pytest.raises(holdfast.HoldfastError):
        holdfast.restore(half, mariadb.url(new_name()), store=store)


def test_a_replacement_goes_on_too(
    mariadb: MariaDB, half: str, new_name: Callable[[], str], store: str, capfd: pytest.CaptureFixture[str],
    content: Content,
) -> None:  # fmt: skip
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    mariadb.rows("CREATE TABLE old(id INT)", database=target)
    assert failures(store, capfd, half, mariadb.url(target), "--replace") == [("key", "dup.words"), *_FAILED]
    there = content(target) or {}
    assert "TABLE old" not in there
    assert {"TABLE good", "TABLE dup", "VIEW above", "VIEW near", "FUNCTION f", "EVENT e"} <= set(there)


def test_a_table_whose_rows_are_refused_is_there_and_empty(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for statement in (
        "CREATE TABLE good(id INT PRIMARY KEY)",
        "CREATE TABLE t(id INT PRIMARY KEY, d DATE) ",
        "INSERT INTO good VALUES (1)",
        "INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-02-02')",
    ):
        mariadb.rows(statement, database=database)
    for form in ("wire", "sql"):
        record = holdfast.backup(mariadb.url(database), store=store, codec="none", options={"format": form})
        stream = "script" if form == "sql" else "data/t"
        forge(record, stream, stored_blobs(record)[stream].read_bytes().replace(b"2024-02-02", b"2024-xx-02"))
        target = new_name()
        assert failures(store, capfd, record.id, mariadb.url(target)) == [("rows of table", "t")]
        assert mariadb.rows(f"SELECT * FROM {target}.t") == []
        assert mariadb.rows(f"SELECT * FROM {target}.good") == [(1,)]


@pytest.mark.parametrize("local_infile", [True, False])
def test_of_a_damaged_table_the_rows_before_the_damage_are_restored(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, local_infile: bool
) -> None:
    mariadb.rows("CREATE TABLE t(id INT PRIMARY KEY, v TEXT)", database=database)
    mariadb.rows("INSERT INTO t SELECT seq, REPEAT(MD5(seq), 300) FROM seq_1_to_300", database=database)
    mariadb.rows("CREATE TABLE u(id INT)", database=database)
    mariadb.rows("INSERT INTO u VALUES (1)", database=database)
    record = holdfast.backup(mariadb.url(database), store=store, codec="gzip")
    blob = stored_blobs(record)["data/t"]
    blob.write_bytes(blob.read_bytes()[:-50])
    target, options = new_name(), {"local_infile": local_infile}
    result = holdfast.restore(record.id, mariadb.url(target), store=store, allow_damaged=True, options=options)
    ((rows,),) = mariadb.rows(f"SELECT COUNT(*) FROM {target}.t")
    assert isinstance(rows, int)
    assert 100 < rows < 300
    assert mariadb.rows(f"SELECT * FROM {target}.u") == [(1,)]
    assert [failure.kind for failure in result.failures] == ["stream", "rows of table"]
    assert "are missing" in result.failures[0].message
    assert f"holds {rows} rows, 300 were recorded" in result.failures[1].message


_GARBLED = {
    "length": (b"\x0amark 02500", b"\x0bmark 02500"),  # of a value, which is then no longer the rest of its row
    "value": (b"2024-02-25", b"2024-xx-25"),  # which the server does not take
    "key": (b"\x03250\x0a", b"\x03249\x0a"),  # of a row that is there
}


@pytest.mark.parametrize("local_infile", [True, False])
@pytest.mark.parametrize("kind", _GARBLED)
def test_of_a_garbled_table_the_rows_before_it_are_restored_and_its_other_parts(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, local_infile: bool, kind: str
) -> None:
    mariadb.rows("CREATE TABLE t(id INT PRIMARY KEY, m CHAR(20), d DATE)", database=database)
    mariadb.rows(
        "INSERT INTO t SELECT seq, CONCAT('mark ', LPAD(seq * 10, 5, '0')), IF(seq = 250, '2024-02-25', '2024-01-01')"
        " FROM seq_1_to_600",
        database=database,
    )
    mariadb.rows(f"ANALYZE TABLE {database}.t")
    with small_parts():
        record = holdfast.backup(mariadb.url(database), store=store, codec="none")
    before, after = _GARBLED[kind]
    ((stream, blob),) = [(name, blob) for name, blob in stored_blobs(record).items() if before in blob.read_bytes()]
    forge(record, stream, blob.read_bytes().replace(before, after))
    target, options = new_name(), {"local_infile": local_infile}
    result = holdfast.restore(record.id, mariadb.url(target), store=store, allow_damaged=True, options=options)
    assert {failure.kind for failure in result.failures} == {"rows of table"}
    held = result.failures[-1].message
    assert held.startswith(f"stream {stream} holds ")
    ids = [number for (number,) in mariadb.rows(f"SELECT id FROM {target}.t ORDER BY id")]
    gone = [number for number in range(1, 601) if number not in ids]
    assert gone == list(range(250, 250 + len(gone)))
    assert 0 < len(gone) < 250
    # The digests agree, as they do not with real damage: what the server does not take says nothing of the backup.
    with pytest.raises(holdfast.IntegrityError if kind == "length" else holdfast.HoldfastError):
        holdfast.restore(record.id, mariadb.url(new_name()), store=store)
