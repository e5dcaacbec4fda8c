"""When something is due, how many run at once, and what is told outside: the parts of a run of jobs by themselves."""

import http.server
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from holdfast.errors import CredentialsError, HoldfastError, UsageError
from holdfast.jobs import hooks, schedules, steps
from holdfast.jobs.checking import checked
from holdfast.jobs.children import Children
from holdfast.jobs.due import Occurrence, StoreRecords, is_due, job_run
from holdfast.jobs.elsewhere import Elsewhere
from holdfast.jobs.hooks import Pinger, run_hooks
from holdfast.jobs.limits import HostLocks, state_folder
from holdfast.jobs.model import Limits, Ping
from holdfast.jobs.reading import ConfigFile, read_config
from holdfast.jobs.references import read_secret, with_password
from holdfast.jobs.runner import Runner
from holdfast.jobs.settings import settings_of
from holdfast.jobs.steps import Database, StepResult
from holdfast.plan import check_run
from holdfast.testing import memory_registry

DAY = 86400.0
NOON = 20_000 * DAY + DAY / 2


def test_what_was_missed_thirty_times_is_due_once() -> None:
    assert is_due(None, DAY, "a", 0, NOON)
    assert is_due(NOON - 30 * DAY, DAY, "a", 0, NOON)
    assert not is_due(NOON - DAY / 2, DAY, "a", 0, NOON)
    assert is_due(NOON - DAY / 2 - 1, DAY, "a", 0, NOON)
    assert not is_due(None, None, "a", 0, NOON)
    runs = {Occurrence.of("a", DAY, 0, NOON + hours * 3600).run("a") for hours in (0, 3, 11.9)}
    assert runs == {"a@2024-10-04T00:00:00Z"}
    start = Occurrence.of("a", DAY, 0, NOON)
    assert start.run("a", "data/b@c.db") == "a/data/b@c.db@2024-10-04T00:00:00Z"
    assert job_run(start.run("a", "data/b@c.db")) == job_run(start.run("a")) == start.run("a")
    long = [start.run("a" * 100, name) for name in ("x" * 61, "x" * 62, "\n", " y")]
    assert len(set(long)) == 4
    assert check_run(max(long, key=len)) in long


def test_the_beginnings_of_jobs_are_spread_and_stay_where_they_are() -> None:
    starts = [Occurrence.of(f"job{number}", DAY, 7200, NOON).start % DAY for number in range(200)]
    assert len(set(starts)) == 200
    assert 0 <= min(starts) < 600
    assert 6600 < max(starts) < 7200
    assert Occurrence.of("job1", DAY, 7200, NOON + DAY).start == Occurrence.of("job1", DAY, 7200, NOON).start + DAY


CONFIG = """
[defaults]
store = "/nowhere"
retry = {times = 1, wait = "0.05s"}
[limits]
parallel = 3
per_host = 2
"""


class Everything:
    """What is due, of any job: its one database."""

    missing: ClassVar[dict[str, str]] = {}

    def __init__(self, number: int, file: ConfigFile) -> None:
        self.run = f"r{number}"
        self.file, self.registry, self.children = file, memory_registry(), Children(file.folder)

    def databases(self, settings: Any, _tell: Any) -> list[Database]:
        url = settings.job.source
        return [Database(settings=settings, url=url, recorded_url=url, run=self.run, due=("backup",))]

    def records(self, address: Any) -> StoreRecords:
        return StoreRecords(address, self.registry)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_no_host_has_more_than_its_places_in_all_runs_together(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = "".join(f'[job.j{n}]\nsource = "probe://h{n % 2}/{n}"\n' for n in range(24))
    (tmp_path / "holdfast.toml").write_text(CONFIG + jobs)
    file = read_config(str(tmp_path / "holdfast.toml"), trusted=True)
    config, lock = checked(file), threading.Lock()
    active: dict[str, int] = {"h0": 0, "h1": 0}
    most: list[tuple[int, int]] = []

    tries: dict[tuple[object, str], int] = defaultdict(int)

    def probe(result: StepResult, _words: Any, _given: Any, database: Database, _children: Children) -> bool:
        """Every other one is to be tried again, and gives its place back until then."""
        host = database.url.partition("//")[2][:2]
        with lock:
            active[host] += 1
            most.append((active[host], sum(active.values())))
            tries[database.run, database.url] += 1
        time.sleep(0.02)
        with lock:
            active[host] -= 1
        result.attempts += 1
        result.exit_code = 11 if database.url.endswith("1") and tries[database.run, database.url] == 1 else 0
        return bool(result.exit_code) and result.attempts <= database.settings.retries

    monkeypatch.setattr(steps, "_attempt", probe)

    def run(number: int) -> tuple[list[dict[str, Any]], int]:
        told: list[dict[str, Any]] = []
        chosen: Any = Everything(number, file)
        by_others = Elsewhere(ThreadPoolExecutor(16), chosen) if where == "elsewhere" else None
        each = Runner(
            file, chosen, chosen.children, HostLocks(str(tmp_path)), Limits(parallel=3, per_host=2),
            told.append, print, elsewhere=by_others,
        )  # fmt: skip
        each.run(settings_of(name, config, file) for name in config.job)
        return told, each.failures

    with ThreadPoolExecutor(2) as two:
        results = list(two.map(run, range(2)))
    assert max(of_host for of_host, _ in most) == 2
    assert max(of_all for _, of_all in most) == 3
    assert [failures for _, failures in results] == [0, 0]
    assert all(len(told) == 24 for told, _ in results)
    carried_out = [line for told, _ in results for line in told if line["type"] == "database"]
    assert {line["steps"][0]["attempts"] for line in carried_out} == {1, 2}


def test_the_folder_of_locks_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_folder({"HOLDFAST_STATE": str(tmp_path / "a" / "b")}) == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a").chmod(0o777)
    with pytest.raises(HoldfastError, match="not a folder of this user's alone"):
        state_folder({"HOLDFAST_STATE": str(tmp_path / "a")})
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert state_folder({}).startswith(str(tmp_path / "holdfast-"))


def test_secrets_are_read_from_where_they_are_and_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children(str(tmp_path))

    def read(**where: Any) -> str | None:
        return read_secret("the password of x", children, **{"command": None, "file": None, "env": None, **where})

    (tmp_path / "secret").write_text("hunter/2\r\nmore\n")
    monkeypatch.setenv("SECRET", "hunter/2")
    assert {read(command=["cat", "secret"]), read(file=str(tmp_path / "secret")), read(env="SECRET")} == {"hunter/2"}
    assert read() is None
    assert with_password("mysql://u@h/d", "a/b@") == "mysql://u:a%2Fb%40@h/d"
    for where in (
        {"command": ["sh", "-c", "echo hunter2; exit 3"]},
        {"command": ["none"]},
        {"file": "none"},
        {"env": "N"},
    ):
        with pytest.raises(CredentialsError) as caught:
            read(**where)
        assert "hunter" not in f"{caught.value.message}{caught.value.hint}"


def test_a_hook_that_hangs_forks_or_floods_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    """Also what has gone into a session of its own, and ignores to be asked."""
    script = "setsid sh -c 'trap \"\" TERM; echo $$ > forked; while :; do sleep 9; done' & trap '' TERM; yes; sleep 9"
    children = Children(str(tmp_path))
    before = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.jobs.children._GRACE", 0.3)
        (hook,) = run_hooks("before", [["sh", "-c", script], ["touch", "never"]], {}, children=children, timeout=1)
    assert time.monotonic() - before < 15
    assert (hook.timed_out, len(hook.output) <= 4096, hook.output[-1]) == (True, True, "y")
    number = int((tmp_path / "forked").read_text())
    assert not Path(f"/proc/{number}").exists() or " Z " in Path(f"/proc/{number}/stat").read_text()
    assert not (tmp_path / "never").exists()


@contextmanager
def answering(status: int, *, hangs: bool = False) -> Iterator[tuple[str, list[str]]]:
    """A server that notes what it is asked for."""
    asked: list[str] = []
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if hangs:
                over.wait(20)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/secret-uuid", asked
        finally:
            over.set()
            server.shutdown()


def test_a_ping_tells_of_start_success_and_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as (url, asked):
        monkeypatch.setenv("PING", f"{url}/?a=b")
        said: list[str] = []
        ping = Pinger("x", Ping(env="PING"), Children(str(tmp_path)), said.append)
        ping.start()
        ping.end(0)
        ping.end(13)
    assert asked == ["/secret-uuid/start?a=b", "/secret-uuid?a=b", "/secret-uuid/13?a=b"]
    assert said == []


@pytest.mark.parametrize("fault", ["hangs", "refuses", "gone", "no URL", "no variable"])
def test_a_ping_that_fails_is_told_without_its_url(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_PING", 0.4)
    said: list[str] = []
    with answering(500, hangs=fault == "hangs") as (url, _):
        other = {"gone": "http://127.0.0.1:1/secret-uuid", "no URL": "file:///secret-uuid"}.get(fault, url)
        monkeypatch.setenv("PING", other)
        ping = Pinger("x", Ping(env="NONE" if fault == "no variable" else "PING"), Children(str(tmp_path)), said.append)
        ping.start()
    assert len(said) == 1
    assert "secret-uuid" not in said[0]


def test_units_and_lines_of_cron_say_what_is_to_be_run(tmp_path: Path) -> None:
    folder = tmp_path / "a %b"
    folder.mkdir()
    (folder / "holdfast.toml").write_text('[defaults]\ncopy = ["/c d", "s3://b"]\n[job.a]\nsource = "sqlite:///a"\n')
    file = read_config(str(folder / "holdfast.toml"), trusted=True)
    folders = schedules.stores_in_files(checked(file), file)
    assert folders == [f"{folder}/backups", "/c d"]
    unit = schedules.systemd(file, folders, every="10m", seconds=600, user="u")
    assert f'--config "{tmp_path}/a %%b/holdfast.toml"\n' in unit
    assert 'ReadWritePaths="/c d"\n' in unit
    assert f"--config '{tmp_path}/a \\%b/holdfast.toml' >" in schedules.cron(file, seconds=600, user="u")
    times = {60: "*/1 * * * *", 900: "*/15 * * * *", 3600: "0 */1 * * *", 86400: "0 0 * * *"}
    assert {seconds: schedules.cron_times(seconds) for seconds in times} == times
    with pytest.raises(UsageError):
        schedules.cron_times(420)
