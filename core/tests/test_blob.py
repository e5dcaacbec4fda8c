"""A stored stream as others read it: compared with the manifest as it passes."""

import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import Stat
from holdfast.errors import HoldfastError, IntegrityError, UnreachableError
from holdfast.plugins.builtin import NoCodec
from holdfast.store.blob import StoredBlob
from holdfast.store.manifest import BlobRecord, StreamRecord
from holdfast.store.object_bytes import object_bytes
from holdfast.streaming.blocks import BLOCK
from holdfast.streaming.workers import Stop
from holdfast.testing.memory import MemoryStorage

SHA256 = {"sha256": hashlib.sha256}

PLAIN = b"abc" * BLOCK


def blob(content: bytes = PLAIN, recorded: bytes = PLAIN, **fields: Any) -> StoredBlob:
    storage = MemoryStorage()
    storage.objects["app/id/data.txt"] = content
    digests = {"sha256": hashlib.sha256(recorded).hexdigest()}
    stored = BlobRecord(path="data.txt", size=len(recorded), digests=digests)
    record = StreamRecord(name="data", suffix=".txt", size=len(recorded), digests=digests, blob=stored)
    return StoredBlob(storage, "app/id", record, NoCodec(), **{"stop": Stop(), "hashers": SHA256, **fields})


def test_the_chunks_are_the_stream_however_often_they_are_asked_for() -> None:
    counted: list[int] = []
    stored = blob(count=counted.append)
    assert [stored.whole, b"".join(stored.chunks()), stored.whole] == [False, PLAIN, True]
    assert b"".join(stored.chunks()) == PLAIN
    assert sum(counted) == 2 * len(PLAIN)
    assert stored.stream.size == len(PLAIN)


def test_a_stream_is_whole_only_when_its_end_was_reached() -> None:
    stored = blob()
    chunks = stored.chunks()
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert not stored.whole
    stored.drain()
    assert stored.whole


def test_an_empty_stream_is_whole() -> None:
    assert list(blob(b"", b"").chunks()) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PLAIN[:-1], "has 3145727 bytes, expected 3145728"),
        (PLAIN + b"x", "holds more than the 3145728 bytes"),
        (b"b" + PLAIN[1:], "its sha256 differs"),
        (b"", "has 0 bytes"),
    ],
)
def test_other_bytes_are_an_integrity_error(content: bytes, text: str) -> None:
    stored = blob(content)
    with pytest.raises(IntegrityError, match=text):
        stored.drain()
    assert not stored.whole


def test_a_deviation_is_told_instead_where_that_was_asked_for() -> None:
    told: list[str] = []
    stored = blob(b"b" + PLAIN[1:], tolerate=told.append)
    assert b"".join(stored.chunks())[:1] == b"b"
    assert len(told) == 1
    assert stored.whole


def test_the_stored_bytes_are_compared_without_being_decoded() -> None:
    blob().check_stored(SHA256)
    with pytest.raises(IntegrityError, match=r"blob data\.txt is not what was stored"):
        blob(b"b" + PLAIN[1:]).check_stored(SHA256)


def test_a_missing_blob_is_damage_and_an_unreadable_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Any, path: str, *_: Any) -> bytes:
        raise error

    monkeypatch.setattr(MemoryStorage, "read", read)
    monkeypatch.setattr(MemoryStorage, "stat", lambda _self, path: Stat(path=path, size=1))  # of the manifest
    error: OSError = FileNotFoundError()
    with pytest.raises(IntegrityError, match=r"blob data\.txt is missing"):
        blob().drain()
    error = OSError(5, "Input/output error")
    with pytest.raises(HoldfastError, match=r"cannot read blob data\.txt: the device") as caught:
        blob().drain()
    assert not isinstance(caught.value, IntegrityError)


def test_a_spooled_stream_is_a_private_verified_file_made_once(tmp_path: Path) -> None:
    stored = blob(scratch=tmp_path)
    path = stored.spool()
    assert path.read_bytes() == PLAIN
    assert (path.suffix, os.stat(path).st_mode & 0o777) == (".txt", 0o600)
    assert stored.spool() == path
    assert os.listdir(tmp_path) == [path.name]


def test_steps_side_by_side_share_one_spooled_file(tmp_path: Path) -> None:
    stored = blob(scratch=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: stored.spool(), range(4)))
    assert len(paths) == len(os.listdir(tmp_path)) == 1


def test_a_damaged_stream_is_not_spooled_twice_into_one_file(tmp_path: Path) -> None:
    stored = blob(b"b" + PLAIN[1:], scratch=tmp_path)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            stored.spool()
    assert os.listdir(tmp_path) == []


def test_space_is_looked_for_before_a_stream_is_spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_frsize, f_blocks = 10, 512, 1000

    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    with pytest.raises(HoldfastError, match=r"not enough space in .*: 3145728 bytes are needed, 5120 are free"):
        blob(scratch=tmp_path).spool()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("refusal", [None, errno.ENOSYS, errno.EACCES, errno.ENOTSUP])
def test_a_file_system_that_does_not_tell_its_space_is_spooled_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int | None
) -> None:
    """FUSE answers with zeros for storage of a cloud, which has no size, or knows no such call."""

    class Unlimited:
        f_bavail, f_bfree, f_frsize, f_blocks = 0, 4275873052, 4096, 0

    def statvfs(_path: object) -> type[Unlimited]:
        if refusal is not None:
            raise OSError(refusal, os.strerror(refusal))
        return Unlimited

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert blob(scratch=tmp_path).spool().read_bytes() == PLAIN


def test_a_check_reads_the_stored_bytes_once_and_compares_both() -> None:
    counted: list[int] = []
    stored = blob(count=counted.append)
    stored.check(SHA256)
    assert (stored.whole, stored.as_stored, sum(counted)) == (True, True, 2 * len(PLAIN))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PLAIN[:-1], "^blob data.txt has 3145727 bytes, expected 3145728"),
        (PLAIN + b"x", "^blob data.txt has more bytes"),
        (b"b" + PLAIN[1:], "^blob data.txt is not what was stored"),
        (b"", "^blob data.txt has 0 bytes"),
    ],
)
def test_a_check_says_of_wrong_stored_bytes_that_they_are(content: bytes, text: str) -> None:
    stored = blob(content)
    with pytest.raises(IntegrityError, match=text):
        stored.check(SHA256)
    assert not stored.as_stored


def test_a_check_tells_a_blob_that_is_missing() -> None:
    stored = blob()
    storage: Any = stored._storage
    storage.objects = {"app/id/backup_manifest.json": b""}
    with pytest.raises(IntegrityError, match=r"^blob data\.txt is missing$"):
        stored.check(SHA256)


class Streaming(MemoryStorage):
    """Hands out streams that end as a test says: at `cuts`, one a request, well or with an error."""

    def __init__(self, cuts: list[tuple[int, Exception | None]]) -> None:
        super().__init__()
        self.cuts = cuts
        self.asked: list[int] = []

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        self.asked.append(offset)
        end, error = self.cuts.pop(0) if self.cuts else (len(PLAIN), None)
        data = self.read(path)[offset : max(end, offset)]
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]
        if error:
            raise error


def bytes_of(storage: MemoryStorage, size: int = len(PLAIN)) -> bytes:
    return b"".join(object_bytes(storage, "app/object", size=size, stop=Stop()))


def test_a_stream_goes_on_at_the_byte_where_it_broke_or_ended() -> None:
    storage = Streaming([(1_000_000, ConnectionResetError("reset")), (2_000_000, None), (2_000_000, None)])
    storage.objects["app/object"] = PLAIN
    assert bytes_of(storage) == PLAIN[:2_000_000]  # asked once more, it brought nothing
    assert storage.asked == [0, 1_000_000, 2_000_000]
    storage.cuts, storage.asked = [(1_000_000, UnreachableError("gone")), (2_000_000, None)], []
    assert bytes_of(storage) == PLAIN
    assert storage.asked == [0, 1_000_000, 2_000_000]


def test_a_stream_that_is_too_long_is_read_no_further() -> None:
    storage = Streaming([])
    storage.objects["app/object"] = PLAIN
    assert 1000 < len(bytes_of(storage, size=1000)) <= 101_000
    assert storage.asked == [0]


@pytest.mark.parametrize("error", [FileNotFoundError("none"), PermissionError("no")])
def test_what_reading_on_cannot_mend_is_raised_at_once(error: OSError) -> None:
    storage = Streaming([(0, error)])
    storage.objects["app/object"] = PLAIN
    with pytest.raises(type(error)):
        bytes_of(storage)
    assert storage.asked == [0]


def test_a_stream_that_brings_nothing_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.store.object_bytes._wait", lambda _seconds, _stop: None)
    storage = Streaming([(500_000, ConnectionResetError("reset"))] * 5)
    storage.objects["app/object"] = PLAIN
    with pytest.raises(ConnectionResetError):
        bytes_of(storage)
    assert storage.asked == [0, 500_000, 500_000, 500_000, 500_000]
