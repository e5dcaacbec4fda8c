"""Databases that an executor carries out elsewhere: what it cannot do, and when one is tried again."""

import time
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from typing import Any, Self

from msgspec import structs

from holdfast.error_boundary import translate_errors, translated
from holdfast.errors import HoldfastError, NotFoundError, PluginError, quote_name
from holdfast.jobs.due import StoreRecords
from holdfast.jobs.selecting import Selector
from holdfast.jobs.steps import AGAIN, Database, DatabaseResult, Place
from holdfast.jobs.wire import plan_of, read_answer
from holdfast.jobs.working import failed, run_plan
from holdfast.plugins.guard import provider
from holdfast.url import redact

LOCAL = "threads"  #: the executor that is this process
_LOOK = 1.0  # seconds after which it is asked again whether the run is over
_CLAIMS = 3  # of a store by which workers know it; one may be renamed meanwhile
_VISIBLE = 60.0  # seconds after which a host sees what another has written, where it remembers what was missing (NFS)


class Elsewhere:
    """Hands each database to an executor, and does what the job says of retries here, where none of it is lost.

    One that a program has given is the program's to shut down.
    """

    def __init__(self, executor: Executor, selector: Selector, *, is_ours: bool = False) -> None:
        self._executor = executor
        self._is_ours = is_ours
        self._title = provider(executor)
        self._file = selector.file
        self._records = selector.records
        self._stopped = selector.children.stopped

    @classmethod
    def open(cls, url: str, selector: Selector) -> Self:
        """Open the executor of a URL; one that does not answer is an `UnreachableError`."""
        with translate_errors(f"cannot reach the executor {redact(url)}", url):
            return cls(selector.registry.executor(url), selector, is_ours=True)

    def carry_out(self, database: Database, place: Place) -> DatabaseResult:
        """Have a database carried out, again where that may help, and return what became of all of it."""
        result = DatabaseResult(database)
        while True:
            with place(database):
                latest = self._carry_out_once(structs.replace(database, due=_still_due(database, result)), result)
            result = _joined(result, latest)
            step = result.steps[-1]
            if result.exit_code not in AGAIN or step.attempts > database.settings.retries:
                return result
            if self._stopped.wait(database.settings.retry_wait):
                return result

    def stop(self) -> None:
        """Give up what has not ended."""
        if self._is_ours:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Let go of the executor once all is done."""
        if self._is_ours:
            self._executor.shutdown(wait=True)

    def _carry_out_once(self, database: Database, before: DatabaseResult) -> DatabaseResult:
        from holdfast import __version__

        if before.backup_id:
            database = structs.replace(database, newest=(before.name, before.backup_id))
        try:
            with translate_errors(f"cannot have {database.recorded_url} backed up by {self._title}", database.url):
                records = self._records(database.settings.store)
                claims = records.claims(_CLAIMS)
                plan = plan_of(database, self._file, version=__version__, claims=claims).to_bytes()
                result = read_answer(self._answer(plan), database, self._title)
                if "backup" in database.due and result.backup_id and not result.steps[0].exit_code:
                    self._check_visible(records, result)
        except HoldfastError as error:
            return failed(database, error)
        return result

    def _answer(self, plan: bytes) -> Any:
        """What the function of the workers returns; what keeps it from being run is an error."""
        if self._stopped.is_set():
            raise HoldfastError("the run was ended before it")
        try:
            future = self._executor.submit(run_plan, plan)
            if not isinstance(future, Future):
                raise PluginError(f"{self._title} breaks its contract: submit() returned {type(future).__name__}")
            return self._result(future)
        except CancelledError as error:
            why = "the run was ended" if self._stopped.is_set() else f"{self._title} has cancelled it"
            raise HoldfastError(why) from error
        except Exception as error:
            failure = translated(error, f"{self._title} failed")
            raise failure from error

    def _result(self, future: "Future[Any]") -> Any:
        while True:
            with suppress(TimeoutError):
                return future.result(_LOOK)
            if future.done():
                return future.result()
            if self._stopped.is_set():
                future.cancel()
                raise CancelledError

    def _check_visible(self, records: StoreRecords, result: DatabaseResult) -> None:
        """Tell if a backup that a worker has made is not in the store that this host sees."""
        deadline = time.monotonic() + _VISIBLE
        while not records.shows(result.name, result.backup_id):
            if time.monotonic() > deadline or self._stopped.wait(1.0):
                raise NotFoundError(
                    f"worker {quote_name(result.worker)} has made {result.name}/{result.backup_id} in a store at "
                    f"{quote_name(records.location)} that is not the one here",
                    hint="every worker needs the store of the run; is it mounted there?",
                )


def _still_due(database: Database, result: DatabaseResult) -> tuple[str, ...]:
    """The steps from the one that failed on."""
    return database.due[database.due.index(result.steps[-1].step) :] if result.steps else database.due


def _joined(before: DatabaseResult, latest: DatabaseResult) -> DatabaseResult:
    """What became of a database in all, of which `latest` was the last attempt."""
    if not before.steps:
        return latest
    again = before.steps[-1]
    last = [step for step in latest.steps if step.step == again.step][-1]
    last.attempts += again.attempts
    last.seconds += again.seconds
    kept = [step for step in before.steps if step.step != again.step]
    return DatabaseResult(
        latest.database,
        [*kept, *latest.steps],
        latest.backup_id or before.backup_id,
        latest.name or before.name,
        [*before.warnings, *latest.warnings],
        latest.worker,
    )
