"""The contract of an engine's scratch databases, as tests: `EngineSuite` has them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import Capability, Engine, HoldfastError, Scratch, ScratchRequest, SupportsFaults, SupportsWarnings
from holdfast.operations.drill import DrillResult
from holdfast.plugins.engine import CompletedEngine
from holdfast.testing.contract import states
from holdfast.testing.drills import Apply, drill_mutated
from holdfast.testing.engine_parts import EngineParts


class _Watched(CompletedEngine):
    """An engine whose scratch database is looked at where a drill does not look."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.wrong: list[str] = []

    @contextlib.contextmanager
    def scratch(self, request: ScratchRequest) -> Iterator[Scratch]:
        """Note what of it is of the wrong type."""
        with super().scratch(request) as scratch:
            yield scratch
            lines: dict[str, Any] = {"check": scratch.check()}
            lines["faults"] = scratch.faults if isinstance(scratch, SupportsFaults) else ()
            lines["warnings"] = scratch.warnings if isinstance(scratch, SupportsWarnings) else ()
            for name, texts in lines.items():
                if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
                    self.wrong.append(f"{name} is {texts!r}, expected a sequence of lines")
            version: Any = scratch.server_version
            if not isinstance(version, str):
                self.wrong.append(f"server_version is {version!r}, expected a text")


class DrillTests(EngineParts):
    """What a scratch database promises, and a drill in it."""

    def drill(self, source: str, target: str, store: str, apply: Apply, **fields: Any) -> DrillResult:
        """Drill a new backup whose scratch database `apply` is given the URL of, and which must be gone afterwards."""
        urls: list[str] = []

        def seen(url: str) -> None:
            urls.append(url)
            apply(url)

        record = self.backup(source, store, proof=True, **fields)
        try:
            return drill_mutated(
                record.id,
                store,
                seen,
                into=self.into(target),
                engine=self.engine(source),
                registry=self.registry(),
                options=dict(self.restore_options),
            )
        finally:
            assert urls, "the drill made no scratch database"
            request = self.request(urls[0], Path(store).with_name("scratch-of-a-drill"))
            with pytest.raises(HoldfastError), self.engine(source).dump(request):
                pass

    def proves(self, source: str) -> bool:
        """Whether drills of the engine compare what was restored with what was there."""
        return self.can(source, Capability.PROOF)

    @states("scratch 1", "scratch 3", "scratch 5")
    def test_a_drill_proves_a_sound_backup_and_leaves_nothing_behind(
        self, source: str, target: str, store: str
    ) -> None:
        """Without an alarm, and with something that was compared."""
        if self.proves(source):
            before = self.content(source)
            result = self.drill(source, target, store, lambda _url: None)
            assert (result.passed, result.state, result.problems) == (True, "proven", ())
            assert result.compared
            assert self.content(source) == before

    @states("scratch 6")
    def test_a_drill_finds_and_names_what_is_not_as_it_was(self, source: str, target: str, store: str) -> None:
        """The backup is damaged then, and the scratch database is dropped all the same."""
        if self.proves(source):
            result = self.drill(source, target, store, self.change)
            assert (result.passed, result.state) == (False, "damaged")
            assert result.differences
            assert all(difference.name for difference in result.differences)

    @states("scratch 3")
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

    @states("scratch 2")
    def test_two_scratch_databases_are_two(self, source: str, target: str, tmp_path: Path) -> None:
        """Drills may run at the same time, also of one backup."""
        if not self.proves(source):
            return
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            for stream in session.streams:
                for _ in session.read(stream):
                    pass
            facts = session.facts()
        with contextlib.ExitStack() as stack:
            urls = []
            for number in range(2):
                scratch = tmp_path / f"scratch-{number}"
                scratch.mkdir(mode=0o700)
                request = ScratchRequest(
                    id="20261129T000000Z-abc123",
                    scratch=scratch,
                    into=self.into(target),
                    options=self.engine(source).options(self.restore_options),
                    size=1 << 20,
                    server_version=facts.server_version,
                    facts=facts.hints,
                )
                urls.append(stack.enter_context(self.engine(source).scratch(request)).url)
            assert len({source, target, *urls}) == 4

    @states("scratch 7")
    def test_a_drill_proves_a_backup_of_a_selection(self, source: str, target: str, store: str) -> None:
        """With SELECT: neither what was left out nor what is with it in the source counts."""
        if not self.proves(source) or not self.can(source, Capability.SELECT):
            return
        for fields in ({"select": self.selection}, {"exclude": self.selection}):
            result = self.drill(source, target, store, lambda _url: None, **fields)
            assert (result.state, result.problems, result.differences) == ("proven", (), ())

    @states("scratch 4")
    def test_what_a_scratch_database_tells_are_lines(self, source: str, target: str, store: str) -> None:
        """Its check, what was wrong in the source, what could not be looked at, and its version."""
        if not self.proves(source):
            return
        record = self.backup(source, store, proof=True)
        watched = _Watched(self.engine(source))
        holdfast.drill(
            record.id,
            store=store,
            engine=watched,
            registry=self.registry(),
            into=self.into(target),
            options=dict(self.restore_options),
        )
        assert watched.wrong == []
