"""Engines as the operations use them: of an installed plugin, or an object that a program brings."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from holdfast.api import (
    Capability,
    CheckRequest,
    DumpRequest,
    DumpSession,
    Engine,
    Moment,
    MomentRequest,
    Requirement,
    RestoreRequest,
    RestoreSession,
    Scratch,
    ScratchRequest,
)
from holdfast.errors import PluginError
from holdfast.plugins.guard import unguarded
from holdfast.plugins.loading import Owned
from holdfast.plugins.options import build_options, check_operation

if TYPE_CHECKING:
    from holdfast.plugins.registry import Registry


def options_for(operation: str, engine: Engine, values: Mapping[str, Any]) -> Any:
    """Check options against the engine's, for `backup` or `restore`; a drill is a restore."""
    if isinstance(engine, InstalledEngine):
        check_operation(engine.owned.component, values, operation)
    return engine.options(values)


@dataclass(frozen=True, kw_only=True)
class InstalledEngine(Engine):
    """An engine that a plugin offers, as the operations use it."""

    registry: "Registry" = field(repr=False)
    owned: Owned

    @property
    def name(self) -> str:
        """The name of the component, whichever alias the URL used."""
        return self.owned.component.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the component lists."""
        return self.owned.component.capabilities

    @property
    def aliases(self) -> tuple[str, ...]:
        """What the component lists."""
        return self.owned.component.aliases

    @property
    def kinds(self) -> frozenset[str]:
        """What the component lists."""
        return self.owned.component.kinds

    def options(self, values: Mapping[str, Any]) -> Any:
        """Check options against the component's."""
        return build_options(self.owned.component, values)

    def dump(self, request: DumpRequest) -> AbstractContextManager[DumpSession]:
        """Open a dump."""
        if request.moment is not None:
            request = replace(request, moment=unguarded(request.moment))  # its own, which it knows more of
        session: AbstractContextManager[DumpSession]
        session = self.registry.call("holdfast_dump", self.owned, scheme=self.name, request=request)
        return session

    def restore(self, request: RestoreRequest) -> AbstractContextManager[RestoreSession]:
        """Open a restore."""
        session: AbstractContextManager[RestoreSession]
        session = self.registry.call("holdfast_restore", self.owned, scheme=self.name, request=request)
        return session

    def scratch(self, request: ScratchRequest) -> AbstractContextManager[Scratch]:
        """Make a database for a drill."""
        scratch: AbstractContextManager[Scratch] | None
        scratch = self.registry.ask("holdfast_scratch", self.owned, scheme=self.name, request=request)
        return super().scratch(request) if scratch is None else scratch

    def databases(self, url: str) -> Sequence[str]:
        """The URLs of every database of the server at `url`."""
        urls: Sequence[str] | None
        urls = self.registry.ask("holdfast_databases", self.owned, scheme=self.name, url=url)
        return super().databases(url) if urls is None else urls

    def moment(self, request: MomentRequest) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment, where the engine can."""
        moment: AbstractContextManager[Moment] | None
        moment = self.registry.ask("holdfast_moment", self.owned, scheme=self.name, request=request)
        return super().moment(request) if moment is None else moment

    def check(self, request: CheckRequest) -> Iterable[Requirement] | None:
        """Tell what is needed, where the engine can."""
        told: Iterable[Requirement] | None
        told = self.registry.ask("holdfast_check", self.owned, scheme=self.name, request=request)
        return super().check(request) if told is None else told


class CompletedEngine(Engine):
    """An engine given as an object: what it lacks, since only some verbs need it, is what `Engine` has by default."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        """As the object says."""
        return self._engine.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the object says."""
        return self._engine.capabilities

    @property
    def aliases(self) -> tuple[str, ...]:
        """Those of the object, or none."""
        return getattr(self._engine, "aliases", ())

    @property
    def kinds(self) -> frozenset[str]:
        """Those of the object, or none."""
        return getattr(self._engine, "kinds", frozenset())

    def options(self, values: Mapping[str, Any]) -> Any:
        """As the object checks them; without that it has none."""
        own = getattr(self._engine, "options", super().options)
        return own(values)

    def dump(self, request: DumpRequest) -> AbstractContextManager[DumpSession]:
        """Open a dump."""
        session = self._engine.dump(request)
        self._check("dump", session)
        return session

    def restore(self, request: RestoreRequest) -> AbstractContextManager[RestoreSession]:
        """Open a restore."""
        session = self._engine.restore(request)
        self._check("restore", session)
        return session

    def scratch(self, request: ScratchRequest) -> AbstractContextManager[Scratch]:
        """Make a database for a drill, or say that the object cannot."""
        own = getattr(self._engine, "scratch", super().scratch)
        scratch: AbstractContextManager[Scratch] = own(request)
        self._check("scratch", scratch)
        return scratch

    def databases(self, url: str) -> Sequence[str]:
        """List databases, or say that the object cannot."""
        own = getattr(self._engine, "databases", super().databases)
        urls: Sequence[str] = own(url)
        return urls

    def moment(self, request: MomentRequest) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment, or None where the object cannot."""
        own = getattr(self._engine, "moment", super().moment)
        moment: AbstractContextManager[Moment] | None = own(request)
        if moment is not None:
            self._check("moment", moment)
        return moment

    def check(self, request: CheckRequest) -> Iterable[Requirement] | None:
        """Tell what is needed, or None where the object cannot."""
        own = getattr(self._engine, "check", super().check)
        told: Iterable[Requirement] | None = own(request)
        return told

    def _check(self, method: str, session: object) -> None:
        if not hasattr(session, "__enter__"):
            raise PluginError(
                f"engine '{self.name}': {method}() returned {type(session).__name__}, expected a context manager",
                hint="decorate it with contextlib.contextmanager" if inspect.isgenerator(session) else None,
            )
