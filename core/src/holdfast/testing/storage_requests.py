"""What a storage promises that does in one request what takes others many."""

import itertools
import random

import pytest

from holdfast.api import Storage, SupportsDeleteMany, SupportsGuarantees, SupportsNames, SupportsStreaming
from holdfast.testing.contract import assert_same, states
from holdfast.testing.storage_parts import StorageParts


class RequestTests(StorageParts):
    """Streams, and deletions of many; without a word where a storage has neither."""

    @states("storage 30")
    def test_a_stream_is_what_read_returns(self, storage: Storage) -> None:
        """Where a storage can: from any byte to the end, also for several readers, and as often as it is asked."""
        if not isinstance(storage, SupportsStreaming):
            return
        data = random.Random(2).randbytes(7_000_001)
        self.put(storage, "a/large", data)
        self.put(storage, "a/large2", b"another")
        self.put(storage, "a/empty")
        for offset in (0, 1, 1 << 20, 5_000_000, len(data) - 1, len(data), len(data) + 5):
            assert_same(b"".join(storage.stream("a/large", offset)), data[offset:])
        assert b"".join(storage.stream("a/empty")) == b""
        together = zip(storage.stream("a/large"), storage.stream("a/large", 5), strict=False)
        assert all(first and second for first, second in itertools.islice(together, 3))

    @states("storage 30")
    def test_a_stream_may_be_left_early(self, storage: Storage) -> None:
        """Where a storage can: whoever has enough closes it, a hundred times without harm."""
        if not isinstance(storage, SupportsStreaming):
            return
        self.put(storage, "a/large", bytes(3_000_000))
        for _ in range(100):
            pieces = iter(storage.stream("a/large"))
            assert next(pieces)[:1] == b"\0"
            pieces.close()  # type: ignore[attr-defined]
        assert storage.stat("a/large").size == 3_000_000

    @states("storage 30")
    def test_a_stream_of_what_is_missing_is_file_not_found(self, storage: Storage) -> None:
        """Where a storage can: at the latest when its first piece is asked for."""
        if not isinstance(storage, SupportsStreaming):
            return
        self.put(storage, "a/object", b"x")
        for path in ("a/missing", "a/obj", "nowhere"):
            with pytest.raises(FileNotFoundError):
                list(storage.stream(path))

    @states("storage 32")
    def test_names_are_those_of_the_folders_in_a_folder(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: of folders and no objects, each once, also beyond a thousand."""
        if not isinstance(second, SupportsNames):
            return
        folders = [f"20260102T030405Z-{number:06}" for number in range(self.many)]
        more = (f"app/{folders[0]}/more", f"app/{folders[-1]}/a/b", "app/object", "b/c/d")
        for path in (*(f"app/{folder}/data" for folder in folders), *more):
            self.put(storage, path)
        with storage.lease("held"):
            assert sorted(second.names("app")) == folders
            assert sorted(second.names("")) == ["app", "b"]
        assert [*second.names("nowhere")] == [*second.names("ap")] == [*second.names("b/c")] == []

    @states("storage 33")
    def test_a_version_stays_while_an_object_does(self, storage: Storage, second: Storage) -> None:
        """Where a storage has any: however often it is listed, and whoever does; what is written anew has another."""
        self.put(storage, "a/b", b"first")
        versions = {stat.version for _ in range(2) for each in (storage, second) for stat in each.list()}
        assert len(versions) == 1
        storage.delete("a/b")
        self.put(storage, "a/b", b"other")
        assert versions == {""} or versions.isdisjoint({stat.version for stat in second.list()})

    @states("storage 34")
    def test_guarantees_are_told_and_leave_nothing_behind(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: each once, in a place with objects and in an empty one."""
        if not isinstance(storage, SupportsGuarantees):
            return
        for paths in ([], ["holdfast.json"]):
            for path in paths:
                self.put(storage, path)
            names = [guarantee.name for guarantee in storage.guarantees()]
            assert all(names)
            assert len(names) == len({*names})
            assert self.paths(second) == paths

    @states("storage 31")
    def test_many_objects_are_deleted_at_once(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: those and no others, also beyond a thousand, and what is missing is no error."""
        if not isinstance(storage, SupportsDeleteMany):
            return
        paths = [f"many/{number:04}" for number in range(self.many)]
        for path in (*paths, "many/0001.more", "other"):
            self.put(storage, path)
        storage.delete_many([*paths, "many/none", "none"])
        storage.delete_many([])
        assert self.paths(second) == ["many/0001.more", "other"]
        storage.delete_many([f"none/{number}" for number in range(1000)])  # as many as services take, and none more
        assert self.paths(second) == ["many/0001.more", "other"]
