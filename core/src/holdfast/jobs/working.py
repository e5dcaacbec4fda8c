"""The side of a worker: it takes the plan of a database, finds the password, and does what is due."""

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from holdfast.command_text import command_text
from holdfast.defaults import installed
from holdfast.error_boundary import error_message, translate_errors
from holdfast.errors import CredentialsError, HoldfastError, NotFoundError, quote_name
from holdfast.jobs.children import Children
from holdfast.jobs.reading import NAME, SYSTEM, ConfigFile, decoded, doubt, read_config, user_config
from holdfast.jobs.references import read_secret, with_password
from holdfast.jobs.settings import settings_of
from holdfast.jobs.steps import Database, DatabaseResult, StepResult, carry_out
from holdfast.jobs.wire import DatabasePlan
from holdfast.setup import StoreAddress
from holdfast.store.catalog import unopened_catalog
from holdfast.url import DatabaseURL

_LOOK = 0.5  # seconds after which it is asked again whether the task is still wanted

IsOver = Callable[[], bool]


def run_plan(plan: bytes, is_over: IsOver | None = None) -> dict[str, Any]:
    """Do what a plan says, and return what became of it as plain data; errors of all kinds are in there.

    Executors call it anywhere, any number of times: what has been backed up for the same run is made no second time.
    `is_over` is asked now and then; once it is true, all that was started is ended.
    """
    from holdfast import __version__

    read = DatabasePlan.from_bytes(plan, version=__version__)
    where = f"worker {quote_name(worker_name())}"
    with _folder(read.folder) as folder:
        children = Children(folder)
        with _ending(children, is_over):
            try:
                with translate_errors(f"{where} cannot begin", read.url):
                    _check_store(read, where)
                    database = read.database(with_password(read.url, _password(read, children, where)))
            except HoldfastError as error:
                database = read.database(read.url)
                result = failed(database, error)
            else:
                result = carry_out(database, children, lambda _: ExitStack())
    result.worker = worker_name()
    return result.as_data()


def worker_name() -> str:
    """What the host of this worker is called in results and errors."""
    return socket.gethostname() or "localhost"


def failed(database: Database, error: HoldfastError) -> DatabaseResult:
    """The result of a database of which not even the first step was begun."""
    step = StepResult(database.due[0], error.exit_code, 1, message=error_message(error), hint=error.hint)
    result = DatabaseResult(database, [step])
    if database.newest is not None:
        result.name, result.backup_id = database.newest
    return result


@contextmanager
def _folder(wanted: str) -> Iterator[str]:
    """The folder that paths of the job are relative to; where this host has none of that name, an empty one."""
    if os.path.isdir(wanted):
        yield wanted
        return
    own = tempfile.mkdtemp(prefix="holdfast-")
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _ending(children: Children, is_over: IsOver | None) -> Iterator[None]:
    """End what was started once the task is wanted no more."""
    if is_over is None:
        yield
        return
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK):
            if is_over():
                children.stop()
                return

    thread = threading.Thread(target=look, name="is it over", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _check_store(plan: DatabasePlan, where: str) -> None:
    """Refuse to go on where the path of the store is that of another one, such as a folder that is not mounted."""
    if not plan.store.claims:
        return
    catalog = unopened_catalog(StoreAddress(plan.store.url, plan.store.options), installed())
    hint = "every worker needs the store of the run; is it mounted there?"
    if not catalog.usable():
        raise NotFoundError(f"{where} has no store at {quote_name(catalog.storage.location)}", hint=hint)
    for claim in plan.store.claims:
        try:
            catalog.storage.stat(claim)
        except FileNotFoundError:
            continue
        return
    raise NotFoundError(
        f"{where} has another store at {quote_name(catalog.storage.location)}: it has no {plan.store.claims[0]}",
        hint=hint,
    )


def _password(plan: DatabasePlan, children: Children, where: str) -> str | None:
    """The password, as this host's own file says for the job, else from the file or variable that the plan names."""
    what = f"the password of {plan.job} on {where}"
    own, doubts = _own_file(plan)
    if own is not None:
        config = decoded(own)
        job = None if config is None else settings_of(plan.job, config, own).job
        if job is None:
            hint = command_text("holdfast", "config", "validate", "--config", own.path)
            raise CredentialsError(f"{what}: {own.path} has errors", hint=hint)
        if not (job.password_command or job.password_file or job.password_env):
            return None
        _check_server(plan, job.source, f"{what}: {own.path}")
        return read_secret(what, children, command=job.password_command, file=job.password_file, env=job.password_env)
    if plan.origin == "command":
        raise CredentialsError(
            f"{what}: a program prints it, and this host has no {NAME} with the job, which would name that{doubts}",
            hint=f"put the job into {plan.config} there, or name the file by HOLDFAST_CONFIG (docs/executors.md)",
        )
    return read_secret(what, children, command=None, file=plan.password_file, env=plan.password_env)


def _own_file(plan: DatabasePlan) -> tuple[ConfigFile | None, str]:
    """The first file of this host that has the job, and what keeps another from being believed."""
    doubts = ""
    named = os.environ.get("HOLDFAST_CONFIG")
    for path in filter(None, (named, plan.config, user_config(), os.path.join(SYSTEM, NAME))):
        if path != named and not os.path.exists(path):
            continue
        if path != named and (why := doubt(path)):
            doubts = f" ({path}: {why})"
            continue
        file = read_config(path, trusted=True)
        if plan.job in file.document.get("job", {}):
            return file, ""
    return None, doubts


def _check_server(plan: DatabasePlan, source: str, what: str) -> None:
    """Send the password of a job to its own server and account alone, whatever a plan says."""
    own, asked = DatabaseURL.parse(source), DatabaseURL.parse(plan.url)
    if (own.scheme, own.user, own.hosts) != (asked.scheme, asked.user, asked.hosts):
        raise CredentialsError(
            f"{what} has the job for {own.redacted()}, and the plan is for {asked.redacted()}",
            hint="let the files of all hosts say the same",
        )
