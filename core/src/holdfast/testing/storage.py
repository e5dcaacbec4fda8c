"""The contract of a storage, as tests."""

import subprocess
from collections.abc import Callable
from inspect import getattr_static
from pathlib import Path

import pytest

from holdfast.api import Storage, SupportsRename, SupportsShellFetch, SupportsWalk
from holdfast.testing.contract import skip_unless_overridden, states
from holdfast.testing.leases import LeaseTests
from holdfast.testing.storage_keeping import KeepingTests
from holdfast.testing.storage_objects import ObjectTests
from holdfast.testing.storage_parts import StorageParts
from holdfast.testing.storage_requests import RequestTests


class StorageSuite(ObjectTests, RequestTests, KeepingTests, LeaseTests):
    """Override the fixture `url`, with an empty place that is there for one test, or `storage`, `second` and `die`.

    Whoever overrides `storage` overrides `lose_lease` as well. What is not overridden and not known is skipped.
    """

    @states("storage 11")
    def test_listing_is_by_folder(self, storage: Storage) -> None:
        """A prefix is a folder, not the beginning of a name; paths are whole, and sizes right."""
        for path in ("top", "a/one", "a/b/two", "ab/three", "a-b/four"):
            self.put(storage, path, path.encode())
        assert self.paths(storage) == ["a-b/four", "a/b/two", "a/one", "ab/three", "top"]
        assert {stat.path: stat.size for stat in storage.list("a")} == {"a/one": 5, "a/b/two": 7}
        assert self.paths(storage, "a/b") == ["a/b/two"]
        assert list(storage.list("missing")) == []
        assert all(stat.regular and not stat.problem for stat in storage.list())
        stat = storage.stat("a/b/two")
        assert (stat.path, stat.size, stat.regular) == ("a/b/two", 7, True)

    @states("storage 12")
    def test_everything_is_listed_however_much_it_is(self, storage: Storage) -> None:
        """Also beyond what a service lists at a time, which is often a thousand."""
        paths = [f"many/{number:04}" for number in range(self.many)]
        for number, path in enumerate(paths):
            self.put(storage, path)
            if number == 999:
                assert len(self.paths(storage, "many")) == 1000, "a last page that is full"
        assert [stat.path for stat in sorted(storage.list("many"), key=lambda stat: stat.path)] == paths
        assert len(self.paths(storage)) == self.many

    @states("storage 12")
    def test_what_is_listed_may_be_deleted_meanwhile(self, storage: Storage, second: Storage) -> None:
        """Nothing else is passed over, by whoever deletes what the listing has yielded."""
        paths = {f"many/{number:04}" for number in range(self.many)}
        for path in paths:
            self.put(storage, path)
        listed = set()
        for stat in storage.list("many"):
            listed.add(stat.path)
            second.delete(stat.path)
        assert listed == paths
        assert self.paths(storage) == []

    @states("storage 13")
    def test_paths_are_kept_as_they_are(self, storage: Storage, second: Storage) -> None:
        """The case of letters counts, and so does each dot, hyphen and underscore."""
        paths = ["A/Object", "A/object", "a/.b", "a/__c", "a/b-.d..e", "a/b_d_e", f"a/{'n' * 200}"]
        for path in paths:
            self.put(storage, path, path.encode())
        for opened in (storage, second):
            assert self.paths(opened) == sorted(paths)
            assert [opened.read(path).decode() for path in paths] == paths

    @states("storage 14")
    def test_deleting_is_idempotent(self, storage: Storage) -> None:
        """An interrupted deletion is simply repeated, and the name is free again."""
        self.put(storage, "a/object", b"x")
        storage.delete("a/object")
        with pytest.raises(FileNotFoundError):
            storage.read("a/object")
        storage.delete("a/object")
        storage.delete("never/there")
        assert list(storage.list()) == []
        self.put(storage, "a/object", b"again")
        assert storage.read("a/object") == b"again"

    @states("storage 15")
    def test_a_deletion_takes_nothing_else(self, storage: Storage) -> None:
        """Not what begins alike, nor what lies below."""
        paths = ["a/object", "a/object2", "a/object.zst", "ab/object", "b/object"]
        for path in paths:
            self.put(storage, path, b"x")
        storage.delete("a/object")
        assert self.paths(storage) == paths[2:3] + paths[1:2] + paths[3:]
        storage.delete("a/obj")
        storage.delete("b/object/deeper")
        assert self.paths(storage) == paths[2:3] + paths[1:2] + paths[3:]

    @states("storage 16")
    def test_a_barrier_may_come_at_any_time(self, storage: Storage) -> None:
        """Also with nothing to make durable, while something is being written, and after a deletion."""
        storage.barrier()
        self.put(storage, "a/object", b"x")
        storage.barrier()
        with storage.writer("a/other") as writer:
            writer.write(b"y")
            storage.barrier()
        storage.delete("a/object")
        storage.barrier()
        assert self.paths(storage) == ["a/other"]

    @states("storage 17")
    def test_a_second_opening_sees_what_the_first_did(self, storage: Storage, second: Storage) -> None:
        """At once, and the reverse: nothing is remembered that another process can change."""
        if second is storage and getattr_static(type(self), "second") is getattr_static(StorageParts, "second"):
            pytest.skip(
                "there is no second opening: give `url` instead of `storage`, or override the fixture `second`, which "
                "is `storage` itself where no other process can get at the place"
            )
        assert self.paths(second) == []
        self.put(storage, "a/object", b"first")
        assert second.read("a/object") == b"first"
        assert self.paths(second) == ["a/object"]
        second.delete("a/object")
        with pytest.raises(FileNotFoundError):
            storage.read("a/object")
        with pytest.raises(FileNotFoundError):
            storage.stat("a/object")
        assert self.paths(storage) == []
        self.put(second, "a/object", b"another")
        assert storage.read("a/object") == b"another"
        assert storage.stat("a/object").size == 7

    @states("storage 18")
    def test_its_location_is_one_line_without_secrets(self, storage: Storage) -> None:
        """It stands in messages and in manifests."""
        assert isinstance(storage.location, str)
        assert storage.location.isprintable()
        assert storage.location.strip()
        assert not self.password or self.password not in storage.location

    @states("storage 18")
    def test_errors_tell_no_secrets(self, storage: Storage) -> None:
        """They are shown and logged."""
        skip_unless_overridden(
            self,
            StorageParts,
            "password",
            "nobody knows which secret the URL holds (an empty text says that it holds none)",
        )
        for missing in (lambda: storage.read("a/missing"), lambda: storage.stat("a/missing")):
            with pytest.raises(FileNotFoundError) as caught:
                missing()
            assert not self.password or self.password not in f"{caught.value} {caught.value.args}"

    @states("storage 19")
    def test_what_a_dead_writer_left_can_be_deleted(
        self, storage: Storage, die: Callable[[str, str, float], bool] | None
    ) -> None:
        """It never has the name of the object, does not keep it from others, and where it is listed it can go."""
        if die is None or not die("writer", "a/object", 0):
            return
        with pytest.raises(FileNotFoundError):
            storage.stat("a/object")
        self.put(storage, "a/object", b"whole")
        assert storage.read("a/object") == b"whole"
        for stat in list(storage.list()):
            storage.delete(stat.path)
        assert list(storage.list()) == []

    @states("storage 20")
    def test_walking_leaves_out_folders_and_nothing_else(self, storage: Storage) -> None:
        """Where a storage can: those that `enter` is false for, by their paths."""
        if not isinstance(storage, SupportsWalk):
            return
        for path in ("top", "a/x", "a/b/y", "a/b/c/z", "b/b/w"):
            self.put(storage, path)

        def walk(prefix: str, *refused: str) -> list[str]:
            stats = storage.walk(prefix, lambda path: path not in refused)
            return sorted(stat.path for stat in stats if not stat.path.endswith("/"))

        assert walk("") == self.paths(storage)
        assert walk("", "a/b") == ["a/x", "b/b/w", "top"]
        assert walk("a", "a/b/c") == ["a/b/y", "a/x"]
        assert walk("", "a", "b") == ["top"]

    @states("storage 27")
    def test_a_folder_is_renamed_with_all_that_it_holds(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: whole, and never over what is there."""
        if not isinstance(storage, SupportsRename):
            return
        for path in ("a/x", "a/b/y", "ab/z", "c/w"):
            self.put(storage, path, path.encode())
        with pytest.raises(FileExistsError):
            storage.rename("a", "c")
        with pytest.raises(FileNotFoundError):
            storage.rename("none", "d")
        assert self.paths(second) == ["a/b/y", "a/x", "ab/z", "c/w"]
        storage.rename("a", "new")
        storage.barrier()
        assert self.paths(second) == ["ab/z", "c/w", "new/b/y", "new/x"]
        assert second.read("new/b/y") == b"a/b/y"

    @states("storage 28")
    def test_a_folder_can_be_fetched_without_holdfast(self, storage: Storage, tmp_path: Path) -> None:
        """Where a storage can: by the lines that RESTORE.md shows, each object under its name."""
        if not isinstance(storage, SupportsShellFetch):
            return
        for path in ("top", "a/b/x", "a/b/c/y z'", "a/b/empty", "a/bc/w", "b/x"):
            self.put(storage, path, *[path.encode()] * (not path.endswith("empty")))
        lines = storage.fetch_steps("a/b")
        assert all(line.isprintable() for line in lines)
        assert not self.password or self.password not in "".join(lines)
        folder = tmp_path / "fetched"
        folder.mkdir()
        done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        fetched = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
        assert fetched == {"x": "a/b/x", "c/y z'": "a/b/c/y z'", "empty": ""}
