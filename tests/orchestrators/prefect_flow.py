"""The flow of the documentation in a Prefect with a server of its own; run by `make orchestrators` alone."""

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from orchestrators.page import make_app, manifests, write_example

PYTHON = Path(os.environ["HOLDFAST_TEST_ORCHESTRATORS"]) / "prefect" / "bin" / "python"

# What the engine says of each run of a task, and of the flow twice under one id.
RUN = """
import json, sys
import nightly_flow

def delayless(task):
    return task.with_options(retry_delay_seconds=0.1)

for name in ("backup", "drill", "prune"):
    setattr(nightly_flow, name, delayless(getattr(nightly_flow, name)))

attempts = []
original = nightly_flow.backup.fn
def counted(*args, **kwargs):
    attempts.append(1)
    result = original(*args, **kwargs)
    if sys.argv[1] == "lost" and len(attempts) < 3:
        from holdfast.errors import UnreachableError
        raise UnreachableError("the worker is lost")
    return result
nightly_flow.backup.fn = counted

state = nightly_flow.nightly(store="STORE", return_state=True)
print(json.dumps({"state": state.name, "attempts": len(attempts), "error": str(state.result(raise_on_failure=False))}))
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    make_app(tmp_path / "app.db")
    write_example("nightly_flow.py", tmp_path)
    (tmp_path / "run.py").write_text(RUN.replace("STORE", str(tmp_path / "store")))
    return tmp_path


def run(folder: Path, url: str, how: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [PYTHON, "run.py", how], cwd=folder, capture_output=True, text=True, check=False, timeout=600,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))},
            "DATABASE_URL": url,
            "HOLDFAST_CACHE": str(folder / "cache"),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    data: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return data


def test_a_flow_whose_worker_is_lost_twice_makes_one_backup(flow: Path) -> None:
    told = run(flow, "sqlite:///app.db", "lost")
    assert (told["state"], told["attempts"]) == ("Completed", 3), told
    (manifest,) = manifests(flow / "store")
    assert manifest["run"].startswith("nightly/")


@pytest.mark.parametrize(("url", "attempts"), [("postgresql://127.0.0.1:1/x", 3), ("sqlite:///app.db?no=1", 1)])
def test_only_what_may_pass_is_tried_again(url: str, attempts: int, flow: Path) -> None:
    told = run(flow, url)
    assert (told["state"], told["attempts"]) == ("Failed", attempts), told


def test_no_secret_is_kept(flow: Path) -> None:
    told = run(flow, "postgresql://u:s3cr%2Fet-of-shop@127.0.0.1:1/x")
    assert told["state"] == "Failed"
    with closing(sqlite3.connect(flow / "prefect" / "prefect.db")) as db:
        assert any("task_run" in name for (name,) in db.execute("SELECT name FROM sqlite_master"))
    for path in (path for path in (flow / "prefect").rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert b"et-of-shop" not in data, path
