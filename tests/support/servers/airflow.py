"""An Airflow of one's own: its database, scheduler, processor of DAGs and API server, and what it says over HTTP."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.servers.postgres import free_port

_PARTS = ("api-server", "scheduler", "dag-processor")
_PATIENCE = 300.0  # seconds: a task begins after ten on a slow machine
_OF_OURS = frozenset({"PYTHONPATH", "VIRTUAL_ENV", "PYTHONWARNINGS"})
DONE = frozenset({"success", "failed", "skipped", "upstream_failed"})


@dataclass
class Airflow:
    """A running Airflow; `bin` is where its environment has programs."""

    bin: Path
    home: Path
    environment: dict[str, str]
    url: str
    _token: str = field(default="", repr=False)

    def program(self, *arguments: str) -> str:
        """Run the program `airflow`."""
        done = subprocess.run(
            [self.bin / "airflow", *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=_PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API server."""
        if not self._token:
            with urllib.request.urlopen(f"{self.url}/auth/token", timeout=60) as answer:
                self._token = json.load(answer)["access_token"]
        request = urllib.request.Request(
            f"{self.url}/api/v2{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def trigger(self, dag: str, run: str) -> "DagRun":
        """Begin a run of a DAG."""
        wait_for(lambda: self._knows(dag), f"the DAG {dag}: {self.ask('GET', '/importErrors')}")
        self.ask("PATCH", f"/dags/{dag}", {"is_paused": False})
        self.ask("POST", f"/dags/{dag}/dagRuns", {"dag_run_id": run, "logical_date": None})
        return DagRun(self, dag, run)

    def _knows(self, dag: str) -> bool:
        return dag in {each["dag_id"] for each in self.ask("GET", "/dags?limit=100")["dags"]}


@dataclass
class DagRun:
    """A run of a DAG."""

    airflow: Airflow
    dag: str
    run: str

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/dags/{self.dag}/dagRuns/{self.run}"

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Its tasks by their ids; of a mapped one each."""
        listed = self.airflow.ask("GET", f"{self.path}/taskInstances")["task_instances"]
        return {each["task_id"] + (f"[{each['map_index']}]" if each["map_index"] >= 0 else ""): each for each in listed}

    def states(self) -> dict[str, str]:
        """The state of each task."""
        return {name: task["state"] for name, task in self.tasks().items()}

    def wait(self) -> dict[str, str]:
        """Wait until all is done, and tell the states of the tasks."""
        wait_for(lambda: self.airflow.ask("GET", self.path)["state"] in DONE, f"{self.path}: {self.states()}")
        return self.states()

    def wait_for(self, task: str, state: str) -> None:
        """Wait until a task is in a state."""
        wait_for(lambda: self.states().get(task) == state, f"{task} in {self.path}: {self.states()}")

    def result(self, task: str, index: int = -1) -> Any:
        """What a task returned."""
        entry = self.airflow.ask(
            "GET", f"{self.path}/taskInstances/{task}/xcomEntries/return_value?map_index={index}&stringify=false"
        )
        return entry["value"]

    def log(self, task: str, attempt: int = 1, index: int = -1) -> str:
        """The log of an attempt; nothing of one that has not begun."""
        if self.tasks()[f"{task}[{index}]" if index >= 0 else task]["try_number"] < attempt:
            return ""
        pages = self.airflow.ask(
            "GET", f"{self.path}/taskInstances/{task}/logs/{attempt}?map_index={index}&full_content=true"
        )
        return json.dumps(pages["content"])

    def clear(self, *tasks: str) -> None:
        """Let tasks be done once more."""
        how = {"dry_run": False, "only_failed": False, "include_downstream": False}
        self.airflow.ask(
            "POST", f"/dags/{self.dag}/clearTaskInstances", {**how, "task_ids": [*tasks], "dag_run_id": self.run}
        )

    def answer(self, task: str, option: str, digest: str) -> None:
        """Be the person who approves or rejects.

        No person is so quick that the scheduler does not yet know of the end of the process that asked: it would take
        that for the end of the task.
        """
        event = f"task_id='{task}', run_id='{self.run}'"
        log = self.airflow.home / "scheduler.log"
        wait_for(
            lambda: any(
                "Received executor event" in line and event in line and f"dag_id='{self.dag}'" in line
                for line in log.read_text().splitlines()
            ),
            f"the scheduler to know of {task}",
        )
        path = f"{self.path}/taskInstances/{task}/-1/hitlDetails"
        self.airflow.ask("PATCH", path, {"chosen_options": [option], "params_input": {"digest": digest}})

    def question(self, task: str) -> dict[str, Any]:
        """What a person is asked."""
        answer: dict[str, Any] = self.airflow.ask("GET", f"{self.path}/taskInstances/{task}/-1/hitlDetails")
        return answer


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds, for long."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.5)


@contextmanager
def running_airflow(
    programs: Path, home: Path, dags: Path, more: Mapping[str, str], variables: Mapping[str, str]
) -> Iterator[Airflow]:
    """Start an Airflow whose DAGs lie in a folder; end all of it afterwards."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "core__dags_folder": str(dags),
        "core__load_examples": "False",
        "core__executor": "LocalExecutor",
        "core__simple_auth_manager_all_admins": "True",
        "core__execution_api_server_url": f"{url}/execution/",
        "api__port": str(port),
        "api__host": "127.0.0.1",
        "api__base_url": url,
        "api__workers": "1",
        "api_auth__jwt_secret": "of these tests alone, and long enough",
        "dag_processor__refresh_interval": "5",
        "dag_processor__min_file_process_interval": "5",
        "scheduler__task_instance_heartbeat_timeout": "600",
        "workers__execution_api_timeout": "120",  # on a machine that others work on, an answer takes more than 5 s
        **more,
    }
    environment = {
        **{key: value for key, value in os.environ.items() if key not in _OF_OURS},
        "AIRFLOW_HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        **{f"AIRFLOW__{key.upper()}": value for key, value in settings.items()},
        **variables,
    }
    airflow = Airflow(programs, home, environment, url)
    home.mkdir(parents=True, exist_ok=True)
    airflow.program("db", "migrate")
    with ExitStack() as stack:
        for part in _PARTS:
            log = stack.enter_context((home / f"{part}.log").open("w"))
            process = subprocess.Popen(
                [programs / "airflow", part], env=environment, stdout=log, stderr=log, start_new_session=True
            )
            stack.callback(_end, process)
        wait_for(lambda: _answers(url), f"the API server: {(home / 'api-server.log').read_text()[-2000:]}")
        yield airflow


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v2/version", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
