"""An engine as a whole: an object for programs that bring their own, and the hooks of a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol

from holdfast.api.component import Capability, Component, Kind, hookimpl
from holdfast.api.databases import Moment, MomentRequest
from holdfast.api.dump import DumpRequest, DumpSession
from holdfast.api.requirement import CheckRequest, Requirement
from holdfast.api.restore import RestoreRequest, RestoreSession
from holdfast.api.scratch import Scratch, ScratchRequest
from holdfast.errors import UsageError


class Engine(Protocol):
    """An engine as an object, for programs that bring their own: all that an engine plugin does.

    `name`, `capabilities`, `dump` and `restore` are what a backup and a restore take. The rest is for whoever inherits
    from this class: it has no aliases and no options, and says that it can neither drill nor list databases.
    """

    @property
    def name(self) -> str:
        """The URL scheme, and what manifests record."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Further URL schemes that mean the same."""
        return ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of objects that it can leave out."""
        return frozenset()

    def options(self, values: Mapping[str, Any], /) -> Any:
        """Check options and return what requests carry as `options`; `UsageError` for those that it does not have.

        `options_of` makes them of a frozen dataclass.
        """
        return options_of(self.name, None, values)

    def dump(self, request: DumpRequest, /) -> AbstractContextManager[DumpSession]:
        """Open a dump, as `holdfast_dump` does."""
        ...

    def restore(self, request: RestoreRequest, /) -> AbstractContextManager[RestoreSession]:
        """Open a restore, as `holdfast_restore` does."""
        ...

    def scratch(self, request: ScratchRequest, /) -> AbstractContextManager[Scratch]:
        """Make a database for a drill, as `holdfast_scratch` does."""
        del request
        raise UsageError(f"engine '{self.name}' makes no scratch databases, which a drill needs")

    def databases(self, url: str, /) -> Sequence[str]:
        """The URLs of every database of the server at `url`, as `holdfast_databases` does."""
        del url
        raise UsageError(f"engine '{self.name}' cannot list databases", hint="name each database by its URL")

    def moment(self, request: MomentRequest, /) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment, as `holdfast_moment` does; None where that cannot be done."""
        del request
        return None

    def check(self, request: CheckRequest, /) -> Iterable[Requirement] | None:
        """Tell what a backup or drill needs and whether it is there, as `holdfast_check` does; None: it cannot tell."""
        del request
        return None


def options_of(engine: str, options: type[Any] | None, values: Mapping[str, Any]) -> Any:
    """Make an instance of an engine's options, a frozen dataclass, of values given as text or plain data.

    Without a class the result is None. Unknown names and values that do not fit are a `UsageError` that says what fits.
    """
    from holdfast.plugins.options import build_options

    return build_options(Component(kind=Kind.ENGINE, name=engine, options=options), values)


class EngineHooks:
    """The hooks of an engine, for a plugin whose entry point names an object of this class.

    Each part is named as `"module:function"` and imported when it is first called, so that listing what is installed
    imports no driver; a part that an engine has not is left out. `databases` names a function of the URL, the others of
    the request; they do what the hooks of these names do.

    Example::

        plugin = EngineHooks(
            Component(kind=Kind.ENGINE, name="leveldb", options=LevelOptions),
            dump="holdfast_leveldb.dump:open_dump",
            restore="holdfast_leveldb.restore:open_restore",
        )
    """

    def __init__(
        self,
        component: Component,
        *,
        dump: str,
        restore: str,
        scratch: str | None = None,
        databases: str | None = None,
        moment: str | None = None,
        check: str | None = None,
    ) -> None:
        self.component = component  #: the engine, as `holdfast_components` lists it
        self.__name__ = component.name  # what a registry calls the plugin that is given the object itself
        for place in filter(None, (dump, restore, scratch, databases, moment, check)):
            if not all(place.partition(":")[::2]):
                raise ValueError(f"{place!r} names no part of an engine, expected 'module:function'")
        self._parts = {
            "dump": dump,
            "restore": restore,
            "scratch": scratch,
            "databases": databases,
            "moment": moment,
            "check": check,
        }

    @hookimpl
    def holdfast_components(self) -> Iterable[Component]:
        """List the engine."""
        return (self.component,)

    @hookimpl
    def holdfast_dump(self, scheme: str, request: DumpRequest) -> AbstractContextManager[DumpSession] | None:
        """Open a dump."""
        session: AbstractContextManager[DumpSession] | None = self._call("dump", scheme, request)
        return session

    @hookimpl
    def holdfast_restore(self, scheme: str, request: RestoreRequest) -> AbstractContextManager[RestoreSession] | None:
        """Open a restore."""
        session: AbstractContextManager[RestoreSession] | None = self._call("restore", scheme, request)
        return session

    @hookimpl
    def holdfast_scratch(self, scheme: str, request: ScratchRequest) -> AbstractContextManager[Scratch] | None:
        """Make a database for a drill."""
        scratch: AbstractContextManager[Scratch] | None = self._call("scratch", scheme, request)
        return scratch

    @hookimpl
    def holdfast_databases(self, scheme: str, url: str) -> Sequence[str] | None:
        """List the databases of a server."""
        urls: Sequence[str] | None = self._call("databases", scheme, url)
        return urls

    @hookimpl
    def holdfast_moment(self, scheme: str, request: MomentRequest) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment."""
        moment: AbstractContextManager[Moment] | None = self._call("moment", scheme, request)
        return moment

    @hookimpl
    def holdfast_check(self, scheme: str, request: CheckRequest) -> Iterable[Requirement] | None:
        """Tell what a backup or drill needs, and whether it is there."""
        requirements: Iterable[Requirement] | None = self._call("check", scheme, request)
        return requirements

    def problems(self) -> Iterator[str]:
        """What is wrong with the parts, a line each, once all are imported; `holdfast plugins doctor` shows it."""
        for part, place in self._parts.items():
            if place is None:
                if part == "scratch" and Capability.PROOF in self.component.capabilities:
                    yield "it lists PROOF, and has no part `scratch`, which a drill needs"
                continue
            try:
                function = _imported(place)
            except (ImportError, AttributeError) as error:
                yield f"its part {part}, {place}, cannot be imported: {error}"
            else:
                if not callable(function):
                    yield f"its part {part}, {place}, is no function"

    def _call(self, part: str, scheme: str, argument: object) -> Any:
        place = self._parts[part]
        if scheme != self.component.name or place is None:
            return None
        return _imported(place)(argument)


def _imported(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)
