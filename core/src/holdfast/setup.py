"""A backup before anything is opened: every part of its plan found, every option checked."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from holdfast.api import Capability, Cipher, Codec, DatabaseURL, Engine, HasherFactory, Kind, Moment, Retention, Storage
from holdfast.defaults import default_codec, default_jobs, default_store
from holdfast.errors import UsageError
from holdfast.identities import asks_for_encryption, recipients_of
from holdfast.kinds import check_kinds
from holdfast.plan import BackupPlan
from holdfast.plugins.engine import CompletedEngine, InstalledEngine, options_for
from holdfast.plugins.guard import provider
from holdfast.plugins.options import split_spec
from holdfast.plugins.registry import BUILTIN, Registry
from holdfast.store.names import check_source_name
from holdfast.streaming.seal import BackupKey, check_cipher

_HINTS = {
    "engine": "leave it out, since the URL names the engine, or give an object as holdfast.api.Engine describes it",
    "codec": "give a codec by its name where a backup is made, leave it out where the manifest names it, or give an "
    "object as holdfast.api.Codec describes it",
    "store": "give the store by its path or URL, or an object as holdfast.api.Storage describes it",
}
_NEEDED = {
    "engine": ("name", "capabilities", "dump", "restore"),
    "codec": ("suffix", "encode", "decoder"),
    "store": ("location", "writer", "read", "list", "stat", "delete", "barrier", "lease"),
}


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that a program brings as objects, in the place of those that a plan names.

    `moment` is what the engine holds for the databases of a run of several.
    """

    engine: Engine | None = None
    codec: Codec | None = None
    checksums: Mapping[str, HasherFactory] = msgspec.field(default_factory=dict)
    storage: Storage | None = None
    moment: Moment | None = None


class BackupSetup(msgspec.Struct, frozen=True, kw_only=True):
    """A plan resolved: every part found and every option checked, nothing opened yet.

    `codec_name` is the name of the component, whichever alias was asked for; `plugins` are the versions of what
    offers the parts, by distribution.
    """

    plan: BackupPlan
    url: DatabaseURL
    engine: Engine
    options: Any
    codec: Codec
    codec_name: str
    codec_spec: str
    hashers: Mapping[str, HasherFactory]
    plugins: Mapping[str, str]
    storage: Storage
    jobs: int
    moment: Moment | None = None
    retention: Retention | None = None
    encryption: "Encryption | None" = None


class Encryption(msgspec.Struct, frozen=True, kw_only=True):
    """How a backup is encrypted: its key, which is made for it alone, and to whom that is sealed."""

    key: BackupKey
    name: str
    recipients: tuple[str, ...]

    @property
    def cipher(self) -> Cipher:
        """The cipher."""
        return self.key.cipher


def resolve_backup(plan: BackupPlan, registry: Registry, parts: Parts) -> BackupSetup:
    """Find every part of a plan and check every option, before anything is opened."""
    url = DatabaseURL.parse(plan.source)
    for kind, part in (("engine", parts.engine), ("codec", parts.codec), ("store", parts.storage)):
        check_part(kind, part)
    engine = complete(parts.engine) if parts.engine else registry.engine(url.scheme)
    if plan.name is not None:
        check_source_name(plan.name)
    check_capabilities(
        engine,
        {
            Capability.SELECT: ("--select and --exclude", bool(plan.select or plan.exclude)),
            Capability.PROOF: ("--proof", plan.proof is True),
            Capability.CHECK: ("--check" if plan.check else "--allow-damaged", bool(plan.check) or plan.allow_damaged),
            Capability.FULL_CHECK: ("--check full", plan.check == "full"),
        },
    )
    check_kinds(engine.name, engine.kinds, plan.exclude_kinds)
    options = options_for("backup", engine, plan.options)
    spec = plan.codec if plan.codec is not None else ("" if parts.codec else default_codec(registry))
    owned = [registry.find(Kind.CHECKSUM, name) for name in ("sha256", *plan.checksums)]
    hashers = {name: _hasher_factory(registry, name) for name in (checksum.component.name for checksum in owned)}
    codec_name = type(parts.codec).__name__.lower()
    if not parts.codec:
        owned.append(registry.find(Kind.CODEC, split_spec(spec)[0]))
        codec_name = owned[-1].component.name
    if not parts.engine:
        owned.append(registry.find(Kind.ENGINE, engine.name))
    encryption = _encryption(plan, registry)
    if encryption is not None:
        owned.append(registry.find(Kind.CIPHER, encryption.name))
    return BackupSetup(
        plan=plan,
        url=url,
        engine=engine,
        options=options,
        codec=parts.codec or registry.codec(spec),
        codec_name=codec_name,
        codec_spec=spec or codec_name,
        hashers={**hashers, **parts.checksums, **hashers},  # in this order; a name of the registry stays what it is
        plugins={
            part.plugin.distribution: part.plugin.version for part in owned if part.plugin.distribution != BUILTIN
        },
        storage=open_storage(StoreAddress(parts.storage or plan.store, plan.store_options), registry),
        jobs=plan.jobs or default_jobs(),
        moment=parts.moment,
        encryption=encryption,
    )


def _encryption(plan: BackupPlan, registry: Registry) -> Encryption | None:
    """How to encrypt, None where nobody has asked for that; whoever asks gets it, or an error."""
    if not asks_for_encryption(plan.recipients, plan.recipients_file):
        if plan.cipher is not None:
            raise UsageError(
                f"there is nobody to encrypt for with '{plan.cipher}'",
                hint="give recipients: --recipient age1…, --recipients-file or HOLDFAST_RECIPIENTS_FILE",
            )
        return None
    spec = plan.cipher or "age"
    cipher = registry.cipher(spec)
    check_cipher(cipher, provider(cipher))
    recipients = recipients_of(cipher, plan.recipients, plan.recipients_file)
    name = registry.find(Kind.CIPHER, split_spec(spec)[0]).component.name
    return Encryption(key=BackupKey(cipher=cipher, secret=cipher.new_key()), name=name, recipients=recipients)


def _hasher_factory(registry: Registry, algorithm: str) -> HasherFactory:
    registry.hasher(algorithm)  # a missing one is found out before anything is opened
    return lambda: registry.hasher(algorithm)


def check_capabilities(engine: Engine, asked: Mapping[Capability, tuple[str, bool]]) -> None:
    """Refuse what the engine cannot do, instead of quietly not doing it; each option by name, and whether it is set."""
    for capability, (option, wanted) in asked.items():
        if wanted and capability not in engine.capabilities:
            raise UsageError(f"engine '{engine.name}' cannot do {option}")


def complete(engine: Engine) -> Engine:
    """Return an engine given as an object with all that an engine has, whether or not it inherits from `Engine`."""
    check_part("engine", engine)
    return engine if isinstance(engine, InstalledEngine) else CompletedEngine(engine)


def check_part(kind: str, part: Any) -> None:
    """Refuse an object that cannot be an engine, codec or store, before anything is opened; None is none."""
    if isinstance(part, type):
        raise UsageError(f"{kind} is the class {part.__name__}, expected an object of it")
    missing = [name for name in _NEEDED[kind] if not hasattr(part, name)]
    if part is not None and missing:
        raise UsageError(
            f"{kind} is an object of type {type(part).__name__}, which has no {', '.join(missing)}",
            hint=_HINTS[kind],
        )


class StoreAddress(NamedTuple):
    """A store with the options of its storage, which go with one that is named by its path or URL."""

    store: str | os.PathLike[str] | Storage | None
    options: Mapping[str, Any] | None = None


StoreLike = str | os.PathLike[str] | Storage | StoreAddress | None
"""How a program names a store: a path, a URL, an object, or None for the default; each may come with options."""


def open_storage(address: StoreLike, registry: Registry) -> Storage:
    """The storage of a store, with every option checked; nothing is asked of its service yet."""
    store, options = address if isinstance(address, StoreAddress) else StoreAddress(address)
    if options is not None and not isinstance(options, Mapping):
        raise UsageError(f"the options of a store are {type(options).__name__}, expected a mapping of their names")
    if store is None or isinstance(store, str | os.PathLike):
        return registry.storage(default_store() if store is None else os.fspath(store), options)
    check_part("store", store)
    if options:
        raise UsageError(
            f"the store is an object of type {type(store).__name__}, and takes no options",
            hint="give them to the object, or name the store by its URL",
        )
    return store


def check_hasher_factory(factory: Any) -> None:
    """Refuse a checksum that is neither a name nor something that starts a digest, such as `hashlib.blake2b`."""
    hasher = factory() if callable(factory) else None
    if not hasattr(hasher, "update") or not hasattr(hasher, "hexdigest"):
        raise UsageError(f"a checksum is {factory!r}, expected a name, or a callable that starts a digest")
