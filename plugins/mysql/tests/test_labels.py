"""Members of an ENUM or SET that the collation of the column takes for the same."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast_mysql.catalog.columns import ALL_LABELS, LATIN_LABELS, TableColumn, row_kind
from holdfast_mysql.catalog.labels import alike_labels, members
from holdfast_mysql.location import locate
from holdfast_mysql.session import connect

_ALIKE = (
    ("e", "ENUM('a','A')", "utf8mb4_general_ci"),
    ("f", "ENUM('maß','mas','x')", "utf8mb4_general_ci"),
    ("g", "ENUM('😀','😁')", "utf8mb4_general_ci"),
    ("h", "ENUM('x','x ')", "utf8mb4_bin"),
    ("i", "ENUM('é','e')", "latin1_swedish_ci"),
    ("s", "SET('p','P','q')", "utf8mb4_unicode_ci"),
)
_UNLIKE = (
    ("t", "ENUM('a','A')", "utf8mb4_bin"),
    ("u", "ENUM('rot','grün','weiß')", "utf8mb4_general_ci"),
    ("v", "SET('中','国')", "utf8mb4_unicode_520_ci"),
    ("w", "ENUM('it''s','a,b',')')", "latin1_swedish_ci"),
)


@pytest.fixture
def labelled(mariadb: MariaDB, database: str) -> str:
    """A table with all numbers of such members."""
    columns = ", ".join(
        f"{name} {kind} CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}"
        for name, kind, collation in (*_ALIKE, *_UNLIKE)
    )
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode=''")
        cursor.execute(f"CREATE TABLE t(id INT PRIMARY KEY, {columns})")
        for number in range(4):
            cursor.execute(f"INSERT IGNORE INTO t VALUES ({number}{f', {number}' * len((*_ALIKE, *_UNLIKE))})")
    return database


def numbers(mariadb: MariaDB, database: str) -> list[tuple[object, ...]]:
    return mariadb.rows(
        f"SELECT id, {', '.join(f'{name}+0, HEX({name})' for name, _, _ in (*_ALIKE, *_UNLIKE))} FROM t ORDER BY id",
        database=database,
    )


@pytest.mark.parametrize(("form", "infile"), [("wire", True), ("wire", False), ("sql", True)])
def test_members_that_are_alike_come_back_by_their_numbers(
    mariadb: MariaDB, labelled: str, round_trip: Callable[..., str], by_hand: Callable[..., str], store: str,
    form: str, infile: bool,
) -> None:  # fmt: skip
    target = round_trip(labelled, backup={"options": {"format": form}}, restore={"options": {"local_infile": infile}})
    before = numbers(mariadb, labelled)
    assert numbers(mariadb, target) == before
    result = holdfast.drill("latest", store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    assert numbers(mariadb, by_hand(labelled, form)) == before


def test_only_those_that_are_alike_are_read_by_numbers(mariadb: MariaDB) -> None:
    session = connect(locate(mariadb.url("mysql")))
    kinds = [(collation.partition("_")[0], collation, kind) for _, kind, collation in (*_ALIKE, *_UNLIKE)]
    alike = alike_labels(session, kinds)
    session.close()
    assert alike == {(collation, kind) for _, kind, collation in _ALIKE}


def test_proofs_of_older_backups_are_of_what_they_read() -> None:
    column = TableColumn(
        name="e", type="enum", column_type="enum('a','A')", nullable=True, charset="utf8mb4",
        collation="utf8mb4_general_ci", generated=False, auto_increment=False, alike=True,
    )  # fmt: skip
    assert row_kind(column) == "index"
    assert row_kind(column, labels=LATIN_LABELS) == row_kind(column, labels=ALL_LABELS) == "label"
    assert members("set('a,b','it''s','')") == ["a,b", "it's", ""]


def test_an_older_backup_of_members_that_are_alike_says_what_is_wrong_with_it(
    mariadb: MariaDB, labelled: str, store: str, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Those that are not alike come back; the drill finds the difference, and `allow_damaged` restores the rest."""
    with monkeypatch.context() as patch:
        patch.setattr("holdfast_mysql.catalog.tables.alike_labels", lambda *_: frozenset())
        patch.setattr("holdfast_mysql.proof.record.UNLIKE_LABELS", LATIN_LABELS)
        record = holdfast.backup(mariadb.url(labelled), store=store)
    target = new_name()
    assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "damaged"
    told = [line for line in caplog.messages if "takes for the same" in line]
    assert {line.split()[1] for line in told} == {f"t.{name}" for name, _, _ in _ALIKE}
    with pytest.raises(holdfast.IntegrityError, match="damaged"):
        holdfast.restore(record.id, mariadb.url(target), store=store)
    holdfast.restore(record.id, mariadb.url(target), store=store, allow_damaged=True)
    names = ", ".join(f"{name}+0" for name, _, _ in _UNLIKE)
    query = f"SELECT id, {names} FROM t ORDER BY id"
    assert mariadb.rows(query, database=target) == mariadb.rows(query, database=labelled)
