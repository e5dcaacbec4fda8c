"""The contract of an engine, as tests: what the core relies on whatever the database is."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

import holdfast
from holdfast.api import Capability, DumpRequest, Engine, HoldfastError, IntegrityError, UnsafeError, UsageError
from holdfast.operations.drill import DrillResult
from holdfast.plugins.engine import InstalledEngine
from holdfast.plugins.registry import Registry
from holdfast.testing.drills import Apply, drill_mutated
from holdfast.url import DatabaseURL


class EngineSuite:
    """Override `source`, `target` and `content`; set `password` where the URLs hold one.

    An engine with `Capability.PROOF` overrides `into` and `change` as well.
    """

    password: str = ""  #: the password in the URLs, which must be shown nowhere

    @pytest.fixture
    def source(self) -> str:
        """The URL of a database with some content, there for one test."""
        raise NotImplementedError("override the fixture `source`")

    @pytest.fixture
    def target(self) -> str:
        """The URL of a database to restore to: empty, or not there where the engine makes it."""
        raise NotImplementedError("override the fixture `target`")

    def content(self, url: str) -> Any:
        """Everything that a restore must bring back, as comparable data; `None` where there is no database."""
        raise NotImplementedError("override `content`")

    @pytest.fixture
    def store(self, tmp_path: Path) -> str:
        """A place for backups."""
        return str(tmp_path / "conformance-store")

    def registry(self, *plugins: Any) -> Registry:
        """Where the engine is found: what is installed, and these; override it for an engine that is not."""
        return Registry(plugins=plugins)

    def engine(self, url: str) -> Engine:
        """The engine under test: what is installed for the URL, or an object, for an engine that is given as one."""
        return self.registry().engine(DatabaseURL.parse(url).scheme)

    def parts(self, url: str) -> dict[str, Any]:
        """What backups and restores of the suite are made with."""
        engine = self.engine(url)
        return {"registry": self.registry()} | ({} if isinstance(engine, InstalledEngine) else {"engine": engine})

    def request(self, url: str, scratch: Path, **fields: Any) -> DumpRequest:
        """A request to dump with default options."""
        scratch.mkdir(mode=0o700)
        return DumpRequest(url=url, scratch=scratch, options=self.engine(url).options({}), **fields)

    def test_a_restored_database_has_the_content_of_the_source(self, source: str, target: str, store: str) -> None:
        """Whatever the engine calls content."""
        before = self.content(source)
        record = holdfast.backup(source, store=store, **self.parts(source))
        holdfast.restore(record.id, target, store=store, **self.parts(source))
        assert self.content(target) == before
        assert self.content(source) == before

    def test_the_streams_are_known_and_named_before_the_first_read(self, source: str, tmp_path: Path) -> None:
        """Each has a name of its own; each is read once; its size is exact or a hint."""
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            names = [stream.name for stream in session.streams]
            assert names
            assert len(set(names)) == len(names)
            assert all(names)
            for stream in session.streams:
                for chunk in session.read(stream):
                    assert isinstance(chunk, bytes | bytearray | memoryview)
            session.facts()

    def test_facts_are_plain_data_without_secrets(self, source: str, tmp_path: Path) -> None:
        """They go into the manifest as they are."""
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            for stream in session.streams:
                for _ in session.read(stream):
                    pass
            session.proof()
            facts = session.facts()
        text = msgspec.json.encode(
            {"point": facts.consistency_point, "hints": facts.hints, "steps": facts.restore_steps,
             "programs": facts.programs, "version": facts.server_version, "warnings": facts.warnings}
        ).decode()  # fmt: skip
        assert not self.password or self.password not in text

    def test_a_dump_that_is_aborted_leaves_no_thread(self, source: str, tmp_path: Path) -> None:
        """Leaving the context frees everything, also before anything was read."""
        before = set(threading.enumerate())
        with self.engine(source).dump(self.request(source, tmp_path / "unread")):
            pass
        with self.engine(source).dump(self.request(source, tmp_path / "begun")) as session:
            next(iter(session.read(session.streams[0])), None)
        assert set(threading.enumerate()) <= before

    def test_a_target_with_data_is_refused_and_stays_as_it_is(self, source: str, target: str, store: str) -> None:
        """Without `replace` nothing of it is touched; with it the backup takes its place."""
        record = holdfast.backup(source, store=store, **self.parts(source))
        holdfast.restore(record.id, target, store=store, **self.parts(source))
        before = self.content(target)
        with pytest.raises(UnsafeError):
            holdfast.restore(record.id, target, store=store, **self.parts(source))
        assert self.content(target) == before
        holdfast.restore(record.id, target, store=store, replace=True, **self.parts(source))
        assert self.content(target) == before

    def test_a_damaged_backup_leaves_the_target_as_it_was(self, source: str, target: str, store: str) -> None:
        """A flipped bit in any blob is found before anything is visible."""
        before = self.content(target)
        record = holdfast.backup(source, store=store, codec="none", **self.parts(source))
        manifest = msgspec.json.decode(Path(record.path, "backup_manifest.json").read_bytes())
        largest = max(manifest["streams"], key=lambda stream: stream["blob"]["size"])["blob"]
        blob = Path(record.path, largest["path"])
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
        with pytest.raises(IntegrityError):
            holdfast.restore(record.id, target, store=store, **self.parts(source))
        assert self.content(target) == before

    @pytest.mark.parametrize(
        ("capability", "fields"),
        [
            (Capability.SELECT, {"select": ("a",)}),
            (Capability.PROOF, {"proof": True}),
            (Capability.CHECK, {"check": True}),
            (Capability.FULL_CHECK, {"check": "full"}),
        ],
    )
    def test_an_option_that_the_engine_does_not_list_is_refused(
        self, source: str, store: str, capability: Capability, fields: dict[str, Any]
    ) -> None:
        """Nothing is quietly not done: `--select`, `--proof` and `--check [full]` work or say that they cannot."""
        if capability in self.engine(source).capabilities:
            if capability is not Capability.SELECT:
                assert holdfast.backup(source, store=store, **fields, **self.parts(source)).state == "complete"
            return
        with pytest.raises(UsageError):
            holdfast.backup(source, store=store, **fields, **self.parts(source))
        assert not Path(store).exists()

    # --- drills ---

    def into(self, target: str) -> str | None:
        """The server on which drills make their scratch databases; None for an engine that needs none."""
        raise NotImplementedError("override `into`")

    def change(self, url: str) -> None:
        """Change a little of the content of the database at a URL."""
        raise NotImplementedError("override `change`")

    def drill(self, source: str, target: str, store: str, apply: Apply) -> DrillResult:
        """Drill a new backup whose scratch database `apply` is given the URL of, and which must be gone afterwards."""
        urls: list[str] = []

        def seen(url: str) -> None:
            urls.append(url)
            apply(url)

        record = holdfast.backup(source, store=store, proof=True, **self.parts(source))
        try:
            return drill_mutated(
                record.id, store, seen, into=self.into(target), engine=self.engine(source), registry=self.registry()
            )
        finally:
            assert urls, "the drill made no scratch database"
            request = self.request(urls[0], Path(store).with_name("scratch-of-a-drill"))
            with pytest.raises(HoldfastError), self.engine(source).dump(request):
                pass

    def proves(self, source: str) -> bool:
        """Whether drills of the engine compare what was restored with what was there."""
        return Capability.PROOF in self.engine(source).capabilities

    def test_a_drill_proves_a_sound_backup_and_leaves_nothing_behind(
        self, source: str, target: str, store: str
    ) -> None:
        """Without an alarm, and with something that was compared."""
        if self.proves(source):
            result = self.drill(source, target, store, lambda _url: None)
            assert (result.passed, result.state, result.problems) == (True, "proven", ())
            assert result.compared

    def test_a_drill_finds_and_names_what_is_not_as_it_was(self, source: str, target: str, store: str) -> None:
        """The backup is damaged then, and the scratch database is dropped all the same."""
        if self.proves(source):
            result = self.drill(source, target, store, self.change)
            assert (result.passed, result.state) == (False, "damaged")
            assert result.differences
            assert all(difference.name for difference in result.differences)

    def test_a_drill_that_is_aborted_leaves_nothing_behind_and_says_nothing_of_the_backup(
        self, source: str, target: str, store: str
    ) -> None:
        """The scratch database is dropped whatever happens."""

        def abort(_url: str) -> None:
            raise KeyboardInterrupt

        if self.proves(source):
            with pytest.raises(KeyboardInterrupt):
                self.drill(source, target, store, abort)
            assert [backup.state for backup in holdfast.list_backups(store)] == ["complete"]
