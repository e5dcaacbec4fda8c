"""Drills of backups whose scratch database is changed between restore and comparison."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from holdfast.api import Engine, Proof, Scratch, ScratchRequest, SupportsFaults, SupportsWarnings
from holdfast.operations.drill import DrillResult, drill
from holdfast.plugins.engine import CompletedEngine
from holdfast.plugins.registry import Registry
from holdfast.store.catalog import Catalog

Apply = Callable[[str], None]
"""Changes the scratch database at a URL."""


class _Mutated:
    """A scratch database that is changed once, before it is checked."""

    def __init__(self, scratch: Scratch, apply: Apply) -> None:
        self._scratch = scratch
        self._apply = apply
        self.url = scratch.url
        self.server_version = scratch.server_version

    def check(self) -> Sequence[str]:
        self._apply(self.url)
        return self._scratch.check()

    def proof(self, recorded: Proof) -> Proof:
        return self._scratch.proof(recorded)

    @property
    def faults(self) -> Sequence[str]:
        return self._scratch.faults if isinstance(self._scratch, SupportsFaults) else ()

    @property
    def warnings(self) -> Sequence[str]:
        return self._scratch.warnings if isinstance(self._scratch, SupportsWarnings) else ()


class MutatingEngine(CompletedEngine):
    """An engine whose scratch databases are changed before they are checked."""

    def __init__(self, engine: Engine, apply: Apply) -> None:
        super().__init__(engine)
        self._apply = apply

    @contextmanager
    def scratch(self, request: ScratchRequest) -> Iterator[Scratch]:
        """Let the engine make its scratch database, and put ours around it."""
        with super().scratch(request) as scratch:
            yield _Mutated(scratch, self._apply)


def drill_mutated(
    reference: str,
    store: str,
    apply: Apply,
    *,
    engine: Engine | None = None,
    registry: Registry | None = None,
    into: str | None = None,
    options: dict[str, Any] | None = None,
) -> DrillResult:
    """Drill a backup whose restored database `apply` changes; without an engine by the installed one."""
    registry = registry or Registry()
    if engine is None:
        manifest = Catalog(registry.storage(store)).find(reference).manifest
        assert manifest is not None, f"the manifest of {reference} cannot be used"
        engine = registry.engine(manifest.source.engine)
    mutating = MutatingEngine(engine, apply)
    return drill(reference, store=store, registry=registry, engine=mutating, into=into, options=options, jobs=2)
