"""Drills of backups whose scratch database is changed between restore and comparison."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from holdfast.api import Proof, Scratch, ScratchRequest, hookimpl
from holdfast.operations.drill import DrillResult, drill
from holdfast.plugins.registry import Registry

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


class Mutator:
    """A plugin that wraps what the engine offers for drills."""

    def __init__(self, apply: Apply) -> None:
        self.apply = apply

    @hookimpl(wrapper=True)
    def holdfast_scratch(self, scheme: str, request: ScratchRequest) -> Generator[None, Any, Any]:  # noqa: ARG002
        """Let the engine make its scratch database, and put ours around it."""
        opened = yield
        return self._wrapped(opened)

    @contextmanager
    def _wrapped(self, opened: AbstractContextManager[Scratch]) -> Iterator[Scratch]:
        with opened as scratch:
            yield _Mutated(scratch, self.apply)


def drill_mutated(
    reference: str,
    store: str,
    apply: Apply,
    *,
    registry: Callable[..., Registry] = lambda plugin: Registry(plugins=[plugin]),
    into: str | None = None,
    options: dict[str, Any] | None = None,
) -> DrillResult:
    """Drill a backup whose restored database `apply` changes; `registry` makes one that has a further plugin."""
    return drill(reference, store=store, registry=registry(Mutator(apply)), into=into, options=options, jobs=2)
