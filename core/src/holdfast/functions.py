"""The short way in Python: one function a verb, over the same operations as the command line."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.api import Codec, Engine, Operation, RetentionMode, Storage, Watcher
from holdfast.backup_set import BackupSet
from holdfast.defaults import installed
from holdfast.errors import UsageError
from holdfast.identities import IdentitySource
from holdfast.operations import databases as databases_operation
from holdfast.operations import drill as drill_operation
from holdfast.operations import restore as restore_operation
from holdfast.operations.copy import Copying, CopySet
from holdfast.operations.drill import DrillResult
from holdfast.operations.restore import RestoreResult
from holdfast.operations.verify import Verification, VerifyResult
from holdfast.pipeline import Pipeline, PipelineOptions
from holdfast.plan import BackupPlan, RestoreOptions, RestorePlan
from holdfast.plugins.registry import Registry
from holdfast.policy import Texts, check_texts
from holdfast.record import Backup, records, reference
from holdfast.run import Run
from holdfast.setup import StoreAddress, check_part
from holdfast.signature import check_names, keywords_of
from holdfast.store.catalog import open_catalog
from holdfast.store.entry import hidden_source

log = logging.getLogger("holdfast.store")

__all__ = [
    "backup",
    "backup_all",
    "copy",
    "drill",
    "installed",
    "list_backups",
    "list_databases",
    "restore",
    "verify",
]


class BackupArguments(PipelineOptions, frozen=True, kw_only=True):
    """The keywords of `backup`."""

    on_event: Watcher | None = None


@keywords_of(BackupArguments)
def backup(source: str | BackupPlan, /, *, on_event: Watcher | None = None, **options: Any) -> Backup:
    """Back a database up and return the record of it.

    `source` is a database URL, with the fields of `Pipeline` as further arguments (`store`, `codec`, `name`, …),
    each by name or as an object; or a whole plan, of which further arguments change fields. Whatever fails
    raises a `HoldfastError` and leaves nothing in the store.

    Example::

        record = holdfast.backup("sqlite:///app.db", store="./backups", codec="zstd:3")
    """
    with Run(Operation.BACKUP, registry=options.get("registry") or installed(), on_event=on_event):
        if isinstance(source, BackupPlan):
            pipeline = Pipeline.of(source).replace(**options)
        else:
            pipeline = Pipeline(source=source, **options)
    return pipeline.run(on_event)


@keywords_of(BackupArguments)
def backup_all(source: str | Sequence[str], /, *, on_event: Watcher | None = None, **options: Any) -> BackupSet:
    """Back up several databases in one run, a backup each, with a tag that all of them have and no other backup.

    `source` is the URL of a server, folder or pattern, of whose databases `select` and `exclude` choose, or a list of
    URLs of databases. Where the engine can, all are read at one moment. What fails is a result here, not an error, and
    stops no other: look at `failed`, or call `raise_for_failures`. An error is what keeps all of them from being made.

    Example::

        done = holdfast.backup_all("sqlite:////srv/app/storage/", store="./backups")
        done.raise_for_failures()
        print(done.tag, done.one_moment, [record.name for record in done.backups])
    """
    with Run(Operation.BACKUP, registry=options.get("registry") or installed(), on_event=on_event):
        sources = () if isinstance(source, str) else check_texts("source", source)
        if not isinstance(source, str) and not sources:
            raise UsageError("there is no database to back up: source is an empty list")
        pipeline = Pipeline(source=source if isinstance(source, str) else sources[0], **options)
    return pipeline.run_all(on_event, sources=sources)


class RestoreTarget(RestoreOptions, frozen=True):
    """What `restore` takes by its place as well."""

    target: str = ""


class RestoreArguments(RestoreTarget, frozen=True, kw_only=True):
    """The parameters of `restore` after the first."""

    engine: Engine | None = None
    codec: Codec | None = None
    registry: Registry | None = None
    dry_run: bool = False
    on_event: Watcher | None = None


@keywords_of(RestoreArguments)
def restore(
    backup: str | Backup | RestorePlan,
    /,
    target: str = "",
    *,
    store: str | os.PathLike[str] | Storage | None = None,
    engine: Engine | None = None,
    codec: Codec | None = None,
    registry: Registry | None = None,
    dry_run: bool = False,
    on_event: Watcher | None = None,
    **options: Any,
) -> RestoreResult:
    """Restore a backup, named by id, unique prefix, `latest` or `NAME/latest`, into the database at `target`.

    A target that holds data is refused with `UnsafeError`, unless `replace=True`. Further arguments are the
    fields of `RestorePlan`; those given besides a whole plan change it. `store`, `engine` and `codec` may be
    objects, as for `Pipeline`. `dry_run` touches nothing and returns what would happen to the target as `changes`.

    Example::

        holdfast.restore("latest", "sqlite:///copy.db", store="./backups")
    """
    registry = registry or installed()
    storage = None if store is None or isinstance(store, str | os.PathLike) else store
    with Run(Operation.RESTORE, registry=registry, on_event=on_event, dry_run=dry_run):
        for kind, part in (("engine", engine), ("codec", codec), ("store", storage)):
            check_part(kind, part)
        if isinstance(store, str | os.PathLike):
            options["store"] = os.fspath(store)
        if isinstance(backup, RestorePlan):
            plan = backup.evolve(**{**options, "target": target or backup.target})
        else:
            check_names(options, RestorePlan.__struct_fields__)
            plan = RestorePlan(backup=reference(backup), target=target, **options)
    return restore_operation.restore(
        plan, registry=registry, storage=storage, engine=engine, codec=codec, on_event=on_event, dry_run=dry_run
    )


def verify(
    *backups: str | Backup,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    read_data: bool = False,
    jobs: int | None = None,
    identity: str | None = None,
    identity_command: Texts = (),
    registry: Registry | None = None,
    on_event: Watcher | None = None,
) -> list[VerifyResult]:
    """Check backups, all of the store if none is named, and record what was found.

    Damage is a result, not an error: look at `passed`. With `read_data` all is decoded as well, of what is encrypted
    with an `identity` as `restore` takes it. A check that cannot be
    carried out is raised; of a whole store, a backup that is deleted meanwhile is left out.
    """
    return Verification(
        backups,
        store=StoreAddress(store, store_options),
        registry=registry or installed(),
        read_data=read_data,
        jobs=jobs,
        on_event=on_event,
        identity=IdentitySource(file=identity, command=identity_command),
    ).results()


def list_backups(
    store: str | os.PathLike[str] | Storage | None = None,
    *,
    store_options: Mapping[str, Any] | None = None,
    name: str | None = None,
    registry: Registry | None = None,
) -> list[Backup]:
    """List the backups of a store, or of one source of it, oldest first.

    A source whose folder cannot be read is told of in the log, and stops no other.
    """
    catalog = open_catalog(StoreAddress(store, store_options), registry or installed())
    listing = catalog.listing(name, cached=True)
    for source in listing.hidden.items():
        log.warning("%s", hidden_source(source))
    return records(listing.entries, catalog.storage)


def list_databases(
    url: str,
    /,
    *,
    select: Texts = (),
    exclude: Texts = (),
    engine: Engine | None = None,
    registry: Registry | None = None,
) -> list[str]:
    """List the URLs of the databases of the server at `url`, for a backup of each: no templates, no system databases.

    `select` and `exclude` are shell patterns of names. A server on which nothing fits is a `NotFoundError`.
    """
    return databases_operation.databases(
        url,
        registry=registry or installed(),
        select=check_texts("select", select),
        exclude=check_texts("exclude", exclude),
        engine=engine,
    )


def drill(
    backup: str | Backup,
    /,
    *,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    into: str | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    engine: Engine | None = None,
    codec: Codec | None = None,
    identity: str | None = None,
    identity_command: Texts = (),
    registry: Registry | None = None,
    on_event: Watcher | None = None,
) -> DrillResult:
    """Restore a backup into a scratch database, compare it with what its source held, and record the result.

    `into` is the URL of a server for the scratch database (else `HOLDFAST_DRILL_URL`, else the engine's choice).
    `engine` and `codec` may be objects in the place of those that the manifest names; `identity` opens an encrypted
    backup, as for `restore`. A backup that is not as recorded
    is a result: look at `passed` and `problems`. A drill that cannot be carried out raises and records nothing.

    Example::

        assert holdfast.drill("latest", store="./backups").passed
    """
    return drill_operation.drill(
        backup,
        store=StoreAddress(store, store_options),
        registry=registry or installed(),
        into=into,
        options=options,
        jobs=jobs,
        engine=engine,
        codec=codec,
        on_event=on_event,
        identity=IdentitySource(file=identity, command=identity_command),
    )


def copy(
    *backups: str | Backup,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    to: str | os.PathLike[str] | Storage,
    to_options: Mapping[str, Any] | None = None,
    since: str | None = None,
    jobs: int | None = None,
    create: bool = True,
    foreign_store: bool = False,
    retain: str | None = None,
    retain_mode: RetentionMode | None = None,
    registry: Registry | None = None,
    on_event: Watcher | None = None,
) -> CopySet:
    """Copy backups, all of the store if none is named, into the store `to`, byte for byte.

    A name of a source is all of its backups; `since`, such as `"30d"`, leaves out those begun longer ago. Each is
    compared with its manifest on the way and published only whole; what is there already is left alone. One that cannot
    be copied stops no other: look at `failed`, or call `raise_for_failures`. `retain` is as for a backup.

    Example::

        holdfast.copy("app", store="./backups", to="/mnt/elsewhere/backups").raise_for_failures()
    """
    return Copying(
        backups,
        store=StoreAddress(store, store_options),
        to=StoreAddress(to, to_options),
        registry=registry or installed(),
        since=since,
        jobs=jobs,
        create=create,
        foreign_store=foreign_store,
        retain=retain,
        retain_mode=retain_mode,
        on_event=on_event,
    ).results()
