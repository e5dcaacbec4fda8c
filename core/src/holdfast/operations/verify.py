"""Verify: is a backup still what was stored? Structure, stored digests, and on request all of it decoded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import msgspec

from holdfast.api import EventType, HasherFactory, Kind, Operation, Storage, Watcher
from holdfast.defaults import default_jobs
from holdfast.errors import (
    CredentialsError,
    HoldfastError,
    IntegrityError,
    NotFoundError,
    PartialError,
    refusal_text,
)
from holdfast.identities import NO_IDENTITY, IdentitySource
from holdfast.patience import Patience
from holdfast.plan import check_jobs
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.registry import Registry
from holdfast.record import Backup, reference
from holdfast.run import Run
from holdfast.setup import StoreLike
from holdfast.store import findings
from holdfast.store.blob import StoredBlob
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.entry import Entry, hidden_source
from holdfast.store.findings import Depth
from holdfast.store.lookup import newest_good_hint
from holdfast.store.manifest import Manifest
from holdfast.store.plugin_faults import PluginFaults
from holdfast.store.readers import reading
from holdfast.store.sealed import OpenBackup, open_backup
from holdfast.store.sums import verify_sidecars
from holdfast.streaming.workers import run_tasks


@dataclass(frozen=True, kw_only=True)
class VerifyResult:
    """What a check of one backup found."""

    id: str  #: the id of the backup
    name: str  #: the name of its source
    state: str  #: the state of the backup afterwards: `complete`, `verified`, `proven` or `damaged`
    depth: str  #: how deep the check went: `structure`, `stored` or `decode`
    passed: bool  #: whether all is well
    problems: tuple[str, ...]  #: what is wrong, a line each
    size_bytes: int  #: the plain bytes of the backup
    duration_seconds: float  #: how long it took
    warnings: tuple[str, ...] = ()  #: what to know besides, a line each

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def verify(
    entry: Entry,
    *,
    storage: Storage,
    registry: Registry,
    read_data: bool = False,
    jobs: int | None = None,
    on_event: Watcher | None = None,
    identity: IdentitySource = NO_IDENTITY,
) -> VerifyResult:
    """Check one backup and append the result to it.

    A check that cannot be carried out (unreachable store, missing codec, a signal) raises and records nothing.
    """
    with Run(Operation.VERIFY, registry=registry, on_event=on_event) as run:
        run.identify(entry.id, entry.name)
        run.action = f"cannot verify {entry.id}"
        check_jobs(jobs)
        with reading(storage, entry):
            depth, problems = _check(
                entry, storage, registry, run, read_data=read_data, jobs=jobs or default_jobs(), identity=identity
            )
        known, is_sealed = entry.findings, bool(entry.manifest and entry.manifest.is_sealed)
        detail = {"id": entry.id, "duration_seconds": round(run.seconds, 3)}
        try:
            known += (
                findings.record(
                    storage,
                    entry.folder,
                    depth=depth,
                    problems=problems,
                    detail=detail,
                    sealed=is_sealed and read_data,
                ),
            )
        except (OSError, CredentialsError) as error:
            run.warn(f"the result could not be recorded in the store: {refusal_text(error)}")
        result = VerifyResult(
            id=entry.id,
            name=entry.name,
            state=str(msgspec.structs.replace(entry, findings=known).state),
            depth=depth.name.lower(),
            passed=not problems,
            problems=tuple(problems),
            size_bytes=entry.manifest.size if entry.manifest else 0,
            duration_seconds=round(run.seconds, 3),
            warnings=tuple(run.warnings),
        )
        run.finish(**result.as_data())
        return result


def _check(
    entry: Entry,
    storage: Storage,
    registry: Registry,
    run: Run,
    *,
    read_data: bool,
    jobs: int,
    identity: IdentitySource,
) -> tuple[Depth, list[str]]:
    entry.check_readable()
    if entry.manifest is None or entry.problem:
        return Depth.STRUCTURE, [entry.problem]
    problems = verify_sidecars(entry, storage)
    backup = OpenBackup(manifest=entry.manifest)
    if read_data:
        try:
            backup = open_backup(storage, entry, entry.manifest, registry=registry, identity=identity)
        except IntegrityError as error:
            return Depth.DECODE, [*problems, error.message]
    manifest = backup.manifest
    depth = Depth.DECODE if read_data else Depth.STORED
    with registry.needed_for(manifest.tool.plugins):
        codec = registry.codec(manifest.codec.name) if read_data else NoCodec()
    hashers, missing = _hashers(manifest, registry)
    for name in missing:
        run.warn(f"checksum '{name}' is not installed and was not compared")
    run.total = manifest.stored_size + (manifest.size if read_data else 0)
    run.emit(EventType.STARTED, depth=depth.name.lower())

    def check(blob: StoredBlob) -> None:
        try:
            if read_data:
                blob.check(hashers)
            else:
                blob.check_stored(hashers)
        except IntegrityError as error:
            problems.append(error.message)

    blobs = [
        StoredBlob(
            storage,
            entry.folder,
            record,
            codec,
            stop=run.stop,
            hashers=hashers,
            count=run.count,
            classify=PluginFaults(storage, codec, hashers, manifest.tool.plugins, wrapped_by=manifest.tool.wrappers),
            warn=run.warn,
            key=backup.key,
        )
        for record in manifest.streams
    ]
    tasks = [lambda blob=blob: check(blob) for blob in blobs]
    run_tasks(tasks, jobs=jobs, stop=run.stop, tick=run.tick, release=lambda: None)
    return depth, problems


def _hashers(manifest: Manifest, registry: Registry) -> tuple[Mapping[str, HasherFactory], list[str]]:
    """Every recorded checksum that is installed; SHA-256 must be."""
    installed = set(registry.names(Kind.CHECKSUM)) | {"sha256"}
    usable = {name: (lambda name=name: registry.hasher(name)) for name in manifest.checksums if name in installed}
    registry.hasher("sha256")
    return usable, [name for name in manifest.checksums if name not in usable]


@dataclass(frozen=True, kw_only=True)
class Unchecked:
    """A backup whose check could not be carried out, and why; `gone` says that it was deleted meanwhile."""

    id: str
    name: str
    error: HoldfastError
    gone: bool


class Verification:
    """Checks of several backups, one after the other, all of the store if none is named.

    Iterating makes the checks and yields what came of each. A check that cannot be carried out is an `Unchecked`, and
    stops no other; where only one backup is checked, it is raised.
    """

    def __init__(
        self,
        backups: Sequence[str | Backup],
        *,
        store: StoreLike,
        registry: Registry,
        read_data: bool = False,
        jobs: int | None = None,
        on_event: Watcher | None = None,
        patience: Patience | None = None,
        identity: IdentitySource = NO_IDENTITY,
    ) -> None:
        self._patience = patience
        self._check = partial(
            verify, registry=registry, read_data=read_data, jobs=jobs, on_event=on_event, identity=identity
        )
        self._named = bool(backups)
        self._damaged: list[VerifyResult] = []
        self._unchecked = 0
        with Run(Operation.VERIFY, registry=registry, on_event=on_event):
            self._catalog = open_catalog(store, registry)
            self.entries, self._hidden = _select(self._catalog, [reference(backup) for backup in backups])

    def check(self, entry: Entry) -> VerifyResult:
        """Check one of the backups, as soon as no other process keeps it."""
        check = partial(self._check, entry, storage=self._catalog.storage)
        return self._patience.until_free(check) if self._patience else check()

    def results(self) -> list[VerifyResult]:
        """Make the checks; the first that cannot be carried out is raised, but what is gone is left out."""
        results = []
        for entry in self.entries:
            try:
                results.append(self.check(entry))
            except NotFoundError as error:
                if not self._is_gone(entry, error):
                    raise
        return results

    def _is_gone(self, entry: Entry, error: HoldfastError) -> bool:
        """Whether a check failed because the backup, which nobody has asked for, has been deleted."""
        return isinstance(error, NotFoundError) and not entry.unreadable and not self._named

    def __iter__(self) -> Iterator[VerifyResult | Unchecked]:
        for entry in self.entries:
            try:
                result = self.check(entry)
            except HoldfastError as error:
                gone = self._is_gone(entry, error)
                if len(self.entries) == 1 and not self._hidden and not gone:
                    raise
                self._unchecked += not gone
                yield Unchecked(id=entry.id, name=entry.name, error=error, gone=gone)
            else:
                if not result.passed:
                    self._damaged.append(result)
                yield result

        for source in self._hidden.items():
            self._unchecked += 1
            yield Unchecked(id="", name=source[0], error=NotFoundError(hidden_source(source)), gone=False)

    def raise_for_failures(self) -> None:
        """Raise `IntegrityError` if a backup is damaged, else `PartialError` if one could not be checked."""
        count = len(self.entries) + len(self._hidden)
        if self._damaged:
            sources = list(dict.fromkeys(result.name for result in self._damaged))
            hints = [newest_good_hint(self._catalog, name) for name in sources[:5]]
            hint = "; ".join(f"{name}: {text}" for name, text in zip(sources, hints, strict=False))
            hint = hints[0] if len(sources) == 1 else hint + ("; …" if len(sources) > 5 else "")
            names = ", ".join(result.id for result in self._damaged[:5]) + (", …" if len(self._damaged) > 5 else "")
            are = "backup is" if count == 1 else "backups is" if len(self._damaged) == 1 else "backups are"
            raise IntegrityError(f"{len(self._damaged)} of {count} {are} damaged: {names}", hint=hint)
        if self._unchecked:
            raise PartialError(f"{self._unchecked} of {count} backups could not be checked")


def _select(catalog: Catalog, references: Sequence[str]) -> tuple[list[Entry], Mapping[str, str]]:
    """The backups to verify, those named, each once, else all of the store; and the sources that cannot be read."""
    if not references:
        listing = catalog.listing()
        return list(listing.entries), listing.hidden
    return list({entry.folder: entry for entry in map(catalog.find, references)}.values()), {}
