"""All that the package offers, used as it is meant to be. Never run: a type checker has nothing to say against it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import holdfast
from holdfast import (
    Backup,
    BackupFormat,
    BackupManager,
    BackupMetadata,
    BackupPlan,
    BackupResult,
    BackupSet,
    ConfigCheck,
    ConfigProblem,
    CopyResult,
    CopySet,
    DatabaseBackup,
    DatabaseRun,
    DeletedBackup,
    DrillResult,
    Event,
    FailedBackup,
    FailedCopy,
    FailedJob,
    JobSetting,
    JobsResult,
    Pipeline,
    PlannedRun,
    Policy,
    PruneResult,
    Registry,
    RenameResult,
    RestorePlan,
    RestoreResult,
    SkippedJob,
    SourceCheck,
    StepRun,
    StoreCheck,
    UndeleteResult,
    VerifyResult,
)
from holdfast.api import (
    Capability,
    Chunk,
    Decoder,
    DumpRequest,
    DumpSession,
    Engine,
    FailedTry,
    LeaseKeeper,
    RestoreRequest,
    RestoreSession,
    Retries,
    Staging,
    add_cleanup_failure,
    choose_names,
    file_kind,
    file_path,
    file_url,
)
from holdfast.tasks import (
    backup_all_task,
    backup_task,
    copy_task,
    drill_task,
    plan_restore_task,
    prune_task,
    restore_task,
    verify_task,
)

URL = "sqlite:///app.db"
STORE = Path("backups")


class Plain:
    suffix = ".plain"

    def encode(self, block: Chunk, /) -> Chunk:
        return block

    def decoder(self) -> Decoder:
        try:
            raise NotImplementedError
        except NotImplementedError as error:
            add_cleanup_failure(error, holdfast.HoldfastError("cannot remove x", hint="remove it"))
            raise


def watch(event: Event) -> None:
    print(event.type, event.done, event.total)


version: str = holdfast.__version__
registry = Registry(discover=False)

# backups
record: Backup = holdfast.backup(URL)
record = holdfast.backup(
    URL,
    store=STORE,
    name="app",
    codec=Plain(),
    checksums=[hashlib.blake2b, "sha256"],
    jobs=2,
    select=["a"],
    exclude=("b",),
    options={"method": "raw"},
    proof=True,
    check=None,
    allow_damaged=True,
    adopt=False,
    foreign_store=True,
    tags=["nightly"],
    run="nightly-2026-11-29",
    retain="30d",
    retain_mode="compliance",
    registry=registry,
    on_event=watch,
)
plan = BackupPlan(source=URL, store="backups", codec="zstd:3", checksums=["sha256"], tags=["nightly"])
plan = BackupPlan.from_json(plan.replace(source=URL, jobs=3, tags=("a", "b")).to_json())
plan = BackupPlan.from_data(plan.as_data())
record = holdfast.backup(plan, store=None, on_event=print)
reused: bool = record.reused and record.run == plan.run
pipeline = Pipeline(source=URL, store=STORE, codec="zstd", checksums=[hashlib.blake2b], options=plan.options)
pipeline = Pipeline.of(pipeline.replace(codec=Plain(), jobs=None, tags=plan.tags).plan)
names: list[str] = [stream.name for stream in pipeline.preview().streams]
record = pipeline.run(on_event=watch)
texts: list[str] = [record.id, record.name, record.engine, record.state, record.checksum, record.codec, record.problem]
numbers: list[float] = [record.size_bytes, record.stored_bytes, record.duration_seconds]
proven: datetime | None = record.proven_at
held: datetime | None = record.held_until

# restores
restored: RestoreResult = holdfast.restore("latest", "sqlite:///copy.db", store=STORE, replace=True)
restored = holdfast.restore(
    record, target="sqlite:///copy.db", codec=Plain(), registry=registry, on_event=watch, jobs=2
)
restore_plan = RestorePlan(backup="latest", target=URL, select=["a"], options={"a": 1})
restore_plan = RestorePlan.from_json(restore_plan.evolve(replace=True, live=False, target=URL).to_json())
restored = holdfast.restore(RestorePlan.from_data(restore_plan.as_data()))
restored = holdfast.restore(restore_plan, "sqlite:///other.db", replace=False, check=False)

# keeping them
checks: list[VerifyResult] = holdfast.verify(record, "latest", store=STORE, read_data=True, jobs=2, on_event=watch)
drilled: DrillResult = holdfast.drill(record, store=STORE, into=None, options={"a": "b"}, jobs=1, registry=registry)
planned: RestoreResult = holdfast.restore("latest", "sqlite:///copy.db", store=STORE, dry_run=True)
pruned: PruneResult = holdfast.prune(STORE, keep_daily=7, keep_tags=["gold"], names=["app"], dry_run=True)
pruned = holdfast.prune(max_age="30d", max_backups=10, allow_last=False)
pruned = holdfast.prune(store=STORE, max_age=timedelta(days=30))
policy = Policy(max_age="36h", keep_last=3, keep_hourly=1, keep_weekly=5, keep_monthly=12, keep_yearly=None)
holdfast.pin(record, store=STORE)
holdfast.pin("latest", pinned=False)
tags: tuple[str, ...] = holdfast.tag(record, "a", "b", store=STORE, remove=True)
copied: CopySet = holdfast.copy(
    record, "app", store=STORE, to=STORE, since="2d", jobs=2, registry=registry, on_event=watch
)
uncopied: tuple[FailedCopy, ...] = copied.failed
results: tuple[CopyResult, ...] = copied.copies
renamed: RenameResult = holdfast.rename("app", "shop", store=STORE, registry=registry, on_event=watch)
needed: SourceCheck = holdfast.check_source("sqlite:///app.db", registry=registry, timeout=1.0)
checked: StoreCheck = holdfast.check_store(STORE, registry=registry)
asked: dict[str, bool | None] = {each.name: each.holds for each in checked.guarantees}
records: list[Backup] = holdfast.list_backups(STORE, name="app", registry=registry)
told: str = holdfast.metrics(STORE, "s3://bucket", older_than="26h", unproven_for=timedelta(days=8), registry=registry)
told = holdfast.report(STORE, older_than="26h", policy=Policy(keep_daily=7), registry=registry)
urls: list[str] = holdfast.list_databases("memory://host", select=["a*"], exclude=("b",), registry=registry)
holdfast.delete(record, store=STORE, allow_last=True)
deleted: list[DeletedBackup] = holdfast.list_deleted(STORE, registry=registry)
undeleted: UndeleteResult = holdfast.undelete(deleted[0].id, store=STORE, on_event=watch)

# several databases
done: BackupSet = holdfast.backup_all(
    URL, store=STORE, select=["a*"], tags=["nightly"], options={"a": 1}, on_event=watch
)
done = holdfast.backup_all([URL], codec=Plain(), registry=registry)
done = Pipeline(source=URL).run_all(watch, sources=[URL])
failures: list[FailedBackup] = [*done.failed]

# tasks
task = backup_task(URL, store=STORE, codec="zstd:3", tags=["nightly"])
task = backup_task(plan.as_data(), proof=False)
task = verify_task(task, read_data=True)
task = copy_task(task, to=STORE, jobs=2)
task = drill_task("app/latest", store="backups", into=None)
task = backup_all_task([URL], store=STORE, codec="zstd:3", tags=["nightly"])
task = prune_task(STORE, names=["app"], keep_daily=7, max_age="400d")
task = plan_restore_task(task, URL, replace=True, select=["a*"])
task = restore_task("app/latest", URL, store=STORE, digest=str(task["digest"]), replace=True)

# jobs
looked_at: ConfigCheck = holdfast.check_config(STORE / "holdfast.toml")
looked_at.raise_for_problems()
problems: list[ConfigProblem] = [*looked_at.problems] if not looked_at.passed else []
settings: dict[str, tuple[JobSetting, ...]] = holdfast.show_config("app", config="holdfast.toml")


def tell(database: DatabaseRun) -> None:
    ran: tuple[StepRun, ...] = database.steps
    print(database.id, [step.exit_code for step in ran])


jobs: JobsResult = holdfast.run_jobs("app", due=True, dry_run=False, config=None, on_result=tell)
others: list[FailedJob | SkippedJob | PlannedRun] = [*jobs.failed_jobs, *jobs.skipped, *jobs.planned]
jobs.raise_for_failures()

# the contract of the earlier BackupManager
manager = BackupManager(STORE)
result: BackupResult = manager.backup(URL, name="app", codec="gzip", tags=["a"], on_event=watch).raise_for_error()
result = manager.create_backup(url=URL, jobs=2)
result = manager.restore(record.id, target_url=URL, replace=True)
count: int = manager.prune(30, 10, keep_daily=7) + manager.prune(max_age="30d")
listed: list[Backup] = [manager.get_backup(record.id), *manager.list_backups("app")]
gone: bool = manager.delete_backup(record, allow_last=True)
result = holdfast.backup_database(URL, STORE, options={"method": "raw"})
backups = DatabaseBackup(STORE)
record = backups.backup_sqlite("app.db", "app", tags=("a",))
record = backups.backup_sqlite(path=STORE / "app.db", name="app")
record = backups.backup_postgres("postgresql://h/app", "app", BackupFormat.CUSTOM, jobs=2)
gone = backups.restore_sqlite("app", "copy.db", replace=True)
metadata = BackupMetadata.of(record)


class Notes(Engine):
    name = "notes"
    capabilities = frozenset({Capability.SELECT})

    @contextmanager
    def dump(self, request: DumpRequest, /) -> Iterator[DumpSession]:
        raise NotImplementedError

    @contextmanager
    def restore(self, request: RestoreRequest, /) -> Iterator[RestoreSession]:
        raise NotImplementedError


# what engines of files are made of
staging = Staging(file_path(file_url("notes", "a/b"), title="notes"), folder=True, replace=True, side_files=("-log",))
staging.check()
staging.claim()
paths: list[str] = [staging.target, staging.path, *choose_names(["a"], ("a*",), (), what="note")]
staging.publish()
staging.abandon()

# and storages
retries = Retries(lambda error: FailedTry(passes=isinstance(error, ConnectionError), answered=False), patience=60.0)
answer: int = retries.call(lambda: 1, fail=lambda error: OSError(str(error)), again=lambda: None)
with LeaseKeeper("name", lambda: True, 60.0) as keeper:
    keeper.check()
    gone = keeper.lost.is_set()

try:
    holdfast.backup("notes:///app", engine=Notes())
except (
    holdfast.CredentialsError,
    holdfast.IntegrityError,
    holdfast.LockedError,
    holdfast.NotFoundError,
    holdfast.OverdueError,
    holdfast.PartialError,
    holdfast.PluginError,
    holdfast.UnreachableError,
    holdfast.UnsafeError,
    holdfast.UsageError,
) as error:
    print(error.message, error.hint, error.exit_code)
except holdfast.HoldfastError as error:
    raise SystemExit(error.exit_code) from error
kind_of_file: str = file_kind(0o100644)
