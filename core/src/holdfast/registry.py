"""Finds plugins and calls them; nothing else touches pluggy.

Plugins are loaded one by one, each in its own try: pluggy's `load_setuptools_entrypoints` stops at the first
failing import and silently drops one of two entry points of the same name.
"""

import inspect
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from holdfast.api import (
    Capability,
    Codec,
    Component,
    DumpRequest,
    DumpSession,
    Event,
    Hasher,
    Kind,
    RestoreRequest,
    RestoreSession,
    Scratch,
    ScratchRequest,
    Storage,
)
from holdfast.component import check_components
from holdfast.errors import HoldfastError, PluginError
from holdfast.hookspecs import HoldfastSpecs
from holdfast.options import build_options, spec_options, split_spec

log = logging.getLogger("holdfast.registry")

GROUP = "holdfast"
BUILTIN = "holdfast"

# Only names that the project itself publishes: a hint must never send anybody to a stranger's package.
FIRST_PARTY: Mapping[tuple[Kind, str], str] = {
    (Kind.ENGINE, "sqlite"): "holdfast-sqlite",
    (Kind.ENGINE, "postgresql"): "holdfast-postgres",
    (Kind.ENGINE, "postgres"): "holdfast-postgres",
    (Kind.ENGINE, "mysql"): "holdfast-mysql",
    (Kind.ENGINE, "mariadb"): "holdfast-mysql",
    (Kind.CODEC, "gzip"): "holdfast-gzip",
    (Kind.CODEC, "zstd"): "holdfast-zstd",
    (Kind.CHECKSUM, "sha256"): "holdfast-sha256",
}


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that was found: `status` is `active`, `refused` or `disabled`, `reason` says why."""

    name: str
    distribution: str
    version: str
    status: str
    reason: str = ""
    components: tuple[Component, ...] = ()
    module: Any = field(default=None, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A component together with the plugin that offers it."""

    component: Component
    plugin: Plugin


class _Manager(pluggy.PluginManager):
    """Accepts plain functions too: in a plugin, a name that begins with `holdfast_` is a hook, marked or not."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        options: Any = super().parse_hookimpl_opts(plugin, name)
        if options is None and name.startswith("holdfast_") and inspect.isroutine(getattr(plugin, name)):
            flags = dict.fromkeys(("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast"), False)
            options = {**flags, "specname": None}
        return options


class Registry:
    """What is installed and switched on, by kind and name, and the calls to it.

    `plugins` are modules or objects to use besides (or, with `discover=False`, instead of) what entry points
    name. `environ` holds `HOLDFAST_DISABLE_PLUGINS`, `HOLDFAST_PLUGINS` and `HOLDFAST_STRICT_PLUGINS`.
    """

    def __init__(
        self, *, plugins: Iterable[Any] = (), discover: bool = True, environ: Mapping[str, str] | None = None
    ) -> None:
        environ = os.environ if environ is None else environ
        self._pm = _Manager("holdfast")
        self._pm.add_hookspecs(HoldfastSpecs)
        self._hooks = {name for name in dir(HoldfastSpecs) if name.startswith("holdfast_")}
        self._strict = environ.get("HOLDFAST_STRICT_PLUGINS", "") not in ("", "0")
        self._allowed = _names(environ.get("HOLDFAST_PLUGINS")) or None
        self._disabled = _names(environ.get("HOLDFAST_DISABLE_PLUGINS"))
        self.plugins: list[Plugin] = []
        from holdfast import builtin, version

        self._add(Plugin(name=BUILTIN, distribution="holdfast", version=version(), status="active"), builtin)
        for number, module in enumerate(plugins):
            name = getattr(module, "__name__", f"{type(module).__name__}-{number}")
            self._add(Plugin(name=name, distribution=name, version="", status="active"), module)
        for point in entry_points(group=GROUP) if discover else ():
            self._load(point)

    # --- loading ---

    def _load(self, point: EntryPoint) -> None:
        """Take one entry point in, or keep it with the reason why not."""
        distribution, version = _origin(point)
        found = Plugin(name=point.name, distribution=distribution, version=version, status="active")
        names = {_normal(point.name), _normal(distribution)}
        if names & self._disabled or (self._allowed is not None and not names & self._allowed):
            variable = "HOLDFAST_DISABLE_PLUGINS" if names & self._disabled else "HOLDFAST_PLUGINS"
            self.plugins.append(replace(found, status="disabled", reason=f"switched off by {variable}"))
            return
        try:
            module = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (what a foreign module raises is its own affair)
            self._refuse(found, f"cannot be imported: {_describe(error)}", error)
        else:
            self._add(found, module)

    def _add(self, found: Plugin, module: Any) -> None:
        """Register a loaded plugin if it keeps its contract."""
        taken = self._pm.is_registered(module)
        try:
            if taken:
                raise PluginError("it is loaded already, by another entry point that names the same module")
            if isinstance(module, type):
                module = module()
            self._check_hooks(module)
            self._pm.register(module, name=f"{found.distribution}:{found.name}")
            components = self._components(module)
        except Exception as error:  # noqa: BLE001 (a broken plugin breaks nothing but itself)
            if not taken and self._pm.is_registered(module):
                self._pm.unregister(module)
            self._refuse(found, _describe(error), error)
        else:
            self.plugins.append(replace(found, components=components, module=module))

    def _check_hooks(self, module: Any) -> None:
        """Refuse hooks that do not exist: a mistyped hook would never be called, and nobody would know."""
        for name in dir(module):
            options = self._pm.parse_hookimpl_opts(module, name)
            if options is None:
                continue
            if (options.get("specname") or name) not in self._hooks and not options.get("optionalhook"):
                raise PluginError(f"there is no hook '{name}'")
            wraps = options.get("wrapper") or options.get("hookwrapper")
            if wraps and (options.get("specname") or name) == "holdfast_observe":
                raise PluginError(
                    f"its hook '{name}' is a wrapper, which nothing would run: every plugin observes by itself"
                )
            if inspect.isgeneratorfunction(getattr(module, name)) and name != "holdfast_components":
                if wraps:
                    continue
                raise PluginError(f"its hook '{name}' is a generator function, which would claim every name")

    def _components(self, module: Any) -> tuple[Component, ...]:
        others = self._pm.get_plugins() - {module}
        listed = self._pm.subset_hook_caller("holdfast_components", others)()
        return check_components(component for part in listed for component in part)

    def _refuse(self, found: Plugin, why: str, error: BaseException) -> None:
        if self._strict:
            raise PluginError(f"plugin '{found.name}' of {found.title} is refused: {why}") from error
        log.info("plugin %s refused: %s", found.name, why, extra={"plugin": found.name, "reason": why})
        self.plugins.append(replace(found, status="refused", reason=why))

    # --- looking up ---

    def components(self, kind: Kind | None = None) -> list[Owned]:
        """Everything that active plugins offer, sorted by kind and name."""
        owned = [
            Owned(component=component, plugin=plugin)
            for plugin in self.plugins
            for component in plugin.components
            if kind in (None, component.kind)
        ]
        return sorted(owned, key=lambda one: (list(Kind).index(one.component.kind), one.component.name))

    def names(self, kind: Kind) -> list[str]:
        """The names of a kind, without aliases."""
        return list(dict.fromkeys(one.component.name for one in self.components(kind)))

    def claims(self, kind: Kind, name: str) -> list[Owned]:
        """Everything that claims a name: more than one is a conflict."""
        return [one for one in self.components(kind) if name in (one.component.name, *one.component.aliases)]

    def find(self, kind: Kind, name: str) -> Owned:
        """The one component of that name; a missing one and a conflict are a `PluginError`."""
        claims = self.claims(kind, name)
        if len(claims) == 1:
            return claims[0]
        if claims:
            owners = " and ".join(one.plugin.title for one in claims)
            off = f"switch one off: HOLDFAST_DISABLE_PLUGINS={claims[-1].plugin.distribution}"
            raise PluginError(f"{kind} '{name}' is claimed by {owners}", hint=off)
        installed = ", ".join(self.names(kind)) or "none"
        raise PluginError(
            f"no {kind} for '{name}' (installed: {installed})"
            if kind is Kind.ENGINE
            else f"no {kind} '{name}' (installed: {installed})",
            hint=self._missing_hint(kind, name),
        )

    def _missing_hint(self, kind: Kind, name: str) -> str | None:
        distribution = FIRST_PARTY.get((kind, name))
        for plugin in self.plugins:
            if plugin.status != "active" and (plugin.distribution == distribution or plugin.name == name):
                return f"the plugin '{plugin.name}' of {plugin.title} is {plugin.status}: {plugin.reason}"
        return f"pip install {distribution}" if distribution else None

    # --- calling ---

    def call(self, hook: str, owned: Owned, **arguments: Any) -> Any:
        """Call one hook of the owner alone, with every wrapper around it."""
        wrappers = {
            implementation.plugin
            for implementation in getattr(self._pm.hook, hook).get_hookimpls()
            if implementation.wrapper or implementation.hookwrapper
        }
        others = self._pm.get_plugins() - wrappers - {owned.plugin.module}
        with attribute_errors(owned):
            result = self._pm.subset_hook_caller(hook, others)(**arguments)
        if result is None:
            what = f"{owned.component.kind} '{owned.component.name}'"
            raise PluginError(f"{owned.plugin.title} lists {what}, but its {hook} does not serve it")
        return result

    def engine(self, scheme: str) -> "InstalledEngine":
        """The engine for URLs of that scheme."""
        return InstalledEngine(registry=self, owned=self.find(Kind.ENGINE, scheme))

    def codec(self, spec: str) -> Codec:
        """The codec of a text such as `zstd:3`."""
        name, shorthand, values = split_spec(spec)
        owned = self.find(Kind.CODEC, name)
        options = spec_options(owned.component, shorthand, values)
        codec: Codec = self.call("holdfast_compress", owned, codec=owned.component.name, options=options)
        return codec

    def hasher(self, algorithm: str) -> Hasher:
        """A new digest of the algorithm."""
        owned = self.find(Kind.CHECKSUM, algorithm)
        hasher: Hasher = self.call("holdfast_checksum", owned, algorithm=owned.component.name)
        return hasher

    def storage(self, url: str) -> Storage:
        """The storage of a store's URL; text without a scheme is the path of a folder."""
        scheme, mark, _ = url.partition("://")
        owned = self.find(Kind.STORAGE, scheme.lower() if mark else "file")
        options = build_options(owned.component, {})
        storage: Storage = self.call("holdfast_storage", owned, scheme=owned.component.name, url=url, options=options)
        return storage

    def observe(self, event: Event) -> None:
        """Tell every watching plugin, each in its own try."""
        for implementation in self._pm.hook.holdfast_observe.get_hookimpls():
            try:
                implementation.function(*(event for _ in implementation.argnames))
            except Exception:
                log.exception("plugin %s failed to observe %s", implementation.plugin_name, event.type)


@dataclass(frozen=True, kw_only=True)
class InstalledEngine:
    """An engine that a plugin offers, as the operations use it."""

    registry: Registry = field(repr=False)
    owned: Owned

    @property
    def name(self) -> str:
        """The name of the component, whichever alias the URL used."""
        return self.owned.component.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the component lists."""
        return self.owned.component.capabilities

    def options(self, values: Mapping[str, Any]) -> Any:
        """Check options against the component's."""
        return build_options(self.owned.component, values)

    def dump(self, request: DumpRequest) -> AbstractContextManager[DumpSession]:
        """Open a dump."""
        session: AbstractContextManager[DumpSession] = self._open("holdfast_dump", request)
        return session

    def restore(self, request: RestoreRequest) -> AbstractContextManager[RestoreSession]:
        """Open a restore."""
        session: AbstractContextManager[RestoreSession] = self._open("holdfast_restore", request)
        return session

    def scratch(self, request: ScratchRequest) -> AbstractContextManager[Scratch]:
        """Make a database for a drill."""
        scratch: AbstractContextManager[Scratch] = self._open("holdfast_scratch", request)
        return scratch

    def databases(self, url: str) -> Sequence[str]:
        """The URLs of every database of the server at `url`."""
        found: Sequence[str] = self.registry.call("holdfast_databases", self.owned, scheme=self.name, url=url)
        return found

    def _open(self, hook: str, request: Any) -> Any:
        session = self.registry.call(hook, self.owned, scheme=self.name, request=request)
        if not hasattr(session, "__enter__"):
            raise PluginError(f"{hook} of {self.owned.plugin.title} returned no context manager")
        return session


@contextmanager
def attribute_errors(owned: Owned) -> Iterator[None]:
    """Name the plugin in errors that it did not foresee; its own `HoldfastError`s and `OSError`s pass."""
    try:
        yield
    except (HoldfastError, OSError):
        raise
    except Exception as error:
        what = f"{owned.component.kind} '{owned.component.name}' of {owned.plugin.title}"
        raise HoldfastError(f"{what} failed: {_describe(error)}") from error


def _origin(point: EntryPoint) -> tuple[str, str]:
    """Distribution and version of an entry point; a damaged installation has no metadata to tell them."""
    if point.dist is None:
        return "unknown", ""
    known = point.dist.metadata.json  # metadata["Name"] of what has none warns, and will raise
    return str(known.get("name", "unknown")), str(known.get("version", ""))


def _names(text: str | None) -> set[str]:
    return {_normal(name.strip()) for name in (text or "").split(",") if name.strip()}


def _normal(name: str) -> str:
    """The name of a distribution as all of its spellings are compared (PyPA: names and normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, HoldfastError) else f"{type(error).__name__}: {text}".removesuffix(": ")
