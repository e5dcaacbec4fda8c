"""Restore: check all that can be checked, load every stream, commit only what agrees with the manifest."""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from holdfast.api import (
    Capability,
    Codec,
    DatabaseURL,
    Engine,
    HasherFactory,
    RestoreRequest,
    RestoreSession,
    Step,
    Storage,
    Stream,
    SupportsSelection,
    SupportsWarnings,
    Watcher,
)
from holdfast.defaults import default_jobs, default_store
from holdfast.error_boundary import translate_errors
from holdfast.errors import HoldfastError, PluginError, UsageError, quote_name
from holdfast.plan import RestorePlan
from holdfast.plugins.registry import Registry
from holdfast.run import Run
from holdfast.scratch import scratch_folder
from holdfast.setup import check_capabilities, complete
from holdfast.store.blob import StoredBlob
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.manifest import Manifest
from holdfast.store.overlap import check_outside
from holdfast.streaming.workers import release_after, run_tasks
from holdfast.url import redact

log = logging.getLogger("holdfast.restore")


@dataclass(frozen=True, kw_only=True)
class RestoreResult:
    """What a restore did, or would do."""

    id: str  #: the id of the backup
    name: str  #: the name of its source
    engine: str  #: the engine that restored it
    target: str  #: the target's URL, without its secrets
    size_bytes: int  #: the plain bytes loaded
    duration_seconds: float  #: how long it took
    steps: tuple[str, ...] = ()  #: the streams in the order in which they were loaded
    warnings: tuple[str, ...] = ()  #: what was restored in another form than it was dumped, a line each
    dry_run: bool = False  #: whether nothing was touched

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RestoreSetup:
    """A restore with every part found and nothing touched."""

    plan: RestorePlan
    entry: Entry
    manifest: Manifest
    storage: Storage
    engine: Engine
    options: Any
    codec: Codec
    hashers: Mapping[str, HasherFactory]
    jobs: int
    run: Run
    drill: bool = False
    blobs: dict[str, StoredBlob] = field(default_factory=dict)


def restore(
    plan: RestorePlan,
    *,
    registry: Registry,
    storage: Storage | None = None,
    engine: Engine | None = None,
    codec: Codec | None = None,
    on_event: Watcher | None = None,
    dry_run: bool = False,
) -> RestoreResult:
    """Restore one backup into `plan.target`; after a failure the target is as it was, or the error says what is left.

    `storage`, `engine` and `codec` stand in for those that the plan and the manifest name.
    """
    with translate_errors(f"restore into {redact(plan.target)} failed", plan.target):
        DatabaseURL.parse(plan.target)  # a wrong call is told before a missing store
        storage = storage or registry.storage(default_store() if plan.store is None else plan.store)
        check_outside(storage, plan.target)
        catalog = Catalog(storage)
        catalog.open()
        entry, manifest = catalog.readable(plan.backup, allow_damaged=plan.allow_damaged)
        run = Run("restore", entry.id, name=entry.name, registry=registry, on_event=on_event, url=plan.target)
        setup = resolve_restore(
            plan, entry, manifest, run=run, registry=registry, storage=storage, engine=engine, codec=codec
        )
        with run.telling(), scratch_folder() as scratch:
            result = load(setup, scratch, dry_run=dry_run)
        if not dry_run:
            run.emit("finished", **result.as_data())
        return result


def resolve_restore(
    plan: RestorePlan,
    entry: Entry,
    manifest: Manifest,
    *,
    run: Run,
    registry: Registry,
    storage: Storage,
    engine: Engine | None = None,
    codec: Codec | None = None,
    drill: bool = False,
) -> RestoreSetup:
    """Find every part of a restore of one backup and check every option; touches nothing."""
    engine = complete(engine) if engine else _engine(registry, DatabaseURL.parse(plan.target), manifest)
    check_capabilities(
        engine,
        {
            Capability.SELECT: ("--select and --exclude", bool(plan.select or plan.exclude)),
            Capability.CHECK: ("--check", plan.check is True),
            Capability.LIVE: ("--live", plan.live),
        },
    )
    hashers: Mapping[str, HasherFactory] = {"sha256": lambda: registry.hasher("sha256")}
    return RestoreSetup(
        plan=plan,
        entry=entry,
        manifest=manifest,
        storage=storage,
        engine=engine,
        options=engine.options(plan.options),
        codec=codec or registry.codec(manifest.codec.name),
        hashers=hashers,
        jobs=plan.jobs or default_jobs(),
        run=run,
        drill=drill,
    )


def _engine(registry: Registry, target: DatabaseURL, manifest: Manifest) -> Engine:
    engine = registry.engine(target.scheme)
    if engine.name != manifest.source.engine:
        raise UsageError(
            f"the backup is of engine '{manifest.source.engine}', the target {target.redacted()} of '{engine.name}'"
        )
    return engine


def load(setup: RestoreSetup, scratch: Path, *, dry_run: bool = False) -> RestoreResult:
    """Restore as set up; `scratch` is a private folder. Leaves the target as it was, or says what is left."""
    run, plan, manifest = setup.run, setup.plan, setup.manifest
    tolerate = run.warn if plan.allow_damaged else None
    for record in manifest.streams:
        setup.blobs[record.name] = StoredBlob(
            setup.storage,
            setup.entry.folder,
            record,
            setup.codec,
            stop=run.stop,
            scratch=scratch,
            hashers=setup.hashers,
            count=run.count,
            tolerate=tolerate,
        )
    streams = tuple(Stream(name=record.name, suffix=record.suffix, size=record.size) for record in manifest.streams)
    request = RestoreRequest(
        url=plan.target,
        scratch=scratch,
        streams=streams,
        facts=manifest.hints,
        options=setup.options,
        jobs=setup.jobs,
        drill=setup.drill,
        dry_run=dry_run,
        **plan.request_fields(RestoreRequest),
    )
    with ExitStack() as opened, _releasing(opened):
        session = opened.enter_context(setup.engine.restore(request))
        steps = list(session.steps)
        needed = _needed(setup, steps)
        if not dry_run:
            _run_steps(setup, session, steps, needed, opened)
        return RestoreResult(
            id=setup.entry.id,
            name=setup.entry.name,
            engine=setup.engine.name,
            target=redact(plan.target),
            size_bytes=sum(blob.record.size for blob in needed),
            duration_seconds=round(run.seconds, 3),
            steps=tuple(step.stream for step in sorted(steps, key=lambda step: step.phase)),
            warnings=tuple(run.warnings),
            dry_run=dry_run,
        )


@contextmanager
def _releasing(opened: ExitStack) -> Iterator[None]:
    """Leave the session after a failure, which stays the error to report, with what the session left behind."""
    try:
        yield
    except BaseException as error:
        release_after(error, opened.close)
        raise


def _needed(setup: RestoreSetup, steps: Sequence[Step]) -> list[StoredBlob]:
    """The blobs that the steps load, each once."""
    names = dict.fromkeys(step.stream for step in steps)
    unknown = [name for name in names if name not in setup.blobs]
    if unknown:
        raise PluginError(
            f"engine '{setup.engine.name}' wants to load {quote_name(unknown[0])}, which the backup has not"
        )
    return [setup.blobs[name] for name in names]


def _run_steps(
    setup: RestoreSetup, session: RestoreSession, steps: list[Step], needed: list[StoredBlob], opened: ExitStack
) -> None:
    """Run the steps phase by phase; commit once every needed blob has been read whole and agreed."""
    run = setup.run
    atomic = Capability.ATOMIC_RESTORE in setup.engine.capabilities
    run.total = sum(setup.blobs[step.stream].record.size for step in steps)
    run.total += 0 if atomic else sum(blob.record.blob.size for blob in needed)
    run.emit("started", target=redact(setup.plan.target), engine=setup.engine.name)
    if not atomic:
        # What cannot be undone by the engine must not begin with data that is known to be wrong.
        checks = [lambda blob=blob: blob.check_stored(setup.hashers) for blob in needed]
        run_tasks(checks, jobs=setup.jobs, stop=run.stop, tick=run.tick, release=lambda: None)
    ordered = sorted(steps, key=lambda step: step.phase)
    parallel = setup.jobs if Capability.PARALLEL_RESTORE in setup.engine.capabilities else 1
    for _, phase in itertools.groupby(ordered, key=lambda step: step.phase):
        group = list(phase)
        for side_by_side, part in itertools.groupby(group, key=lambda step: step.parallel):
            tasks = [lambda step=step: session.load(step, setup.blobs[step.stream]) for step in part]
            jobs = parallel if side_by_side else 1
            run_tasks(tasks, jobs=jobs, stop=run.stop, tick=run.tick, release=opened.close)
    if isinstance(session, SupportsSelection):
        left_out = set(session.skipped_streams)
        run.total -= sum(setup.blobs[step.stream].record.size for step in steps if step.stream in left_out)
        needed = [blob for blob in needed if blob.record.name not in left_out]
    drains = [blob.drain for blob in needed]
    run_tasks(drains, jobs=setup.jobs, stop=run.stop, tick=run.tick, release=opened.close)
    for blob in needed:
        if not blob.whole and not setup.plan.allow_damaged:
            raise HoldfastError(f"stream {quote_name(blob.record.name)} was not read to its end")
    run.emit("progress")
    session.commit()
    for warning in session.warnings if isinstance(session, SupportsWarnings) else ():
        run.warn(warning)
