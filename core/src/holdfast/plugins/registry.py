"""Looks plugins up by what they offer, and calls them."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import TYPE_CHECKING, Any, cast

from holdfast.api import Cipher, Codec, Event, Hasher, Kind, Storage
from holdfast.errors import PluginError
from holdfast.plugins.blame import Blame, attribute_errors
from holdfast.plugins.discovery import installed_points
from holdfast.plugins.engine import InstalledEngine
from holdfast.plugins.guard import guarded_result
from holdfast.plugins.loading import Loader, Owned, Plugin, normal_name
from holdfast.plugins.observing import Observers
from holdfast.plugins.options import build_options, spec_options, split_spec
from holdfast.plugins.wrapping import Callers, Layers, code_of
from holdfast.url import list_harmless

if TYPE_CHECKING:
    from concurrent.futures import Executor
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # PyPA: names and normalization
BUILTIN = "holdfast"
_SHA256 = "d1580d2df7f24b6f5e2a861eba2918755c3a7246b7068817e349d8adc66a8566"  # of b"holdfast"
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
    (Kind.CIPHER, "age"): "holdfast-age",
    (Kind.STORAGE, "s3"): "holdfast-s3",
    (Kind.STORAGE, "sftp"): "holdfast-sftp",
    (Kind.STORAGE, "gs"): "holdfast-gcs",
    (Kind.STORAGE, "gcs"): "holdfast-gcs",
    (Kind.STORAGE, "azure"): "holdfast-azure",
    (Kind.STORAGE, "az"): "holdfast-azure",
    (Kind.EXECUTOR, "dask"): "holdfast-dask",
}
# The distribution itself is content with a driver that the machine brings; whoever follows a hint has none.
_WITH_DRIVER = {"holdfast-postgres": "'holdfast-postgres[binary]'"}


class Registry:
    """What is installed and switched on, by kind and name, and the calls to it.

    `plugins` are modules or objects to use besides (or, with `discover=False`, instead of) what entry points
    name. `environ` holds `HOLDFAST_DISABLE_PLUGINS`, `HOLDFAST_PLUGINS` and `HOLDFAST_STRICT_PLUGINS`.
    """

    def __init__(
        self, *, plugins: Iterable[Any] = (), discover: bool = True, environ: Mapping[str, str] | None = None
    ) -> None:
        from holdfast import __version__
        from holdfast.plugins import builtin

        loader = Loader(os.environ if environ is None else environ, known={*FIRST_PARTY.values()})
        loader.add(Plugin(name=BUILTIN, distribution="holdfast", version=__version__, status="active"), builtin)
        for number, module in enumerate(plugins):
            name = getattr(module, "__name__", f"{type(module).__name__}-{number}")
            loader.add(Plugin(name=name, distribution=name, version="", status="active"), module)
        for point in installed_points() if discover else ():
            loader.load(point)
        loader.warn_of_unknown_names((*of, distribution) for of, distribution in FIRST_PARTY.items())
        self.plugins = loader.plugins  #: all plugins that were found, those that were refused with the reason
        self._manager = loader.manager
        self._compared: set[str] = set()
        self._callers = Callers(self._manager)
        _list_harmless_parameters((*self.components(Kind.ENGINE), *self.components(Kind.STORAGE)))

    # --- looking up ---

    def components(self, kind: Kind | None = None) -> list[Owned]:
        """Everything that active plugins offer, sorted by kind and name."""
        offered = [
            Owned(component=component, plugin=plugin)
            for plugin in self.plugins
            for component in plugin.components
            if kind in (None, component.kind)
        ]
        return sorted(offered, key=lambda owned: (list(Kind).index(owned.component.kind), owned.component.name))

    def names(self, kind: Kind) -> list[str]:
        """The names of a kind, without aliases."""
        return list(dict.fromkeys(owned.component.name for owned in self.components(kind)))

    def claims(self, kind: Kind, name: str) -> list[Owned]:
        """Everything that claims a name: more than one is a conflict."""
        return [owned for owned in self.components(kind) if name in (owned.component.name, *owned.component.aliases)]

    def find(self, kind: Kind, name: str) -> Owned:
        """The one component of that name; a missing one and a conflict are a `PluginError`."""
        claims = self.claims(kind, name)
        if len(claims) == 1:
            return claims[0]
        if claims:
            owners = " and ".join(claim.plugin.title for claim in claims)
            names = " or ".join(dict.fromkeys(claim.plugin.distribution for claim in claims))
            off = f"switch one off: HOLDFAST_DISABLE_PLUGINS={names}"
            raise PluginError(f"{kind} '{name}' is claimed by {owners}", hint=off)
        installed = ", ".join(self.names(kind)) or "none"
        raise PluginError(
            f"no {kind} {'for ' if kind is Kind.ENGINE else ''}'{name}' (installed: {installed})",
            hint=_missing_hint(self.plugins, kind, name),
        )

    @contextmanager
    def needed_for(self, made_with: Mapping[str, str]) -> Iterator[None]:
        """Look up what a backup needs; of a part that is missing, advise the distributions that its manifest names."""
        try:
            yield
        except PluginError as error:
            known = {normal_name(plugin.distribution) for plugin in self.plugins}
            missing = [name for name in made_with if _DISTRIBUTION.fullmatch(name) and normal_name(name) not in known]
            if error.hint is None and missing:
                versions = ", ".join(f"{name} {made_with[name]}".strip() for name in missing)
                error.hint = f"pip install {' '.join(missing)} (the backup was made with {versions})"
            raise

    def wraps(self, plugin: Plugin) -> list[str]:
        """The hooks of other plugins that a plugin wraps."""
        return sorted(
            hook.name
            for hook in self._manager.get_hookcallers(plugin.module) or ()
            if plugin.status == "active" and any(each.plugin is plugin.module for each in _wrappers(hook))
        )

    # --- calling ---

    def call(self, hook: str, owned: Owned, **arguments: Any) -> Any:
        """Call one hook of the owner alone, with every wrapper around it; that it serves nothing is a `PluginError`."""
        result = self.ask(hook, owned, **arguments)
        if result is None:
            what = f"{owned.component.kind} '{owned.component.name}'"
            for title in self._withholding(hook, owned, arguments):
                raise PluginError(
                    f"{title}, which wraps {what} of {owned.plugin.title}, breaks its contract: it returned None in "
                    "the place of what that returned or raised"
                )
            raise PluginError(f"{owned.plugin.title} lists {what}, but its {hook} does not serve it")
        return result

    def _withholding(self, hook: str, owned: Owned, arguments: Mapping[str, Any]) -> list[str]:
        """The wrappers, each alone, with which a hook of the owner returns None, where without any it does not."""
        every, titles = self._manager.get_plugins(), self._titles()

        def serves(*plugins: Any) -> bool:
            others = every - {owned.plugin.module, *plugins}
            try:
                return self._manager.subset_hook_caller(hook, others)(**arguments) is not None
            except Exception:  # noqa: BLE001 (an error that a wrapper has made None is no None either)
                return True

        with attribute_errors(self.blame(hook, owned), hook):
            if not serves():
                return []
            return [titles[id(each.plugin)] for each in self._around(hook) if not serves(each.plugin)]

    def ask(self, hook: str, owned: Owned, **arguments: Any) -> Any:
        """The same for a hook that the owner need not have; None where it has not. What is returned is guarded."""
        call = self._callers.of(hook, owned.plugin.module, self._around(hook))
        layers = Layers(
            lambda value, title: guarded_result(hook, value, Blame(owned=owned, wrapper=title, around=layers.around)),
            self._titles(),
        )
        with attribute_errors(self.blame(hook, owned), hook), layers.watched():
            result = call(**arguments)
        return layers.guarded(result)

    def blame(self, hook: str, owned: Owned) -> Blame:
        """Whose a call of a hook is."""
        around = self._around(hook)
        return Blame(owned=owned, authors=_authors(hook, owned, around, self._titles() if around else {}))

    def _around(self, hook: str) -> list[Any]:
        return _wrappers(getattr(self._manager.hook, hook))

    def _titles(self) -> dict[int, str]:
        """What each plugin is called in messages, by the identity of its module."""
        return {id(plugin.module): f"plugin '{plugin.name}' of {plugin.title}" for plugin in self.plugins}

    def engine(self, scheme: str) -> "InstalledEngine":
        """The engine for URLs of that scheme."""
        return InstalledEngine(registry=self, owned=self.find(Kind.ENGINE, scheme))

    def codec(self, spec: str) -> Codec:
        """The codec of a text such as `zstd:3`."""
        codec: Codec = self._of_spec(Kind.CODEC, "holdfast_compress", spec)
        return codec

    def cipher(self, spec: str) -> Cipher:
        """The cipher of a text such as `age`."""
        cipher: Cipher = self._of_spec(Kind.CIPHER, "holdfast_encrypt", spec)
        return cipher

    def _of_spec(self, kind: Kind, hook: str, spec: str) -> Any:
        name, shorthand, values = split_spec(spec)
        owned = self.find(kind, name)
        options = spec_options(owned.component, shorthand, values)
        return self.call(hook, owned, **{str(kind): owned.component.name}, options=options)

    def hasher(self, algorithm: str) -> Hasher:
        """A new digest of the algorithm."""
        owned = self.find(Kind.CHECKSUM, algorithm)
        if owned.component.name == "sha256":
            self._check_sha256(owned)
        return cast("Hasher", self.call("holdfast_checksum", owned, algorithm=owned.component.name))

    def storage(self, url: str, options: Mapping[str, Any] | None = None) -> Storage:
        """The storage of a store's URL, with its options; text without a scheme is the path of a folder."""
        scheme, mark, _ = url.partition("://")
        owned = self.find(Kind.STORAGE, scheme.lower() if mark else "file")
        made = build_options(owned.component, options or {})
        return cast("Storage", self.call("holdfast_storage", owned, scheme=owned.component.name, url=url, options=made))

    def executor(self, url: str) -> "Executor":
        """Open the executor of a URL; a text without a scheme is the name of one that needs no more."""
        owned = self.find(Kind.EXECUTOR, url.partition("://")[0].lower())
        return cast("Executor", self.call("holdfast_executor", owned, scheme=owned.component.name, url=url))

    def observers(self) -> Observers:
        """The watching plugins, for one run."""
        titles = self._titles()
        hooks = self._manager.hook.holdfast_observe.get_hookimpls()
        return Observers((titles.get(id(hook.plugin), hook.plugin_name), hook) for hook in hooks)

    def observe(self, event: Event) -> None:
        """Tell every watching plugin of one event."""
        observers = self.observers()
        observers.tell(event)
        observers.close()

    def _check_sha256(self, owned: Owned) -> None:
        """Compare what is to be SHA-256 with a known digest, once: the format rests on it."""
        if "sha256" in self._compared:
            return
        hasher = self.call("holdfast_checksum", owned, algorithm="sha256")
        for chunk in (b"hold", b"fast"):
            hasher.update(chunk)
        if hasher.hexdigest() != _SHA256:
            who = self.blame("holdfast_checksum", owned).culprit()
            raise PluginError(f"{who} breaks its contract: its digests are not SHA-256")
        self._compared.add("sha256")


def _authors(hook: str, owned: Owned, around: list[Any], titles: Mapping[int, str]) -> dict[CodeType, str]:
    """Whose each function is that a call of a hook runs: the title of a wrapper's plugin, empty for the owner's."""
    owner = code_of(getattr(owned.plugin.module, hook, None))
    authors = {code: titles.get(id(each.plugin), "") for each in around if (code := code_of(each.function))}
    return authors | ({owner: ""} if owner else {})


def _missing_hint(plugins: Iterable[Plugin], kind: Kind, name: str) -> str | None:
    """What to do about a component that is not there."""
    distribution = FIRST_PARTY.get((kind, name))
    absent = [plugin for plugin in plugins if plugin.status in ("refused", "disabled")]
    owners = [plugin for plugin in absent if plugin.distribution == distribution or plugin.name == name]
    refused = [plugin for plugin in absent if plugin.status == "refused" and plugin not in owners]
    if any(plugin.status == "refused" for plugin in owners):
        return "; ".join(map(_why_not, owners))
    if owners or (refused and not distribution):  # what those would have listed that are refused nobody knows
        return "; ".join(map(_why_not, (*owners, *refused)))
    return f"pip install {_WITH_DRIVER.get(distribution, distribution)}" if distribution else None


def _list_harmless_parameters(components: Iterable[Owned]) -> None:
    """Let URLs show what the owners of their schemes list; where several claim a scheme, what all of them list."""
    listed: dict[str, frozenset[str]] = {}
    for owned in components:
        for scheme in (owned.component.name, *owned.component.aliases):
            parameters = owned.component.harmless_parameters
            listed[scheme] = listed.get(scheme, parameters) & parameters
    for scheme, parameters in listed.items():
        list_harmless(scheme, parameters)


def _why_not(plugin: Plugin) -> str:
    return f"the plugin '{plugin.name}' of {plugin.title} is {plugin.status}: {plugin.reason}"


def _wrappers(hook: Any) -> list[Any]:
    return [each for each in hook.get_hookimpls() if each.wrapper or each.hookwrapper]
