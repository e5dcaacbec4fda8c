"""A drill names every object of which a value, a definition or the stored bytes were changed, and no other."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import mysql_mutations
from support.mutations import Change, assert_named, copied_store, forge, stored_blobs, turn_a_bit
from support.servers.mariadb import MariaDB
from support.sweeps import tries

import holdfast
from holdfast.operations.drill import DrillResult
from holdfast.testing.drills import drill_mutated

CHANGES = mysql_mutations.known("mariadb")


@pytest.fixture(scope="module")
def mutated(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> DrillResult:
    """The drill of a backup whose restored database was changed in every way."""
    return mysql_mutations.drill_of_all(mariadb, CHANGES, str(tmp_path_factory.mktemp("mutations") / "store"))


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_drill_names_what_was_changed(change: Change, mutated: DrillResult) -> None:
    assert set(change.differing) <= {(difference.kind, difference.name) for difference in mutated.differences}


def test_the_drill_names_nothing_else(mutated: DrillResult) -> None:
    """Of hundreds of objects, those alone that were changed."""
    assert_named(mutated, "table column_added")
    assert {(difference.kind, difference.name) for difference in mutated.differences} == {
        place for change in CHANGES for place in change.differing
    }


@pytest.fixture(scope="module")
def small(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[holdfast.Backup, Path]]:
    """A backup whose blobs are as long as what they hold, and its store, which no test may change."""
    store = tmp_path_factory.mktemp("small") / "store"
    mariadb.rows("CREATE DATABASE small_mutations")
    try:
        mysql_mutations.run(mariadb, "small_mutations", [(
            "CREATE TABLE keyed (id INT PRIMARY KEY, v VARCHAR(99))",
            "INSERT INTO keyed SELECT seq, CONCAT('keyed value ', seq) FROM seq_1_to_200",
            "CREATE TABLE loose (v VARCHAR(99)) ENGINE = MyISAM",
            "INSERT INTO loose SELECT CONCAT('loose value ', seq) FROM seq_1_to_200",
            "CREATE VIEW ids AS SELECT id FROM keyed",
        )])  # fmt: skip
        yield holdfast.backup(mariadb.url("small_mutations"), store=str(store), codec="none", proof=True), store
    finally:
        mariadb.rows("DROP DATABASE small_mutations")


@pytest.fixture
def copied(small: tuple[holdfast.Backup, Path], tmp_path: Path) -> tuple[holdfast.Backup, str]:
    """The same backup in a store of the test's own."""
    return copied_store(small[1], tmp_path)


@pytest.mark.parametrize("seed", range(tries(5, long=100)))
def test_a_bit_that_turned_in_a_stored_blob_fails_the_drill_and_names_the_blob(
    seed: int, mariadb: MariaDB, copied: tuple[holdfast.Backup, str]
) -> None:
    record, store = copied
    name = turn_a_bit(record, seed)
    assert_named(drill_mutated(record.id, store, lambda _url: None, into=mariadb.url()), name)


@pytest.mark.parametrize("table", ["keyed", "loose"])
@pytest.mark.parametrize("seed", range(tries(2, long=20)))
def test_rows_that_were_forged_with_all_their_digests_are_found_out(
    seed: int, table: str, mariadb: MariaDB, copied: tuple[holdfast.Backup, str]
) -> None:
    """One digit of one row: whoever rewrites blob, manifest and SHA256SUMS still has to know of the proof."""
    record, store = copied
    data = bytearray(stored_blobs(record)[f"data/{table}"].read_bytes())
    number = random.Random(seed).randrange(100, 200)
    at = data.index(f"{table} value {number}".encode())
    data[at + len(table) + 7] = ord("3")
    forge(record, f"data/{table}", bytes(data))
    result = drill_mutated(record.id, store, lambda _url: None, into=mariadb.url())
    assert_named(result, f"rows {table}: differs")
    assert [(difference.kind, difference.name) for difference in result.differences] == [("rows", table)]


def test_definitions_that_were_forged_with_all_their_digests_are_found_out(
    mariadb: MariaDB, copied: tuple[holdfast.Backup, str]
) -> None:
    record, store = copied
    schema = stored_blobs(record)["schema"].read_bytes()
    forge(record, "schema", schema.replace(b"varchar(99)", b"varchar(98)"))
    result = drill_mutated(record.id, store, lambda _url: None, into=mariadb.url())
    assert {(difference.kind, difference.name) for difference in result.differences} == {
        ("table", "keyed"),
        ("table", "loose"),
    }
