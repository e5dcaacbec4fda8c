"""What travels to another host and back: one database of a job, as bytes without secrets, and what became of it."""

from typing import Any, Literal

import msgspec

from holdfast.decodable import decodable
from holdfast.errors import PluginError, UsageError, lower_first
from holdfast.host import this_host
from holdfast.jobs.model import Drill, Job, Keep, Verify
from holdfast.jobs.reading import ConfigFile
from holdfast.jobs.settings import JobSettings
from holdfast.jobs.steps import Database, DatabaseResult, StepResult
from holdfast.setup import StoreAddress
from holdfast.url import DatabaseURL, redact, secrets_of

FORMAT = 1  #: of plans; a worker refuses those of another
_WAIT = 30.0  # seconds for what a worker that has been lost was at, and is ending

PasswordFrom = Literal["nowhere", "command", "file", "environment"]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a plan that every version can read."""

    format: int
    version: str


class StorePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A store, and claims of names in it by which a worker knows that it sees the same one."""

    url: str
    options: dict[str, Any] = {}
    claims: tuple[str, ...] = ()


class DatabasePlan(Head, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be done for one database.

    `config` is the file of the job and `folder` its folder, where the run was begun. `origin` says how the job finds
    its password; a file and a variable are named, a program is not: workers run those of their own files alone.
    """

    job: str
    config: str
    folder: str
    job_source: str
    url: str
    run: str
    due: tuple[str, ...]
    newest: tuple[str, str] | None = None
    store: StorePlan
    copies: tuple[StorePlan, ...] = ()
    backup: dict[str, Any] = {}
    verify: Verify | None = None
    drill: Drill | None = None
    keep: Keep | None = None
    timeout: float
    origin: PasswordFrom = "nowhere"
    password_file: str | None = None
    password_env: str | None = None

    def to_bytes(self) -> bytes:
        """Write it; a secret in one of its URLs is a `UsageError`."""
        stores = (self.store, *self.copies)
        others = (self.job_source, (self.drill and self.drill.into) or "", *(store.url for store in stores))
        for url in (self.url, *others):
            if DatabaseURL.parse(url).secrets if url is self.url else secrets_of(url):
                raise UsageError(
                    f"{redact(url)} holds a secret, which goes to no other host",
                    hint="leave it out of the URL, and give it where the workers are: docs/executors.md says how",
                )
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes, *, version: str) -> "DatabasePlan":
        """Read it; that of another format is a `PluginError` which names the version that wrote it, and ours."""
        try:
            head = msgspec.json.decode(data, type=decodable(Head))
            if head.format != FORMAT:
                raise PluginError(
                    f"the plan is of Holdfast {head.version}, and this worker has {version}, which cannot read it",
                    hint="install the same version where the run is begun and on all workers",
                )
            return msgspec.json.decode(data, type=decodable(cls))
        except msgspec.MsgspecError as error:
            raise UsageError(f"not a plan of a database: {lower_first(str(error))}") from error

    def database(self, url: str) -> Database:
        """The database with its URL in full, for `carry_out`; its steps are tried once."""
        settings = JobSettings(
            name=self.job,
            job=Job(source=self.job_source, backup=self.backup, verify=self.verify, drill=self.drill, keep=self.keep),
            store=StoreAddress(self.store.url, self.store.options),
            copies=tuple(StoreAddress(store.url, store.options) for store in self.copies),
            every=None,
            spread=0.0,
            timeout=self.timeout,
            verify_every=None,
            drill_every=None,
            retries=0,
            retry_wait=0.0,
            hook_timeout=0.0,
        )
        return Database(
            settings=settings,
            url=url,
            recorded_url=redact(self.url),
            run=self.run,
            newest=self.newest,
            due=self.due,
            wait=_WAIT,
        )


def plan_of(database: Database, file: ConfigFile, *, version: str, claims: tuple[str, ...]) -> DatabasePlan:
    """The plan of a database, which says on which host it lies: on whichever it is made, it is the same source."""
    settings, job = database.settings, database.settings.job
    backup = dict(job.backup or {})
    return DatabasePlan(
        format=FORMAT,
        version=version,
        job=settings.name,
        config=file.path,
        folder=file.folder,
        job_source=job.source,
        url=database.url,
        run=database.run,
        due=database.due,
        newest=database.newest,
        store=_store(settings.store, claims),
        copies=tuple(map(_store, settings.copies)),
        backup={**backup, "host": backup.get("host") or this_host().name},
        verify=job.verify,
        drill=job.drill,
        keep=job.keep,
        timeout=settings.timeout,
        origin=_password_from(job),
        password_file=job.password_file,
        password_env=job.password_env,
    )


def _password_from(job: Job) -> PasswordFrom:
    if job.password_command:
        return "command"
    return "file" if job.password_file else "environment" if job.password_env else "nowhere"


def _store(address: StoreAddress, claims: tuple[str, ...] = ()) -> StorePlan:
    return StorePlan(url=str(address.store), options=dict(address.options or {}), claims=claims)


class _Step(msgspec.Struct, kw_only=True):
    step: str
    exit_code: int
    attempts: int
    seconds: float
    reused: bool = False
    message: str = ""
    hint: str | None = None


class _Answer(msgspec.Struct, kw_only=True):
    steps: tuple[_Step, ...]
    id: str
    name: str
    warnings: tuple[str, ...]
    worker: str


def read_answer(answer: object, database: Database, title: str) -> DatabaseResult:
    """What a worker has returned: plain data of `DatabaseResult`; anything else is a `PluginError`."""
    try:
        read = msgspec.convert(answer, decodable(_Answer))
    except msgspec.ValidationError as error:
        raise PluginError(
            f"{title} returned {type(answer).__name__}, which is no result of a database: {lower_first(str(error))}"
        ) from error
    steps = [
        StepResult(
            step.step, step.exit_code, step.attempts, step.seconds, step.message, step.hint, {"reused": step.reused}
        )
        for step in read.steps
    ]
    return DatabaseResult(database, steps, read.id, read.name, list(read.warnings), read.worker)
