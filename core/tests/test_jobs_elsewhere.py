"""Databases that an executor carries out: what travels and what does not, and whatever an executor may do to it."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast import __version__
from holdfast.api import Component, Kind, hookimpl
from holdfast.errors import HoldfastError, PluginError, UnreachableError, UsageError
from holdfast.jobs import elsewhere, working
from holdfast.jobs.checking import checked
from holdfast.jobs.due import StoreRecords
from holdfast.jobs.elsewhere import Elsewhere
from holdfast.jobs.reading import ConfigFile, read_config
from holdfast.jobs.settings import settings_of
from holdfast.jobs.steps import Database, DatabaseResult, StepResult
from holdfast.jobs.wire import plan_of
from holdfast.jobs.working import run_plan
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreAddress
from holdfast.testing import memory_registry

JOB = """
[defaults]
store = "{store}"
retry = {{times = 2, wait = "0.01s"}}
hooks.before = [["true", "hook-secret"]]
ping.file = "ping-secret"
[job.shop]
source = "postgresql://backup@db1/shop"
keep.last = 3
"""


class Pretending(Executor):
    """Answers what a test says, in the place of a worker."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers]
        self.plans: list[dict[str, Any]] = []
        self.ended = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        assert fn is run_plan
        (plan,) = args
        self.plans.append(json.loads(plan))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, RuntimeError):
            raise answer
        if answer is None:
            return None
        future: Future[Any] = Future()
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        elif answer == "cancelled":
            future.cancel()
        elif answer != "nothing":
            future.set_result(answer)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.ended = True


def answer(*steps: tuple[str, int], backup_id: str = "", **more: Any) -> dict[str, Any]:
    each = [{"step": step, "exit_code": code, "attempts": 1, "seconds": 1.0} for step, code in steps]
    return {"steps": each, "id": backup_id, "name": "shop", "warnings": [], "worker": "w", **more}


def config(folder: Path, more: str = "") -> ConfigFile:
    (folder / "holdfast.toml").write_text(JOB.format(store=folder / "backups") + more)
    (folder / "holdfast.toml").chmod(0o600)
    return read_config(str(folder / "holdfast.toml"), trusted=True)


def database(file: ConfigFile, *due: str, url: str = "postgresql://backup@db1/shop") -> Database:
    settings = settings_of("shop", checked(file), file)
    return Database(settings=settings, url=url, recorded_url=url, run="shop@1", due=due or ("backup", "verify"))


def selector(file: ConfigFile, registry: Registry | None = None) -> Any:
    used = registry or memory_registry()
    return SimpleNamespace(
        file=file,
        registry=used,
        children=SimpleNamespace(stopped=threading.Event()),
        records=lambda address: StoreRecords(address, used),
    )


def carry_out(executor: Executor, file: ConfigFile, *due: str) -> DatabaseResult:
    return Elsewhere(executor, selector(file)).carry_out(database(file, *due), lambda _: ExitStack())


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ("nothing that is known", 14, "no result of a database"),
        ({"steps": "many"}, 14, "no result of a database"),
        (None, 14, "submit() returned NoneType"),
        (RuntimeError("cannot schedule new futures"), 1, "cannot schedule new futures"),
        ("cancelled", 1, "has cancelled it"),
        (KeyError("x"), 1, "KeyError"),
        (PluginError("no engine for 'x'", hint="pip install x"), 14, "no engine for 'x'"),
    ],
)
def test_whatever_an_executor_does_is_a_failure_of_the_database(
    given: Any, code: int, message: str, tmp_path: Path
) -> None:
    result = carry_out(Pretending(given), config(tmp_path))
    (step,) = result.steps
    assert (step.step, step.exit_code, step.attempts, message in step.message) == ("backup", code, 1, True), step


def test_what_may_be_otherwise_soon_is_tried_again_from_the_step_that_failed(tmp_path: Path) -> None:
    busy = answer(("backup", 0), ("verify", 11), backup_id="")
    executor = Pretending(UnreachableError("gone"), busy, answer(("verify", 0), ("prune", 0)))
    result = carry_out(executor, config(tmp_path), "backup", "verify", "prune")
    assert [(step.step, step.exit_code, step.attempts) for step in result.steps] == [
        ("backup", 0, 2),
        ("verify", 0, 2),
        ("prune", 0, 1),
    ]
    assert [plan["due"] for plan in executor.plans] == [
        ["backup", "verify", "prune"], ["backup", "verify", "prune"], ["verify", "prune"],
    ]  # fmt: skip
    executor = Pretending(answer(("backup", 11)))
    (step,) = carry_out(executor, config(tmp_path)).steps
    assert (step.attempts, len(executor.plans)) == (3, 3), "as often as the job says"
    executor = Pretending(answer(("backup", 13)))
    assert carry_out(executor, config(tmp_path)).steps[0].attempts == 1


def test_what_travels_holds_no_secret_and_no_program(tmp_path: Path) -> None:
    file = config(tmp_path, 'password_command = ["pass", "command-secret"]\n')
    executor = Pretending(answer(("backup", 0)))
    carry_out(executor, file)
    (plan,) = executor.plans
    assert "-secret" not in json.dumps(plan)
    assert (plan["run"], plan["origin"], plan["keep"], plan["version"]) == (
        "shop@1",
        "command",
        {"last": 3},
        __version__,
    )
    assert plan["backup"]["host"], "on whichever host it is made, it is the same source"
    for url in ("postgresql://backup:hunter2@db1/shop", "postgresql://backup@db1/shop?sslpassword=hunter2"):
        secret = plan_of(database(file, url=url), file, version="1", claims=())
        with pytest.raises(UsageError) as caught:
            secret.to_bytes()
        assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that workers would give to engines."""
    urls: list[str] = []

    def pretend(database: Database, *_: Any) -> DatabaseResult:
        urls.append(database.url)
        return DatabaseResult(database, [StepResult("backup", attempts=1)])

    monkeypatch.setattr(working, "carry_out", pretend)
    monkeypatch.setenv("HOLDFAST_CONFIG", "")
    monkeypatch.setattr(working, "user_config", lambda: "/nowhere/holdfast.toml")
    return urls


def work(file: ConfigFile, **words: Any) -> dict[str, Any]:
    """What a worker returns of the first step of a database."""
    plan = plan_of(database(file, **words), file, version=__version__, claims=()).to_bytes()
    (step,) = run_plan(plan, lambda: False)["steps"]
    return dict(step)


def test_a_worker_finds_the_password_where_its_own_file_says(
    opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_text("from the program")
    monkeypatch.setenv("SHOP", "from the variable")
    program = f'password_command = ["cat", "{tmp_path / "secret"}"]\n'
    file = config(tmp_path / "here", program)
    assert work(file)["exit_code"] == 0
    own = tmp_path / "own.toml"
    own.write_text(JOB.format(store="/x") + 'password_env = "SHOP"\n')
    monkeypatch.setenv("HOLDFAST_CONFIG", str(own))
    assert work(file)["exit_code"] == 0
    assert opened == [f"postgresql://backup:from%20the%20{what}@db1/shop" for what in ("program", "variable")]
    for wrong in ("postgresql://backup@db2/shop", "postgresql://root@db1/shop"):
        step = work(file, url=wrong)
        assert (step["exit_code"], "the plan is for" in step["message"], "from the" in str(step)) == (12, True, False)
    monkeypatch.setenv("HOLDFAST_CONFIG", "")
    (tmp_path / "here" / "holdfast.toml").chmod(0o622)
    step = work(file)
    assert (step["exit_code"], "others may write it" in step["message"]) == (12, True)
    (tmp_path / "here" / "holdfast.toml").unlink()
    step = work(file)
    assert (step["exit_code"], "a program prints it, and this host has no holdfast.toml" in step["message"]) == (
        12,
        True,
    )
    assert len(opened) == 2


def test_a_file_or_variable_is_named_by_the_plan_where_a_worker_has_no_file(
    opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("s")
    for more in (f'password_file = "{tmp_path / "secret"}"\n', 'password_env = "SHOP"\n', ""):
        file = config(tmp_path, more)
        (tmp_path / "holdfast.toml").unlink()
        monkeypatch.setenv("SHOP", "s")
        assert work(file)["exit_code"] == 0
    assert opened == [*["postgresql://backup:s@db1/shop"] * 2, "postgresql://backup@db1/shop"]
    file = config(tmp_path, 'password_env = "NONE"\n')
    assert work(file)["exit_code"] == 12


def test_a_worker_that_sees_another_store_is_exit_10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, registry = config(tmp_path), memory_registry()
    store = tmp_path / "backups"
    (store / "shop").mkdir(parents=True)
    (store / "holdfast.json").write_text('{"format_version": 1}')
    plan = plan_of(database(file), file, version=__version__, claims=("shop/source.json",)).to_bytes()
    monkeypatch.setattr(working, "carry_out", lambda given, *_: DatabaseResult(given, [StepResult("backup")]))
    (step,) = run_plan(plan)["steps"]
    assert (step["exit_code"], "has another store at" in step["message"]) == (10, True)
    (store / "shop" / "source.json").write_text("{}")
    assert run_plan(plan)["exit_code"] == 0
    (store / "holdfast.json").unlink()
    (step,) = run_plan(plan)["steps"]
    assert (step["exit_code"], "has no store at" in step["message"]) == (10, True)

    monkeypatch.setattr(elsewhere, "_VISIBLE", 0.0)
    result = carry_out(Pretending(answer(("backup", 0), backup_id="20261201T000000Z-abcdef")), file)
    (step_result,) = result.steps
    assert (step_result.exit_code, "is not the one here" in step_result.message) == (10, True)
    records = StoreRecords(StoreAddress(str(store)), registry)
    assert records.claims(3) == ()
    folder = store / "shop" / "20261201T000000Z-abcdef"
    folder.mkdir()
    (folder / "backup_manifest.json").write_text("{}")
    assert carry_out(Pretending(answer(("backup", 0), backup_id=folder.name)), file).exit_code == 0
    assert records.shows("shop", folder.name)
    assert records.claims(3) == ("shop/source.json",), "what has been seen in it is asked for from then on"


def test_a_plan_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    file = config(tmp_path)
    data = json.loads(plan_of(database(file), file, version="7.1.2", claims=()).to_bytes())
    for changed, error in (({"format": 2}, PluginError), ({"due": 1}, UsageError), ({"more": 1}, UsageError)):
        with pytest.raises(error) as caught:
            run_plan(json.dumps({**data, **changed}).encode())
        assert ("7.1.2" in caught.value.message) == (error is PluginError)
    with pytest.raises(UsageError):
        run_plan(b"\xff")


def test_a_run_that_is_over_waits_for_no_executor(tmp_path: Path) -> None:
    file = config(tmp_path)
    executor, chosen = Pretending("nothing"), selector(file)
    over = Elsewhere(executor, chosen, is_ours=True)
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(over.carry_out, database(file), lambda _: ExitStack())
        while not executor.plans:
            assert not future.done()
        chosen.children.stopped.set()
        over.stop()
        assert (future.result(10).exit_code, executor.ended) == (1, True)


def test_an_executor_is_opened_by_its_url(tmp_path: Path) -> None:
    class Plugin:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.EXECUTOR, name="pretend"), Component(kind=Kind.EXECUTOR, name="silent")]

        @hookimpl
        def holdfast_executor(self, scheme: str, url: str) -> Any:
            if url == "pretend://broken":
                raise ZeroDivisionError("by zero")
            return {"pretend://none": 5}.get(url, Pretending("x")) if scheme == "pretend" else None

    registry = memory_registry(Plugin())
    expected = {
        "pretend://none": "its executor is int, which has no submit and no shutdown",
        "pretend://broken": "by zero",
        "silent": "does not serve it",
        "ray://x": "no executor 'ray'",
        "dask://x": "no executor 'dask'",
    }
    for url, error in expected.items():
        with pytest.raises(HoldfastError) as caught:
            Elsewhere.open(url, selector(config(tmp_path), registry))
        assert error in caught.value.message
    assert caught.value.hint == "pip install holdfast-dask"
    assert isinstance(registry.executor("threads"), ThreadPoolExecutor)
