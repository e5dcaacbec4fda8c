"""One backup on its way into a database, for a restore and for a drill."""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast.api import (
    Capability,
    Change,
    Codec,
    DatabaseURL,
    Engine,
    EventType,
    Failure,
    HasherFactory,
    Preview,
    RestoreRequest,
    RestoreSession,
    Step,
    Storage,
    Stream,
    SupportsFailures,
    SupportsPreview,
    SupportsSelection,
    SupportsWarnings,
)
from holdfast.defaults import default_jobs
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    PluginError,
    UsageError,
    add_cleanup_failure,
    quote_name,
)
from holdfast.identities import IdentitySource
from holdfast.kinds import check_kinds
from holdfast.operations._target import check_target
from holdfast.plan import RestorePlan
from holdfast.plugins.engine import options_for
from holdfast.plugins.guard import provider
from holdfast.plugins.registry import Registry
from holdfast.run import Run
from holdfast.setup import check_capabilities, complete
from holdfast.store.blob import StoredBlob
from holdfast.store.entry import Entry
from holdfast.store.manifest import Manifest
from holdfast.store.plugin_faults import PluginFaults
from holdfast.store.sealed import OpenBackup
from holdfast.streaming.seal import BackupKey
from holdfast.streaming.workers import release_after_failure, run_tasks
from holdfast.url import redact


@dataclass(frozen=True, kw_only=True)
class RestoreResult:
    """What a restore did, or would do."""

    id: str  #: the id of the backup
    name: str  #: the name of its source
    engine: str  #: the engine that restored it
    target: str  #: the target's URL, without its secrets
    size_bytes: int  #: the plain bytes read; where objects are selected those of the streams that hold them
    duration_seconds: float  #: how long it took
    steps: tuple[str, ...] = ()  #: the streams in the order in which they were loaded
    warnings: tuple[str, ...] = ()  #: what was restored in another form than it was dumped, a line each
    failures: tuple[Failure, ...] = ()  #: what was not restored, where the restore went on after errors
    dry_run: bool = False  #: whether nothing was touched
    changes: tuple[Change, ...] = ()  #: of a dry run: what would happen to each object of the target, where known
    whole: bool = False  #: of a dry run: whether the backup would take the place of a whole database

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
    key: BackupKey | None = None


def identity_of(plan: RestorePlan) -> IdentitySource:
    """Where a plan says that identities are."""
    return IdentitySource(file=plan.identity, command=plan.identity_command)


def resolve_restore(
    plan: RestorePlan,
    entry: Entry,
    opened: OpenBackup,
    *,
    run: Run,
    storage: Storage,
    engine: Engine | None = None,
    codec: Codec | None = None,
    drill: bool = False,
) -> RestoreSetup:
    """Find every part of a restore of one backup and check every option; touches nothing."""
    registry, manifest = run.registry, opened.manifest
    engine = complete(engine) if engine else _engine(registry, DatabaseURL.parse(plan.target), manifest)
    check_capabilities(
        engine,
        {
            Capability.SELECT: ("--select and --exclude", bool(plan.select or plan.exclude)),
            Capability.CHECK: ("--check", bool(plan.check)),
            Capability.FULL_CHECK: ("--check full", plan.check == "full"),
            Capability.LIVE: ("--live", plan.live),
        },
    )
    check_kinds(engine.name, engine.kinds, plan.exclude_kinds)
    hashers: Mapping[str, HasherFactory] = {"sha256": lambda: registry.hasher("sha256")}
    if codec is None:
        with registry.needed_for(manifest.tool.plugins):
            codec = registry.codec(manifest.codec.name)
    return RestoreSetup(
        plan=plan,
        entry=entry,
        manifest=manifest,
        storage=storage,
        engine=engine,
        options=options_for("restore", engine, plan.options),
        codec=codec,
        hashers=hashers,
        jobs=plan.jobs or default_jobs(),
        run=run,
        drill=drill,
        key=opened.key,
    )


def _engine(registry: Registry, target: DatabaseURL, manifest: Manifest) -> Engine:
    with registry.needed_for(manifest.tool.plugins):
        engine = registry.engine(target.scheme)
    if engine.name != manifest.source.engine:
        raise UsageError(
            f"the backup is of engine '{manifest.source.engine}', the target {target.redacted()} of '{engine.name}'"
        )
    return engine


def check_restored(setup: RestoreSetup, scratch: Path, failures: Sequence[Failure] = ()) -> None:
    """Raise `PluginError` if the target holds nothing although the engine has committed; see `check_target`."""
    try:
        check_target(setup.engine, _request(setup, scratch, dry_run=False), setup.manifest, failures, scratch)
    except PluginError:
        setup.run.settled = ""
        raise


def load(setup: RestoreSetup, scratch: Path, *, dry_run: bool = False) -> RestoreResult:
    """Restore as set up; `scratch` is a private folder. Leaves the target as it was, or says what is left."""
    blobs = _blobs(setup, scratch)
    request = _request(setup, scratch, dry_run=dry_run)
    with ExitStack() as session_context, _releasing(session_context):
        session = session_context.enter_context(setup.engine.restore(request))
        steps = list(session.steps)
        needed = _needed(setup, steps, blobs)
        preview = Preview()
        failures: Sequence[Failure] = ()
        if not dry_run:
            failures = _Loading(setup, session, session_context, blobs).run(steps, needed)
        elif isinstance(session, SupportsPreview):
            preview = session.preview(blobs)
    if not dry_run and not setup.drill:  # a drill compares all of it
        check_restored(setup, scratch, failures)
    return RestoreResult(
        id=setup.entry.id,
        name=setup.entry.name,
        engine=setup.engine.name,
        target=redact(setup.plan.target),
        size_bytes=sum(blob.read if blob.missing else blob.record.size for blob in needed),
        duration_seconds=round(setup.run.seconds, 3),
        steps=tuple(step.stream for group in _groups(steps, blobs) for step in group),
        warnings=tuple(setup.run.warnings),
        failures=tuple(failures),
        dry_run=dry_run,
        changes=preview.changes,
        whole=preview.whole,
    )


def _blobs(setup: RestoreSetup, scratch: Path) -> dict[str, StoredBlob]:
    """The stored streams by name."""
    return {
        record.name: StoredBlob(
            setup.storage,
            setup.entry.folder,
            record,
            setup.codec,
            stop=setup.run.stop,
            scratch=scratch,
            hashers=setup.hashers,
            count=setup.run.count,
            key=setup.key,
            tolerate=setup.run.warn if setup.plan.allow_damaged else None,
            classify=PluginFaults(
                setup.storage,
                setup.codec,
                setup.hashers,
                setup.manifest.tool.plugins,
                wrapped_by=setup.manifest.tool.wrappers,
            ),
        )
        for record in setup.manifest.streams
    }


def _request(setup: RestoreSetup, scratch: Path, *, dry_run: bool) -> RestoreRequest:
    plan, manifest = setup.plan, setup.manifest
    fields = plan.request_fields(RestoreRequest)
    fields["exclude_kinds"] = tuple(dict.fromkeys([*plan.exclude_kinds, *manifest.selection.get("exclude_kinds", ())]))
    return RestoreRequest(
        url=plan.target,
        scratch=scratch,
        streams=tuple(Stream(name=record.name, suffix=record.suffix, size=record.size) for record in manifest.streams),
        facts=manifest.hints,
        options=setup.options,
        jobs=setup.jobs,
        partial=any(manifest.selection.get(key) for key in ("select", "exclude")),
        drill=setup.drill,
        dry_run=dry_run,
        **fields,
    )


@contextmanager
def _releasing(session_context: ExitStack) -> Iterator[None]:
    """Leave the session after a failure, which stays the error to report, with what the session left behind."""
    try:
        yield
    except BaseException as error:
        release_after_failure(error, session_context.close)
        raise


def _needed(setup: RestoreSetup, steps: Sequence[Step], blobs: Mapping[str, StoredBlob]) -> list[StoredBlob]:
    """The blobs that the steps load, each once."""
    names = dict.fromkeys(step.stream for step in steps)
    unknown = [name for name in names if name not in blobs]
    if unknown:
        raise PluginError(f"{provider(setup.engine)} wants to load {quote_name(unknown[0])}, which the backup has not")
    return [blobs[name] for name in names]


def _missing(needed: Sequence[StoredBlob]) -> list[Failure]:
    """What could not be read of damaged streams; `IntegrityError` if that is all of what there is to restore."""
    damaged = [blob for blob in needed if blob.missing]
    if damaged and not any(blob.read for blob in needed):
        raise IntegrityError(f"nothing can be restored: {damaged[0].missing}")
    return [Failure(kind="stream", name=blob.record.name, message=blob.missing) for blob in damaged]


def _groups(steps: Sequence[Step], blobs: Mapping[str, StoredBlob]) -> Iterator[list[Step]]:
    """The steps in the order in which they run: of each phase those that may run at the same time as a group.

    The largest of a group goes first, so that none is left at the end that only a single worker loads.
    """
    ordered = sorted(steps, key=lambda step: step.phase)  # stable: within a phase, the engine's own order
    for (_, parallel), members in itertools.groupby(ordered, key=lambda step: (step.phase, step.parallel)):
        if parallel:
            yield sorted(members, key=lambda step: -blobs[step.stream].record.size)
        else:
            yield list(members)


class _Loading:
    """The steps of an open session; `session_context` is closed to free what a step waits for after a failure."""

    def __init__(
        self,
        setup: RestoreSetup,
        session: RestoreSession,
        session_context: ExitStack,
        blobs: Mapping[str, StoredBlob],
    ) -> None:
        self._setup = setup
        self._session = session
        self._context = session_context
        self._blobs = blobs
        self._atomic = Capability.ATOMIC_RESTORE in setup.engine.capabilities
        self._parallel = setup.jobs if Capability.PARALLEL_RESTORE in setup.engine.capabilities else 1

    def run(self, steps: Sequence[Step], needed: Sequence[StoredBlob]) -> Sequence[Failure]:
        """Run the steps phase by phase; commit once every needed blob has been read whole and agreed.

        Returns what the session could not restore, if it goes on after errors.
        """
        run = self._setup.run
        run.total = self._size(steps) + (0 if self._atomic else sum(blob.record.blob.size for blob in needed))
        run.emit(EventType.STARTED, target=redact(self._setup.plan.target), engine=self._setup.engine.name)
        if not self._atomic:
            self._check_stored(needed)
        self._load(steps)
        skipped = set(self._session.skipped_streams) if isinstance(self._session, SupportsSelection) else set()
        run.total -= self._size([step for step in steps if step.stream in skipped])
        needed = [blob for blob in needed if blob.record.name not in skipped]
        self._check_loaded(needed, skipped)
        self._drain(needed)
        missing = _missing(needed)
        run.emit(EventType.PROGRESS)
        self._session.commit()
        if not self._setup.drill:
            run.settled = f"{redact(self._setup.plan.target)} is restored all the same"
        for warning in self._session.warnings if isinstance(self._session, SupportsWarnings) else ():
            run.warn(warning)
        return [*missing, *(self._session.failures if isinstance(self._session, SupportsFailures) else ())]

    def _size(self, steps: Sequence[Step]) -> int:
        return sum(self._blobs[step.stream].record.size for step in steps)

    def _check_stored(self, needed: Sequence[StoredBlob]) -> None:
        """What cannot be undone by the engine must not begin with data that is known to be wrong."""
        checks = [lambda blob=blob: blob.check_stored(self._setup.hashers) for blob in needed]
        self._run_tasks(checks, release=lambda: None)

    def _load(self, steps: Sequence[Step]) -> None:
        for group in _groups(steps, self._blobs):
            tasks = [lambda step=step: self._load_step(step) for step in group]
            self._run_tasks(tasks, jobs=self._parallel if group[0].parallel else 1)

    def _load_step(self, step: Step) -> None:
        blob = self._blobs[step.stream]
        try:
            self._session.load(step, blob)
        except HoldfastError as error:
            if blob.missing:
                add_cleanup_failure(error, IntegrityError(blob.missing))
            elif error.unforeseen and blob.begun and not blob.whole:
                self._check_damage(blob, error)
            raise

    def _check_damage(self, blob: StoredBlob, error: HoldfastError) -> None:
        """Say that bytes are damaged whose digest was not known yet, where an engine has stumbled over them."""
        try:
            blob.check_stored(self._setup.hashers)
        except IntegrityError as damage:
            raise damage from error

    def _check_loaded(self, needed: Sequence[StoredBlob], skipped: Collection[str]) -> None:
        """A stream that the engine forgets, or has a step for that does not read it, is not in the target.

        A session that goes on after errors tells of what it has not loaded by its failures.
        """
        if isinstance(self._session, SupportsFailures):
            return
        plan, selection = self._setup.plan, self._setup.manifest.selection
        names = {blob.record.name for blob in needed}
        whole = not (plan.select or plan.exclude or plan.exclude_kinds or any(selection.values()))
        for name, blob in self._blobs.items():
            forgotten = whole and name not in names and name not in skipped
            unread = name in names and not blob.begun
            cut = whole and name in names and not blob.whole and blob.taken < blob.record.size
            if blob.record.size and (forgotten or unread or cut):
                why = "it has no step for it"
                if unread or cut:
                    why = f"it returned from its step without reading it{'' if unread else ' to its end'}"
                raise PluginError(
                    f"{provider(self._setup.engine)} has not loaded stream {quote_name(name)}: {why}",
                    hint="a restore session names what it leaves out in `skipped_streams`",
                )

    def _drain(self, needed: Sequence[StoredBlob]) -> None:
        """Read and compare what no step has read to its end."""
        self._run_tasks([blob.drain for blob in needed])
        for blob in needed:
            if not blob.whole and not self._setup.plan.allow_damaged:
                raise HoldfastError(f"stream {quote_name(blob.record.name)} was not read to its end")

    def _run_tasks(
        self,
        tasks: Sequence[Callable[[], None]],
        *,
        jobs: int | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        run = self._setup.run
        release = self._context.close if release is None else release
        run_tasks(tasks, jobs=jobs or self._setup.jobs, stop=run.stop, tick=run.tick, release=release)
