"""The steps of one database: backup, verify, drill, copy, prune, each in a process of its own."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import msgspec

from holdfast.error_boundary import scrub
from holdfast.jobs.children import Children, Ended
from holdfast.jobs.settings import JobSettings
from holdfast.setup import StoreAddress

AGAIN = frozenset({11, 15})  #: exit codes of what may be otherwise soon: a lock, no answer
_TIMED_OUT = 1
_WARNING = ("warning: ", "ERROR holdfast")  # of what did not make it fail, as an observer does not
_WARNINGS = 20  # of each step that are handed on
_PROGRAM = (sys.executable, "-P", "-m", "holdfast")  # -P: no module comes from the folder that it works in


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A database of a job: its URL, in full, its newest backup in the store, and which steps are due.

    `wait` is how long its backup waits for a lock: where tasks are repeated, that of the one before may be at its end.
    """

    settings: JobSettings
    url: str
    recorded_url: str
    run: str
    newest: tuple[str, str] | None = None  #: its name and id
    due: tuple[str, ...]
    wait: float = 0.0

    def __repr__(self) -> str:
        """Show it without secrets."""
        return f"Database({self.recorded_url!r})"


@dataclass
class StepResult:
    """What became of a step, after so many attempts."""

    step: str
    exit_code: int = 0
    attempts: int = 0
    seconds: float = 0.0
    message: str = ""
    hint: str | None = None
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    warned: list[str] = field(default_factory=list, repr=False)  #: warnings that its command wrote for people

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"step": self.step, "exit_code": self.exit_code, "attempts": self.attempts}
        data["seconds"] = round(self.seconds, 3)
        if self.step == "backup" and not self.exit_code:
            data["reused"] = bool(self.data.get("reused"))
        return {**data, **({"message": self.message, "hint": self.hint} if self.message else {})}


@dataclass
class DatabaseResult:
    """What became of a database: its steps up to the first that failed."""

    database: Database
    steps: list[StepResult] = field(default_factory=list)
    backup_id: str = ""
    name: str = ""
    warnings: list[str] = field(default_factory=list)
    worker: str = ""  #: the host that has carried it out for an executor

    @property
    def exit_code(self) -> int:
        """That of the step that failed, else 0."""
        return next((step.exit_code for step in self.steps if step.exit_code), 0)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {
            "type": "database",
            "job": self.database.settings.name,
            "source": self.database.recorded_url,
            "run": self.database.run,
            "name": self.name,
            "id": self.backup_id,
            "exit_code": self.exit_code,
            "steps": [step.as_data() for step in self.steps],
            "warnings": self.warnings,
        }
        return {**data, "worker": self.worker} if self.worker else data


Place = Callable[[Database], ExitStack]
"""Waits for a place among so many databases at once, which is given back when it is closed."""


def carry_out(database: Database, children: Children, place: Place) -> DatabaseResult:
    """Do what is due in a place; a step that fails ends it.

    So nothing is pruned for a backup that is not as it should be.
    """
    with ExitStack() as held:
        held.push(place(database))
        return _carry_out(database, children, place, held)


def _carry_out(database: Database, children: Children, place: Place, held: ExitStack) -> DatabaseResult:
    result = DatabaseResult(database)
    if database.newest is not None:
        result.name, result.backup_id = database.newest
    for step in database.due:
        for words, given in _calls(step, database, result):
            done = StepResult(step)
            while _attempt(done, words, given, database, children):
                held.close()  # others need not wait for a server that does not answer
                if children.stopped.wait(database.settings.retry_wait):
                    break
                held.push(place(database))
            result.steps.append(done)
            if step == "backup" and not done.exit_code:
                result.backup_id, result.name = str(done.data.get("id", "")), str(done.data.get("name", ""))
                result.warnings += [str(text) for text in done.data.get("warnings") or ()]
            result.warnings += [text for text in done.warned if text not in result.warnings][:_WARNINGS]
            if done.exit_code:
                return result
    return result


def _calls(step: str, database: Database, result: DatabaseResult) -> Iterator[tuple[list[str], bytes]]:
    """The commands of a step, each with its standard input."""
    settings, job = database.settings, database.settings.job
    which = f"{result.name}/{result.backup_id}"
    if step == "backup":
        wait = [f"--wait={database.wait:g}s"] if database.wait else []
        yield ["backup", "--plan", "-", *wait, "--json"], _plan(database)
    elif step == "verify":
        deep = ["--read-data"] if job.verify and job.verify.read_data else []
        yield ["verify", which, *_store(settings.store), *deep, "--json"], b""
    elif step == "drill":
        words = [] if job.drill is None or job.drill.into is None else ["--into", job.drill.into]
        words += [f"--option={key}={_text(value)}" for key, value in ((job.drill and job.drill.options) or {}).items()]
        yield ["drill", which, *_store(settings.store), *words, "--json"], b""
    elif step == "copy":
        for other in settings.copies:
            words = [*_options("--store-option", settings.store), *_options("--other-store-option", other)]
            yield ["copy", str(settings.store.store), str(other.store), which, *words, "--json"], b""
    elif step == "prune":
        yield ["prune", result.name, *_store(settings.store), *_keep(settings), "--json"], b""


def _plan(database: Database) -> bytes:
    """The plan of a backup, with all of its URL: it goes by a pipe and nowhere else."""
    store = database.settings.store
    fields = {**(database.settings.job.backup or {}), "source": database.url, "run": database.run}
    return msgspec.json.encode({**fields, "store": store.store, "store_options": dict(store.options or {})})


def _store(address: StoreAddress) -> list[str]:
    return ["--store", str(address.store), *_options("--store-option", address)]


def _options(flag: str, address: StoreAddress) -> list[str]:
    return [f"{flag}={key}={_text(value)}" for key, value in (address.options or {}).items()]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _keep(settings: JobSettings) -> list[str]:
    keep: Mapping[str, Any] = msgspec.to_builtins(settings.job.keep)
    tags = [f"--keep-tag={tag}" for tag in keep.get("tags") or ()]
    rules = {key: value for key, value in keep.items() if key != "tags"}
    names = {key: key if key.startswith("max_") else f"keep_{key}" for key in rules}
    return [*tags, *(f"--{names[key].replace('_', '-')}={value}" for key, value in rules.items())]


def _attempt(result: StepResult, words: list[str], given: bytes, database: Database, children: Children) -> bool:
    """Try a step; whether to try it again, as often as the job says where that may help, and never otherwise."""
    settings = database.settings
    ended = children.run([*_PROGRAM, *words], timeout=settings.timeout, given=given, tied=True)
    result.attempts += 1
    result.seconds += ended.seconds
    _read(result, ended, database)
    return ended.code in AGAIN and result.attempts <= settings.retries and not ended.timed_out


def _read(result: StepResult, ended: Ended, database: Database) -> None:
    """What a command said of itself, as far as it has come to that."""
    last: dict[str, Any] = {}
    for line in ended.output.splitlines():
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        last = value if isinstance(value, dict) else last
    result.exit_code = ended.code
    result.data, result.message, result.hint = last, "", None
    told = scrub(ended.errors.decode(errors="replace"), database.url).splitlines()
    result.warned = [line.partition(": ")[2] for line in told if line.startswith(_WARNING)]
    if ended.timed_out:
        result.exit_code = _TIMED_OUT
        result.message = f"it did not end within {database.settings.timeout:g} s, and was killed"
    elif ended.code and last.get("type") == "error":
        result.message, result.hint = str(last.get("message", "")), last.get("hint")
    elif ended.code:
        text = ended.errors[-2000:].decode(errors="replace").strip()
        result.message = text or f"it ended with exit code {ended.code} and said nothing"
    result.message = scrub(result.message, database.url)
