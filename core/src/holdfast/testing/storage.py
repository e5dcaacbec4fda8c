"""The contract of a storage, as tests."""

import contextlib

import pytest

from holdfast.api import Chunk, LockedError, Storage


class StorageSuite:
    """Override the fixture `storage` with an empty place that is there for one test."""

    @pytest.fixture
    def storage(self) -> Storage:
        """The storage under test."""
        raise NotImplementedError("override the fixture `storage`")

    def put(self, storage: Storage, path: str, *pieces: Chunk) -> None:
        """Write one object."""
        with storage.writer(path) as writer:
            for piece in pieces:
                writer.write(piece)

    def test_what_was_written_is_read_back(self, storage: Storage) -> None:
        """In whole and in part, fewer bytes only at the end."""
        self.put(storage, "a/b/c.txt", b"hello ", bytearray(b"wor"), memoryview(b"ld"))
        assert storage.read("a/b/c.txt") == b"hello world"
        assert storage.read("a/b/c.txt", 6) == b"world"
        assert storage.read("a/b/c.txt", 3, 4) == b"lo w"
        assert storage.read("a/b/c.txt", 9, 100) == b"ld"
        assert storage.read("a/b/c.txt", 100, 5) == b""

    def test_an_empty_object_is_an_object(self, storage: Storage) -> None:
        """Streams may be empty."""
        self.put(storage, "a/empty")
        assert storage.stat("a/empty").size == 0
        assert storage.read("a/empty") == b""

    def test_an_object_is_visible_only_at_a_clean_exit(self, storage: Storage) -> None:
        """A reader must never see half of one, under its name."""
        with storage.writer("a/object") as writer:
            writer.write(b"half")
            with pytest.raises(FileNotFoundError):
                storage.stat("a/object")
        assert storage.read("a/object") == b"half"

    def test_an_error_inside_the_writer_leaves_no_object(self, storage: Storage) -> None:
        """Nothing is left under the name, and the name is free."""
        with contextlib.suppress(ZeroDivisionError), storage.writer("a/object") as writer:
            writer.write(b"half")
            raise ZeroDivisionError
        with pytest.raises(FileNotFoundError):
            storage.stat("a/object")
        self.put(storage, "a/object", b"whole")
        assert storage.read("a/object") == b"whole"

    def test_an_object_is_never_overwritten(self, storage: Storage) -> None:
        """Publishing is a create-only write: of two, one wins and the other is told."""
        self.put(storage, "a/object", b"first")
        with pytest.raises(FileExistsError):
            self.put(storage, "a/object", b"second")
        assert storage.read("a/object") == b"first"

    def test_a_missing_object_is_file_not_found(self, storage: Storage) -> None:
        """For reading and for asking."""
        with pytest.raises(FileNotFoundError):
            storage.read("a/missing")
        with pytest.raises(FileNotFoundError):
            storage.stat("a/missing")

    def test_listing_is_by_folder(self, storage: Storage) -> None:
        """A prefix is a folder, not the beginning of a name."""
        for path in ("top", "a/one", "a/b/two", "ab/three"):
            self.put(storage, path, path.encode())
        assert sorted(stat.path for stat in storage.list()) == ["a/b/two", "a/one", "ab/three", "top"]
        assert {stat.path: stat.size for stat in storage.list("a")} == {"a/one": 5, "a/b/two": 7}
        assert list(storage.list("missing")) == []

    def test_deleting_is_idempotent(self, storage: Storage) -> None:
        """An interrupted deletion is simply repeated."""
        self.put(storage, "a/object", b"x")
        storage.delete("a/object")
        storage.delete("a/object")
        storage.delete("never/there")
        assert list(storage.list()) == []

    def test_a_barrier_may_come_at_any_time(self, storage: Storage) -> None:
        """Also with nothing to make durable, and after a deletion."""
        storage.barrier()
        self.put(storage, "a/object", b"x")
        storage.delete("a/object")
        storage.barrier()

    def test_a_lease_has_one_holder(self, storage: Storage) -> None:
        """And is free again afterwards, also after an error."""
        with contextlib.suppress(ZeroDivisionError), storage.lease("name"):
            with pytest.raises(LockedError), storage.lease("name"):
                pass
            with storage.lease("another"):
                pass
            raise ZeroDivisionError
        with storage.lease("name"):
            pass
        assert list(storage.list()) == []

    def test_its_location_is_one_line(self, storage: Storage) -> None:
        """It stands in messages."""
        assert storage.location.isprintable()
        assert storage.location
