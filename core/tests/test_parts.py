"""Every part of a run may be an object in the place of a name."""

import contextlib
import dataclasses
import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast.api import Chunk, Component, Kind
from holdfast.store.folder import FolderStorage


class Hexed:
    """A codec with frames of hexadecimal digits."""

    suffix = ".hex"

    def encode(self, block: Chunk) -> bytes:
        return bytes(block).hex().encode()

    def decoder(self) -> "Hexed":
        return self

    def decode(self, data: Chunk) -> Iterator[bytes]:
        yield bytes.fromhex(bytes(data).decode())

    def finish(self) -> None:
        pass


class Adler:
    name = "adler32"

    def __init__(self) -> None:
        self._value = 1

    def update(self, data: Chunk) -> None:
        self._value = zlib.adler32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t AS SELECT 'hello' AS a")
    connection.commit()
    connection.close()
    return path


def content(path: Path) -> list[str]:
    """Everything in a database, as SQL."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump()]


def test_a_backup_made_with_objects_is_restored_with_objects(database: Path, tmp_path: Path) -> None:
    store = FolderStorage(str(tmp_path / "store"))
    pipeline = holdfast.Pipeline(
        source=f"sqlite:///{database}", codec=Hexed(), checksums=[Adler, hashlib.blake2b], store=store
    )
    record = pipeline.run()
    blob = tmp_path / "store" / "app" / record.id / "database.sqlite.hex"
    assert bytes.fromhex(blob.read_text()).startswith(b"SQLite format 3")
    holdfast.restore(record, f"sqlite:///{tmp_path}/copy.db", store=store, codec=Hexed())
    assert content(tmp_path / "copy.db") == content(database)


def test_backup_takes_objects_too(database: Path, tmp_path: Path) -> None:
    store = FolderStorage(str(tmp_path / "store"))
    record = holdfast.backup(f"sqlite:///{database}", store=store, codec="none")
    assert [backup.id for backup in holdfast.list_backups(store)] == [record.id]


def test_a_store_may_be_a_path_and_the_pipeline_stays_portable(database: Path, tmp_path: Path) -> None:
    pipeline = holdfast.Pipeline(source=f"sqlite:///{database}", store=tmp_path / "store")
    assert pipeline.plan.store == str(tmp_path / "store")
    record = pipeline.run()
    assert holdfast.verify(record, store=tmp_path / "store")[0].passed
    holdfast.restore(record, f"sqlite:///{tmp_path}/copy.db", store=tmp_path / "store")
    newer = pipeline.run()
    holdfast.delete(record, store=tmp_path / "store")
    assert [backup.id for backup in holdfast.list_backups(tmp_path / "store")] == [newer.id]


def test_a_plan_that_is_given_with_further_arguments_is_changed_by_them(database: Path, tmp_path: Path) -> None:
    record = holdfast.backup(f"sqlite:///{database}", store=tmp_path / "store")
    plan = holdfast.RestorePlan(backup=record.id, target=f"sqlite:///{tmp_path}/copy.db", store=str(tmp_path / "store"))
    holdfast.restore(plan)
    with pytest.raises(holdfast.UnsafeError):
        holdfast.restore(plan)
    holdfast.restore(plan, replace=True)
    holdfast.restore(plan, f"sqlite:///{tmp_path}/other.db")
    assert (tmp_path / "other.db").exists()


def test_parts_given_as_objects_are_named_in_the_error_that_the_pipeline_is_not_portable(database: Path) -> None:
    pipeline = holdfast.Pipeline(source=f"sqlite:///{database}", codec=Hexed(), checksums=[hashlib.blake2b])
    with pytest.raises(holdfast.UsageError, match=r"codec \(Hexed\), checksums \(blake2b\)"):
        _ = pipeline.plan


def test_an_unknown_argument_is_an_error_that_names_the_known_ones(database: Path) -> None:
    with pytest.raises(
        holdfast.UsageError, match=r"no option 'levle' \(there are: source, store, store_options, name, codec"
    ):
        holdfast.backup(f"sqlite:///{database}", levle=3)  # type: ignore[call-arg]


def test_a_registry_brings_a_plugin_of_the_program_itself(database: Path, tmp_path: Path) -> None:
    registry = holdfast.Registry(plugins=[HexPlugin])
    record = holdfast.backup(f"sqlite:///{database}", store=tmp_path / "store", codec="hex", registry=registry)
    assert record.codec == "hex"
    assert holdfast.verify(record, store=tmp_path / "store", read_data=True, registry=registry)[0].passed
    holdfast.restore(record, f"sqlite:///{tmp_path}/copy.db", store=tmp_path / "store", registry=registry)
    assert content(tmp_path / "copy.db") == content(database)
    with pytest.raises(holdfast.PluginError, match="no codec 'hex'"):
        holdfast.restore(record, f"sqlite:///{tmp_path}/none.db", store=tmp_path / "store")


class HexPlugin:
    def holdfast_components(self) -> Iterator[Component]:
        yield Component(kind=Kind.CODEC, name="hex")

    def holdfast_compress(self, codec: str) -> Hexed | None:
        return Hexed() if codec == "hex" else None


def test_records_are_plain_frozen_data(database: Path, tmp_path: Path) -> None:
    record = holdfast.backup(f"sqlite:///{database}", store=tmp_path / "store")
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.id = "other"  # type: ignore[misc]
    assert record.as_data()["path"] == record.path


def test_a_backup_is_named_by_an_id_or_a_record_and_by_nothing_else(tmp_path: Path, database: Path) -> None:
    store = tmp_path / "backups"
    plan = holdfast.BackupPlan(source=f"sqlite:///{database}")
    record = holdfast.backup(plan, store=store)
    for wrong in (None, 5, [record.id], b"latest"):
        for call in (
            lambda wrong=wrong: holdfast.restore(wrong, f"sqlite:///{tmp_path}/copy.db", store=store),
            lambda wrong=wrong: holdfast.verify(wrong, store=store),
            lambda wrong=wrong: holdfast.delete(wrong, store=store),
        ):
            with pytest.raises(holdfast.UsageError, match="expected an id or a record"):
                call()
    with pytest.raises(holdfast.UsageError, match="store is an object of type int"):
        holdfast.list_backups(5)  # type: ignore[arg-type]
