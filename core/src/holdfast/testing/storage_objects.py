"""What reading and writing objects promises of a storage, as tests: `StorageSuite` has them."""

import contextlib
import random
import threading

import pytest

from holdfast.api import Storage
from holdfast.testing.contract import assert_same, states
from holdfast.testing.process_state import unchanged
from holdfast.testing.storage_parts import StorageParts
from holdfast.testing.threads import run_threads


class ObjectTests(StorageParts):
    """What reading and writing promises."""

    @states("storage 1")
    def test_an_empty_place_holds_nothing(self, storage: Storage, second: Storage) -> None:
        """Opening creates nothing, and neither does looking."""
        for opened in (storage, second):
            assert list(opened.list()) == []
            assert list(opened.list("a")) == []
            with pytest.raises(FileNotFoundError):
                opened.read("a/object")
        assert list(storage.list()) == []

    @states("storage 39")
    def test_it_leaves_the_program_as_it_is(self, storage: Storage, capfd: pytest.CaptureFixture[str]) -> None:
        """Its settings are not the storage's own, and standard output is data."""
        with unchanged(capfd):
            with storage.lease("name"):
                self.put(storage, "a/object", b"x")
                storage.barrier()
            assert (storage.read("a/object"), storage.stat("a/object").size) == (b"x", 1)
            assert self.paths(storage) == ["a/object"]
            storage.delete("a/object")

    @states("storage 2")
    def test_what_was_written_is_read_back(self, storage: Storage) -> None:
        """In whole and in part, fewer bytes only at the end."""
        self.put(storage, "a/b/c.txt", b"hello ", bytearray(b"wor"), memoryview(b"ld"))
        assert storage.read("a/b/c.txt") == b"hello world"
        assert storage.read("a/b/c.txt", 6) == b"world"
        assert storage.read("a/b/c.txt", 3, 4) == b"lo w"
        assert storage.read("a/b/c.txt", 9, 100) == b"ld"
        assert storage.read("a/b/c.txt", 100, 5) == b""
        assert storage.read("a/b/c.txt", 11, 5) == storage.read("a/b/c.txt", 0, 0) == b""
        assert storage.read("a/b/c.txt", 11) == storage.read("a/b/c.txt", 100) == b""
        assert isinstance(storage.read("a/b/c.txt", 1, 2), bytes)

    @states("storage 2")
    def test_large_objects_are_read_back(self, storage: Storage) -> None:
        """None is too large, however it is cut; what was asked for comes whole."""
        data = random.Random(1).randbytes(11_000_001)
        self.put(storage, "a/large", *(data[at : at + 1_000_000] for at in range(0, len(data), 1_000_000)))
        self.put(storage, "a/once", data)
        for path in ("a/large", "a/once"):
            assert storage.stat(path).size == len(data)
            assert_same(storage.read(path), data)
            assert_same(storage.read(path, 10, 9_000_000), data[10:9_000_010])
            assert_same(storage.read(path, 9_000_000, 1 << 40), data[9_000_000:])

    @states("storage 2")
    @pytest.mark.parametrize("size", [5 << 20, 8 << 20])
    def test_an_object_may_end_where_a_part_does(self, storage: Storage, size: int) -> None:
        """Services take large objects in parts of such sizes, of which the last must be neither lost nor empty."""
        data = random.Random(size).randbytes(size)
        self.put(storage, "a/large", *(data[at : at + (1 << 20)] for at in range(0, size, 1 << 20)))
        assert storage.stat("a/large").size == size
        assert_same(storage.read("a/large", size - 1000), data[-1000:])

    @states("storage 2", "storage 3")
    def test_an_empty_object_is_an_object(self, storage: Storage) -> None:
        """Streams may be empty, and pieces too."""
        self.put(storage, "a/empty")
        self.put(storage, "a/nothing", b"")
        for path in ("a/empty", "a/nothing"):
            assert storage.stat(path).size == 0
            assert storage.read(path) == storage.read(path, 0, 100) == storage.read(path, 5) == b""
        assert self.paths(storage) == ["a/empty", "a/nothing"]

    @states("storage 4")
    def test_a_chunk_is_taken_when_write_returns(self, storage: Storage) -> None:
        """Whoever hands it over may use its memory again."""
        chunk = bytearray(b"first ")
        with storage.writer("a/object") as writer:
            writer.write(chunk)
            chunk[:] = b"second"
            writer.write(memoryview(chunk))
            chunk[:] = b"wrong!"
        assert storage.read("a/object") == b"first second"

    @states("storage 5")
    def test_an_object_is_visible_only_at_a_clean_exit(self, storage: Storage, second: Storage) -> None:
        """A reader must never see half of one, under its name."""
        with storage.writer("a/object") as writer:
            for piece in (b"half", bytes(6_000_000)):
                writer.write(piece)
                for opened in (storage, second):
                    with pytest.raises(FileNotFoundError):
                        opened.stat("a/object")
                    with pytest.raises(FileNotFoundError):
                        opened.read("a/object")
                    assert "a/object" not in self.paths(opened)
        assert second.read("a/object", 0, 4) == b"half"

    @states("storage 6")
    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit, SystemExit])
    def test_an_error_in_the_block_of_a_writer_leaves_no_object(
        self, storage: Storage, error: type[BaseException]
    ) -> None:
        """Whatever the error is: nothing is left under the name, and the name is free."""
        with contextlib.suppress(error), storage.writer("a/object") as writer:
            writer.write(b"half")
            raise error
        with pytest.raises(FileNotFoundError):
            storage.stat("a/object")
        assert self.paths(storage) == []
        self.put(storage, "a/object", b"whole")
        assert storage.read("a/object") == b"whole"

    @states("storage 6")
    def test_an_error_after_parts_were_sent_leaves_no_object(self, storage: Storage, second: Storage) -> None:
        """However much of it the storage has taken."""
        with contextlib.suppress(ZeroDivisionError), storage.writer("a/large") as writer:
            for _ in range(10):
                writer.write(bytes(1 << 20))
            raise ZeroDivisionError
        assert self.paths(second) == []
        self.put(second, "a/large", b"whole")
        assert storage.read("a/large") == b"whole"

    @states("storage 6")
    def test_who_fails_takes_nothing_from_who_has_published(self, storage: Storage, second: Storage) -> None:
        """What is cleared away after an error is one's own, and not what has the name by now."""
        with contextlib.suppress(ZeroDivisionError), storage.writer("a/object") as writer:
            writer.write(b"half")
            self.put(second, "a/object", b"whole")
            raise ZeroDivisionError
        for opened in (storage, second):
            assert opened.read("a/object") == b"whole"
            assert self.paths(opened) == ["a/object"]

    @states("storage 7")
    def test_an_object_is_never_overwritten(self, storage: Storage, second: Storage) -> None:
        """Publishing is a create-only write, also of what has the same bytes, and from another opening."""
        self.put(storage, "a/object", b"first")
        for opened in (storage, second):
            for content in (b"second", b"first", b""):
                with pytest.raises(FileExistsError):
                    self.put(opened, "a/object", content)
            assert opened.read("a/object") == b"first"

    @states("storage 8")
    def test_of_two_writers_of_a_path_the_second_to_end_is_told(self, storage: Storage, second: Storage) -> None:
        """Both found the name free when they began: one of them wins, whole."""
        with contextlib.ExitStack() as stack:
            late = stack.enter_context(pytest.raises(FileExistsError))
            late_writer = stack.enter_context(second.writer("a/object"))
            late_writer.write(b"late ")
            self.put(storage, "a/object", b"early")
            late_writer.write(b"and longer")
        assert isinstance(late.value, FileExistsError)
        for opened in (storage, second):
            assert opened.read("a/object") == b"early"
            assert self.paths(opened) == ["a/object"]

    @states("storage 9")
    def test_several_objects_may_be_written_and_read_at_once(self, storage: Storage) -> None:
        """From several threads; the readers of an object do not disturb each other."""
        contents = {f"a/{number}": bytes([number]) * 10_000 + bytes(range(256)) * 40 for number in range(6)}
        wrong: list[int] = []
        started = threading.Barrier(len(contents))

        def work(path: str) -> None:
            try:
                started.wait()
                self.put(storage, path, *(contents[path][at : at + 5000] for at in range(0, len(contents[path]), 5000)))
                started.wait()
            except BaseException:
                started.abort()  # who waits for this one need not wait any longer
                raise
            parts = {at: storage.read("a/0", at, 700) for at in range(0, 20_000, 1500)}
            wrong.extend(at for at, part in parts.items() if part != contents["a/0"][at : at + 700])

        run_threads(work, contents, patience=12 * self.patience)
        assert wrong == []
        assert {path: storage.read(path) for path in self.paths(storage)} == contents

    @states("storage 10")
    def test_a_missing_object_is_file_not_found(self, storage: Storage) -> None:
        """For reading and for asking; so is a folder, or what merely begins alike."""
        self.put(storage, "a/object", b"x")
        for path in ("a/missing", "a/obj", "a/object2", "nowhere"):
            with pytest.raises(FileNotFoundError):
                storage.read(path)
            with pytest.raises(FileNotFoundError):
                storage.read(path, 1, 1)
            with pytest.raises(FileNotFoundError):
                storage.stat(path)
