"""Drills of backups whose restored database is changed before it is compared, for the tests of every engine.

An engine's tests list `Mutation`s, each with the statements that make it and the name that the drill has to give, or
`Change`s. `holdfast.testing.drills` runs the real drill with a plugin beside the engine, which changes the scratch
database after the restore and before the check.
"""

import hashlib
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from holdfast import Backup, list_backups
from holdfast.operations.drill import DrillResult
from holdfast.store.names import MANIFEST


@dataclass(frozen=True)
class Mutation:
    """One change: what it is, the SQL that makes it, and a part of what the drill must say of the object."""

    title: str
    sql: str
    names: str

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change: what makes its objects, what alters them, and kind and name of all that then differs.

    Every change has tables, views or routines of its own, named after it. All of them can therefore be made to one
    restored database, and one drill has to name each, and nothing else.
    """

    name: str
    make: tuple[str, ...]
    change: tuple[str, ...]
    differing: tuple[tuple[str, str], ...]
    only: str = ""

    def __str__(self) -> str:
        return self.name


def stored_blobs(record: Backup) -> dict[str, Path]:
    """The files of a backup by the names of their streams."""
    document = json.loads(Path(record.path, MANIFEST).read_text())
    return {stream["name"]: Path(record.path, stream["blob"]["path"]) for stream in document["streams"]}


def copied_store(store: Path, folder: Path) -> tuple[Backup, str]:
    """The one backup of a store, and the store, copied to where a test may damage it."""
    shutil.copytree(store, folder / "store")
    (backup,) = list_backups(str(folder / "store"))
    return backup, str(folder / "store")


def turn_a_bit(record: Backup, seed: int) -> str:
    """Turn one bit of one blob, and return the name of its stream."""
    chance = random.Random(seed)
    name, blob = chance.choice(sorted(stored_blobs(record).items()))
    data = bytearray(blob.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    blob.write_bytes(data)
    return name


def forge(record: Backup, stream: str, data: bytes) -> None:
    """Put other bytes in the place of a blob of codec `none` and make all digests of the manifest fit them.

    Whoever can do that still has to know of the proof.
    """
    blob = stored_blobs(record)[stream]
    blob.write_bytes(data)
    manifest = Path(record.path, MANIFEST)
    document = json.loads(manifest.read_text())
    (match,) = (entry for entry in document["streams"] if entry["name"] == stream)
    for part in (match, match["blob"]):
        part["digests"]["sha256"], part["size"] = hashlib.sha256(data).hexdigest(), len(data)
    manifest.write_text(json.dumps(document))


def assert_named(result: DrillResult, names: str) -> None:
    """The drill failed and said which object differs."""
    assert not result.passed, f"the drill passed, though {names} was changed"
    assert result.state == "damaged"
    assert any(names in problem for problem in result.problems), (names, result.problems)
