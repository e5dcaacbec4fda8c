"""What a wrapper promises of the optional abilities of what it wraps, as tests: `WrapperSuite` has them."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast import api
from holdfast.api import (
    Capability,
    DumpRequest,
    RestoreRequest,
    Retention,
    ScratchRequest,
    Stream,
    SupportsFrameSearch,
    SupportsRetention,
    SupportsShellDecode,
    SupportsSource,
    UsageError,
)
from holdfast.plugins.registry import Registry
from holdfast.testing.able import AllAbleEngine, AllAbleStorage
from holdfast.testing.contract import states
from holdfast.testing.memory import TARGET, URL, MemoryPlugin


def _abilities(part: object) -> set[str]:
    """The optional abilities of a part: those of `holdfast.api` that it has."""
    names = (name for name in api.__all__ if name.startswith("Supports"))
    return {name for name in names if isinstance(part, getattr(api, name))}


class AbilityTests:
    """What was opened can do all that it could."""

    @pytest.fixture
    def able(self, plugin: Any, wrapped: Any) -> Registry:
        """A registry of the plugin, and of parts that can do all that there is."""
        wrapped.storage = AllAbleStorage("memory")
        engine = AllAbleEngine(capabilities=frozenset({Capability.PROOF}))
        parts = [MemoryPlugin(engine), wrapped, plugin]
        return Registry(plugins=parts, discover=False, environ={"HOLDFAST_STRICT_PLUGINS": "1"})

    @states("wrapper 6")
    def test_what_codecs_and_storages_can_besides_is_not_lost(self, able: Registry, wrapped: Any) -> None:
        """Streams, deletions of many, a command for decoding by hand: all that the core asks an object for."""
        opened, below = able.storage("kept://here"), wrapped.storage
        assert _abilities(opened) == _abilities(below)
        with opened.writer("a/b/object") as writer:
            writer.write(b"content")
        for told in (
            lambda storage: storage.folder,
            lambda storage: storage.age("a"),
            lambda storage: list(storage.names("a")),
            lambda storage: list(storage.guarantees()),
            lambda storage: list(storage.fetch_steps("a")),
            lambda storage: b"".join(storage.stream("a/b/object", 3)),
            lambda storage: [stat.path for stat in storage.walk("", lambda path: path != "a/b")],
            lambda storage: list(storage.versions("a")),
            lambda storage: storage.read_version("a/b/object", "1", 2, 3),
        ):
            assert told(opened) == told(below)
        opened.bring_back("a/b/object", "1")  # type: ignore[attr-defined]
        assert below.trace[-1] == "brought a/b/object 1 back"
        opened.rename("a", "new")  # type: ignore[attr-defined]
        opened.delete_many(["new/b/missing"])  # type: ignore[attr-defined]
        assert below.objects == {"new/b/object": b"content"}
        with opened.shared_lease("name"):  # type: ignore[attr-defined]
            assert below.leases == {"name shared"}
        codec = able.codec("plain")
        assert isinstance(codec, SupportsShellDecode)
        assert isinstance(codec, SupportsFrameSearch)
        assert (codec.command, codec.frame_magic) == ("cat", b"")

    @states("wrapper 6")
    def test_what_is_kept_for_a_time_is_kept_through_it(self, able: Registry, wrapped: Any) -> None:
        """As it was asked, from the moment when it is visible; a writer that fails publishes nothing."""
        opened, below = able.storage("kept://here"), wrapped.storage
        assert isinstance(opened, SupportsRetention)
        asked = Retention(until=datetime(2999, 1, 1, tzinfo=UTC))
        opened.check_retention(asked)
        with pytest.raises(UsageError):
            opened.check_retention(replace(asked, mode="compliance"))
        chunk = bytearray(b"kept ")
        with opened.retained_writer("a/kept", asked) as writer:
            writer.write(chunk)
            chunk[:] = b"long."
            writer.write(chunk)
            assert "a/kept" not in below.objects
        with opened.retained_writer("a/free", None) as writer:
            writer.write(b"free")
        with contextlib.suppress(ZeroDivisionError), opened.retained_writer("a/failed", asked) as writer:
            writer.write(b"half")
            raise ZeroDivisionError
        with pytest.raises(FileExistsError), opened.retained_writer("a/kept", asked) as writer:
            writer.write(b"other")
        assert below.kept == {"a/kept": asked}
        assert below.objects == {"a/kept": b"kept long.", "a/free": b"free"}
        assert opened.read("a/kept") == b"kept long."
        longer = replace(asked, until=asked.until + timedelta(days=1))
        opened.retain("a/kept", longer)
        assert opened.retention("a/kept") == below.kept["a/kept"] == longer
        assert opened.retention("a/free") is None

    @states("wrapper 6")
    def test_what_was_opened_can_do_what_it_could(self, registry: Registry, tmp_path: Path) -> None:
        """Optional abilities stay: the identity of a source decides which backups are its own."""
        with registry.engine("memory").dump(DumpRequest(url=URL, scratch=tmp_path)) as session:
            assert isinstance(session, SupportsSource)
            assert session.source.identity == "the-one"

    @states("wrapper 6")
    def test_restores_and_scratch_databases_can_do_what_they_could(self, able: Registry, tmp_path: Path) -> None:
        """What they tell the user, and the core, is told."""
        engine = able.engine("memory")
        streams = (Stream(name="data", size=0),)
        with engine.restore(RestoreRequest(url=TARGET, scratch=tmp_path, streams=streams)) as restore:
            told: Any = restore
            names = {"SupportsWarnings", "SupportsFailures", "SupportsPreview", "SupportsSelection"}
            assert _abilities(restore) >= names
            assert (told.warnings, told.failures, told.skipped_streams) == (("a warning",), (), ("none",))
            assert [change.name for change in told.preview({"data": None}).changes] == ["data"]
        request = ScratchRequest(id="20261129T000000Z-abc123", scratch=tmp_path)
        with engine.scratch(request) as scratch:
            told = scratch
            assert _abilities(scratch) >= {"SupportsFaults", "SupportsWarnings"}
            assert (told.faults, told.warnings) == (("a fault",), ("a warning",))
