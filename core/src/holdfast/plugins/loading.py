"""Loading: entry points become plugins that are active, refused or switched off; a broken one breaks only itself."""

import inspect
import logging
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from holdfast.api import Component, Kind
from holdfast.endings import is_failure
from holdfast.errors import HoldfastError, PluginError, note_waiting, os_error_text, quote_name
from holdfast.plugins.components import check_components
from holdfast.plugins.discovery import origin
from holdfast.plugins.hookspecs import HoldfastSpecs
from holdfast.plugins.process_state import ProcessState
from holdfast.plugins.stray import SameProcess
from holdfast.plugins.wrapping import watch_wrappers

log = logging.getLogger("holdfast.plugins")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that was found, whether it is used or not."""

    name: str  #: the name of its entry point
    distribution: str  #: the distribution that it comes from
    version: str  #: the version of that distribution
    status: str  #: `active`, `refused`, `disabled`, or `duplicate` of one that is active
    reason: str = ""  #: why it is not active
    components: tuple[Component, ...] = ()  #: what it offers
    module: Any = field(default=None, repr=False, compare=False)  #: the module or object with its hooks, once loaded

    @property
    def title(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}".strip()


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """A component together with the plugin that offers it."""

    component: Component  #: the component
    plugin: Plugin  #: the plugin that lists it


class _PluginManager(pluggy.PluginManager):
    """Accepts plain functions too: in a plugin, a name that begins with `holdfast_` is a hook, marked or not."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        # Most of what a module holds is no function, and pluggy's own way to see that takes a third of the loading.
        if type(plugin) is ModuleType and not inspect.isroutine(vars(plugin).get(name)):
            return None
        options: Any = super().parse_hookimpl_opts(plugin, name)
        if options is None and name.startswith("holdfast_") and inspect.isroutine(getattr(plugin, name)):
            flags = dict.fromkeys(("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast"), False)
            options = {**flags, "specname": None}
        return options


class Loader:
    """Takes plugins in, one by one, each in its own try; `plugins` are all that were found, with what became of each.

    pluggy's `load_setuptools_entrypoints` stops at the first failing import and silently drops one of two entry points
    of the same name. What the import of one changes about the process is put back, but for those of the `known`
    distributions, which change nothing.
    """

    def __init__(self, environ: Mapping[str, str], *, known: Collection[str] = ()) -> None:
        self._known = known
        self.manager = _PluginManager("holdfast")
        self.manager.add_hookspecs(HoldfastSpecs)
        self.plugins: list[Plugin] = []
        self._loaded: list[tuple[Any, Plugin]] = []  # what was named (a module, class or object), and as which plugin
        self._hooks = {name for name in dir(HoldfastSpecs) if name.startswith("holdfast_")}
        self._strict = environ.get("HOLDFAST_STRICT_PLUGINS", "") not in ("", "0")
        self._allowed = _names(environ.get("HOLDFAST_PLUGINS")) or None
        self._disabled = _names(environ.get("HOLDFAST_DISABLE_PLUGINS"))

    def load(self, point: EntryPoint) -> None:
        """Take one entry point in, or keep it with the reason why not."""
        distribution, version = origin(point)
        plugin = Plugin(name=point.name, distribution=distribution, version=version, status="active")
        names = {normal_name(point.name), normal_name(distribution)}
        if names & self._disabled or (self._allowed is not None and not names & self._allowed):
            variable = "HOLDFAST_DISABLE_PLUGINS" if names & self._disabled else "HOLDFAST_PLUGINS"
            self.plugins.append(replace(plugin, status="disabled", reason=f"switched off by {variable}"))
            return
        if distribution in self._known:
            self._load(point, plugin)
            return
        state = ProcessState()
        try:
            self._load(point, plugin)
        finally:
            with SameProcess():
                if changed := ", ".join(state.restore()):
                    log.warning(
                        "plugin %s of %s changes what belongs to the process, and it is put back: %s",
                        plugin.name,
                        plugin.title,
                        changed,
                        extra={"plugin": plugin.name, "reason": changed},
                    )
                state.close()

    def _load(self, point: EntryPoint, plugin: Plugin) -> None:
        try:
            with SameProcess(), redirect_stdout(sys.stderr):  # standard output is data for programs
                module = point.load()
        except BaseException as error:
            if not is_failure(error):
                note_waiting(error, f"the import of plugin '{plugin.name}' of {plugin.title}")
                raise
            self._refuse(plugin, f"cannot be imported: {describe_error(error)}", error)
        else:
            self.add(plugin, module)

    def warn_of_unknown_names(self, first_party: Iterable[tuple[Kind, str, str]]) -> None:
        """Warn of names in HOLDFAST_PLUGINS, and of components in HOLDFAST_DISABLE_PLUGINS, that fit no plugin.

        `first_party` tells which components our own distributions have: what is switched off says nothing of itself.
        """
        known = {normal_name(name) for plugin in self.plugins for name in (plugin.name, plugin.distribution)}
        listed = [
            *(each for each in first_party if normal_name(each[2]) in known),
            *(
                (component.kind, name, plugin.distribution)
                for plugin in self.plugins
                for component in plugin.components
                for name in (component.name, *component.aliases)
            ),
        ]
        owners: dict[str, dict[str, None]] = {}  # the same component may be listed both ways
        for kind, name, distribution in listed:
            owners.setdefault(normal_name(name), {})[f"{kind} '{name}' of {distribution}"] = None
        names = ", ".join(sorted({plugin.distribution for plugin in self.plugins}))
        told = "%s names '%s', which is no plugin %s: it takes the names of plugins and of distributions (%s)"
        for name in sorted((self._allowed or set()) - known):
            what = f"but the {' and the '.join(owners[name])}" if name in owners else "that is installed"
            log.warning(told, "HOLDFAST_PLUGINS", name, what, names)
        for name in sorted((self._disabled - known) & owners.keys()):
            log.warning(told, "HOLDFAST_DISABLE_PLUGINS", name, f"but the {' and the '.join(owners[name])}", names)

    def add(self, plugin: Plugin, module: Any) -> None:
        """Register a loaded plugin if it keeps its contract; one that is named once more is used once."""
        named = module
        for first in (first for loaded, first in self._loaded if loaded is named):
            self._skip(plugin, first)
            return
        try:
            with SameProcess():
                if isinstance(module, type):
                    module = module()
                self._check_hooks(module)
                self.manager.register(module, name=f"{plugin.distribution}:{plugin.name}")
                watch_wrappers(self.manager.get_hookcallers(module), module)
                components = self._components(module)
        except BaseException as error:
            if not is_failure(error):
                note_waiting(error, f"the components of plugin '{plugin.name}' of {plugin.title}")
                raise
            if self.manager.is_registered(module):
                self.manager.unregister(module)
            self._refuse(plugin, describe_error(error), error)
        else:
            self.plugins.append(replace(plugin, components=components, module=module))
            self._loaded.append((named, plugin))

    def _skip(self, plugin: Plugin, first: Plugin) -> None:
        """Keep a plugin that is another one by a second name, which is nobody's fault: installed, and given besides."""
        of = "" if plugin.distribution == first.distribution else f" of {first.title}"
        reason = f"it is the same as plugin '{first.name}'{of}, which is used"
        log.info("plugin %s is named twice: %s", plugin.name, reason, extra={"plugin": plugin.name, "reason": reason})
        self.plugins.append(replace(plugin, status="duplicate", reason=reason))

    def _check_hooks(self, module: Any) -> None:
        """Refuse hooks that do not exist: a mistyped hook would never be called, and nobody would know."""
        for name in self._hooks & set(dir(module)):
            if not callable(value := getattr(module, name)):
                raise PluginError(f"its '{name}' is {type(value).__name__}, expected a function")
            if inspect.iscoroutinefunction(value):
                raise PluginError(f"its hook '{name}' is a coroutine function (async def), expected a plain one")
        parsed = {name: self.manager.parse_hookimpl_opts(module, name) for name in dir(module)}
        implemented = {name: options for name, options in parsed.items() if options is not None}
        if not implemented:
            engine = ", and an engine given as an object goes to `engine=`" if hasattr(module, "dump") else ""
            raise PluginError(f"it has no hook: those of Holdfast begin with holdfast_{engine}")
        for name, options in implemented.items():
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
        others = self.manager.get_plugins() - {module}
        listed = self.manager.subset_hook_caller("holdfast_components", others)()
        return check_components(component for part in listed for component in part)

    def _refuse(self, plugin: Plugin, why: str, error: BaseException) -> None:
        if self._strict:
            raise PluginError(f"plugin '{plugin.name}' of {plugin.title} is refused: {why}") from error
        log.warning(
            "plugin %s is refused and takes no part: %s", plugin.name, why, extra={"plugin": plugin.name, "reason": why}
        )
        self.plugins.append(replace(plugin, status="refused", reason=why))


def _names(text: str | None) -> set[str]:
    return {normal_name(name.strip()) for name in (text or "").split(",") if name.strip()}


def normal_name(name: str) -> str:
    """The name of a distribution as all of its spellings are compared (PyPA: names and normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def describe_error(error: BaseException) -> str:
    """Write an error of a plugin on one line: ours by its message, the system's in its words, others with a type."""
    if isinstance(error, OSError) and error.errno is not None:
        path = f"{quote_name(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return f"{path}{os_error_text(error)}"
    text = " ".join(str(error).split())
    return text if isinstance(error, HoldfastError) else f"{type(error).__name__}: {text}".removesuffix(": ")
