"""What a storage promises of its service: that it keeps what somebody deletes, how old something is, where it lies."""

import contextlib
import math
import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.api import (
    HoldfastError,
    NotFoundError,
    Retention,
    Storage,
    SupportsAge,
    SupportsFolder,
    SupportsRetention,
    SupportsVersions,
    Version,
)
from holdfast.testing.contract import assert_same, states
from holdfast.testing.storage_parts import StorageParts

_CLOCK = 1.0  # seconds; what clocks of services tell times in
_A_WHILE = 60.0  # seconds; in which what was written just now is told so
_SOON = timedelta(hours=1)  # by which what must not be kept is free


class KeepingTests(StorageParts):
    """Retentions, versions, ages and folders; without a word where a storage has none in the place of the tests."""

    @states("storage 35")
    def test_an_object_is_kept_for_as_long_as_was_asked(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: written as by any writer, and told by whoever asks; where not, nothing is written."""
        if not isinstance(storage, SupportsRetention) or not isinstance(second, SupportsRetention):
            return
        retention = _days(2)
        try:
            storage.check_retention(retention)
        except HoldfastError:
            assert self.paths(second) == []
            return
        assert self.paths(second) == []
        with storage.retained_writer("a/kept", retention) as writer:
            writer.write(b"kept")
            assert self.paths(second) == []
        assert second.read("a/kept") == b"kept"
        assert second.retention("a/kept") == retention
        with pytest.raises(FileExistsError), storage.retained_writer("a/kept", retention) as writer:
            writer.write(b"other")
        with contextlib.suppress(ZeroDivisionError), storage.retained_writer("a/failed", retention) as writer:
            writer.write(bytes(1 << 20))
            raise ZeroDivisionError
        with pytest.raises(FileNotFoundError):
            storage.retention("a/missing")
        assert self.paths(second) == ["a/kept"]

    @states("storage 35")
    def test_what_has_to_be_replaced_is_not_kept(self, storage: Storage) -> None:
        """Where a storage can: also where its service keeps whatever is written, as far as that can be."""
        if not isinstance(storage, SupportsRetention):
            return
        with storage.retained_writer("a/claim", None) as writer:
            writer.write(b"first")
        retention = storage.retention("a/claim")
        assert retention is None or retention.until < datetime.now(UTC) + _SOON
        storage.delete("a/claim")
        with storage.retained_writer("a/claim", None) as writer:
            writer.write(b"second")
        assert storage.read("a/claim") == b"second"

    @states("storage 36")
    def test_a_retention_is_made_longer_and_never_shorter(self, storage: Storage) -> None:
        """Where a storage can: nor is what nobody can lift made what somebody can."""
        if not isinstance(storage, SupportsRetention):
            return
        try:
            storage.check_retention(_days(2))
        except HoldfastError:
            return
        with storage.retained_writer("a/object", _days(2)) as writer:
            writer.write(b"x")
        for asked, expected in ((2, 2), (4, 4), (3, 4)):
            storage.retain("a/object", _days(asked))
            assert storage.retention("a/object") == _days(expected)
        with storage.retained_writer("a/strict", replace(_days(2), mode="compliance")) as writer:
            writer.write(b"x")
        storage.retain("a/strict", _days(4))
        assert storage.retention("a/strict") == replace(_days(4), mode="compliance")
        assert storage.read("a/object") == b"x"

    @states("storage 37")
    def test_every_content_that_a_path_has_had_is_a_version(self, storage: Storage, second: Storage) -> None:
        """Where a storage keeps any: each can be read, also in part, and nothing else is told."""
        if not self._keeps_versions(storage) or not isinstance(second, SupportsVersions):
            return
        with storage.lease("held"):
            for content in (b"first", b"second one"):
                self.put(storage, "a/b/object", content)
                storage.delete("a/b/object")
            self.put(storage, "a/b/object", b"third")
            self.put(storage, "a/bc", b"beside")
            told = list(second.versions("a/b"))
            assert {version.path for version in second.versions()} == {"a/b/object", "a/bc"}
        contents = {second.read_version(each.path, each.id): each for each in told if not each.deletion}
        assert contents.keys() == {b"first", b"second one", b"third"}
        assert {data: each.size for data, each in contents.items()} == {data: len(data) for data in contents}
        assert [data for data, each in contents.items() if each.newest] == [b"third"]
        assert {each.path for each in told} == {"a/b/object"}
        assert len({each.id for each in told}) == len(told) == 5
        assert_same(second.read_version("a/b/object", contents[b"second one"].id, 3, 4), b"ond ")

    @states("storage 37")
    def test_more_than_a_thousand_versions_are_told(self, storage: Storage) -> None:
        """Where a storage keeps any: each once."""
        if not self._keeps_versions(storage):
            return
        paths = [f"many/{number:04}" for number in range(self.many)]
        for path in paths:
            self.put(storage, path)
        assert isinstance(storage, SupportsVersions)
        assert sorted(version.path for version in storage.versions("many")) == paths

    @states("storage 38")
    def test_a_version_is_brought_back_and_nothing_is_lost(self, storage: Storage, second: Storage) -> None:
        """Where a storage keeps any: what was deleted, and what was overwritten; twice is once."""
        if not self._keeps_versions(storage) or not isinstance(second, SupportsVersions):
            return
        self.put(storage, "a/object", b"first")
        storage.delete("a/object")
        first = _version_of(second, "a/object", b"first")
        for _ in range(2):
            second.bring_back("a/object", first.id)
            assert storage.read("a/object") == b"first"
        storage.delete("a/object")
        self.put(storage, "a/object", b"other")
        second.bring_back("a/object", first.id)
        assert storage.read("a/object") == b"first"
        assert self.paths(storage) == ["a/object"]
        assert second.read_version("a/object", _version_of(second, "a/object", b"other").id) == b"other"

    @states("storage 40")
    def test_an_age_is_that_of_the_newest_object_below_a_folder(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: it grows until something is written there, and leases hold nobody off."""
        if not isinstance(storage, SupportsAge) or not isinstance(second, SupportsAge):
            return
        assert second.age("a") == math.inf
        self.put(storage, "a/b/object")
        first = second.age("a")
        assert -_CLOCK <= first < _A_WHILE, "an object that was written just now"
        deadline = time.monotonic() + _A_WHILE
        while (grown := second.age("a")) <= first:
            assert time.monotonic() < deadline, "it does not grow"
            threading.Event().wait(0.05)
        self.put(storage, "ab/object")
        assert second.age("a") >= grown, "what begins alike lies in another folder"
        self.put(storage, "a/later")
        pairs = ((storage.age("a/b"), second.age("a")) for _ in range(20))  # a clock may tick in between
        assert any(now < before for before, now in pairs), "something was written later"
        assert second.age("nowhere") == math.inf
        with storage.lease("name"), second.lease("name"):
            assert self.paths(second) == ["a/b/object", "a/later", "ab/object"]

    @states("storage 41")
    def test_a_folder_holds_the_objects_as_files(self, storage: Storage, second: Storage) -> None:
        """Where a storage keeps them so: whether a target of a restore lies in it is looked at there."""
        if not isinstance(storage, SupportsFolder) or not isinstance(second, SupportsFolder):
            return
        self.put(storage, "a/object", b"content")
        assert os.path.isabs(second.folder)
        assert os.path.samefile(storage.folder, second.folder)
        assert Path(second.folder, "a/object").read_bytes() == b"content"

    def _keeps_versions(self, storage: Storage) -> bool:
        if not isinstance(storage, SupportsVersions):
            return False
        try:
            return not list(storage.versions())
        except NotFoundError:
            return False


def _days(days: int) -> Retention:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Retention(until=midnight + timedelta(days=days))


def _version_of(storage: SupportsVersions, path: str, content: bytes) -> Version:
    """The version of a path that holds a content."""
    versions = [each for each in storage.versions() if each.path == path and not each.deletion]
    return next(each for each in versions if storage.read_version(path, each.id) == content)
