"""A drill names every object of which a value or a definition was changed, or the stored bytes, and no other."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import postgres_mutations
from support.mutations import Change, assert_named, copied_store, forge, stored_blobs, turn_a_bit
from support.servers.postgres import PostgresServer
from support.sweeps import tries

import holdfast
from holdfast.operations.drill import DrillResult
from holdfast.testing.drills import drill_mutated

CHANGES = postgres_mutations.known()


@pytest.fixture(scope="module")
def mutated(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> DrillResult:
    """The drill of a backup whose restored database was changed in every way."""
    return postgres_mutations.drill_of_all(
        postgres_server, CHANGES, str(tmp_path_factory.mktemp("mutations") / "store")
    )


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_drill_names_what_was_changed(change: Change, mutated: DrillResult) -> None:
    assert set(change.differing) <= {(entry.kind, entry.name) for entry in mutated.differences}


def test_the_drill_names_nothing_else(mutated: DrillResult) -> None:
    """Of hundreds of objects, those alone that were changed."""
    assert_named(mutated, "definition of table public.column_added")
    assert {(entry.kind, entry.name) for entry in mutated.differences} == {
        place for change in CHANGES for place in change.differing
    }


@pytest.fixture(scope="module")
def small(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[holdfast.Backup, Path]]:
    """A backup whose blobs are as long as what they hold, with a table read apart, and its store."""
    store = tmp_path_factory.mktemp("small") / "store"
    with postgres_server.database() as database:
        postgres_server.execute(
            database,
            "CREATE TABLE note (id int PRIMARY KEY, v text)",
            "INSERT INTO note SELECT n, 'note value ' || n FROM generate_series(1, 200) n",
            "CREATE VIEW ids AS SELECT id FROM note",
        )
        yield (
            holdfast.backup(
                postgres_server.url(database), store=str(store), codec="none", proof=True, options={"large_table": "0"}
            ),
            store,
        )


@pytest.fixture
def copied(small: tuple[holdfast.Backup, Path], tmp_path: Path) -> tuple[holdfast.Backup, str]:
    """The same backup in a store of the test's own."""
    return copied_store(small[1], tmp_path)


@pytest.mark.parametrize("seed", range(tries(4, long=100)))
def test_a_bit_that_turned_in_a_stored_blob_fails_the_drill_and_names_the_blob(
    seed: int, postgres_server: PostgresServer, copied: tuple[holdfast.Backup, str]
) -> None:
    record, store = copied
    name = turn_a_bit(record, seed)
    assert_named(drill_mutated(record.id, store, lambda _url: None, into=postgres_server.url("")), name)


@pytest.mark.parametrize("seed", range(tries(2, long=20)))
def test_rows_that_were_forged_with_all_their_digests_are_found_out(
    seed: int, postgres_server: PostgresServer, copied: tuple[holdfast.Backup, str]
) -> None:
    """One digit of one row: whoever rewrites blob, manifest and SHA256SUMS still has to know of the proof."""
    record, store = copied
    blobs = {name: path.read_bytes() for name, path in stored_blobs(record).items()}
    text = f"note value {random.Random(seed).randrange(100, 200)}".encode()
    (name,) = (name for name, data in blobs.items() if text in data)
    forge(record, name, blobs[name].replace(text, text[:-3] + b"3" + text[-2:]))
    result = drill_mutated(record.id, store, lambda _url: None, into=postgres_server.url(""))
    assert [(entry.kind, entry.name) for entry in result.differences] == [("table", "public.note")]
