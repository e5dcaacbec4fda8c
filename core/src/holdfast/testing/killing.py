"""Restores that are killed, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import holdfast
from holdfast.api import Blob, Engine, RestoreRequest, RestoreSession, Step
from holdfast.plugins.engine import CompletedEngine
from holdfast.testing.contract import registry_of
from holdfast.testing.leases import search_path
from holdfast.url import DatabaseURL

_KILLED = "from holdfast.testing.killing import restore_until_killed; restore_until_killed()"
_PATIENCE = 120.0  # seconds


class _StoppedSession:
    """A restore session that says when its first stream is loaded, and waits there to be killed."""

    def __init__(self, session: RestoreSession) -> None:
        self._session = session
        self.steps = session.steps

    def load(self, step: Step, blob: Blob) -> None:
        self._session.load(step, blob)
        sys.stdout.write("loaded\n")
        sys.stdout.flush()
        sys.stdin.read()

    def commit(self) -> None:
        raise AssertionError("a restore without a step cannot be killed in one")


class _StoppedEngine(CompletedEngine):
    """An engine whose restores stop once they have loaded a stream."""

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[RestoreSession]:
        """Let the engine open its session, and put ours around it."""
        with super().restore(request) as session:
            yield _StoppedSession(session)


def kill_restore(backup_id: str, target: str, store: str, options: Mapping[str, Any], plugins: Sequence[str]) -> None:
    """Kill a restore with `replace` that has loaded a stream."""
    wanted = {"id": backup_id, "target": target, "store": store, "options": dict(options), "plugins": [*plugins]}
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=search_path()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "loaded\n", "the restore has failed before it was killed"
        finally:
            process.kill()


def restore_until_killed() -> None:
    """Restore what standard input says, in a process that is to be killed."""
    wanted = json.loads(sys.stdin.readline())
    registry = registry_of(wanted["plugins"])
    engine: Engine = registry.engine(DatabaseURL.parse(wanted["target"]).scheme)
    parts: dict[str, Any] = {"engine": _StoppedEngine(engine), "registry": registry, "options": wanted["options"]}
    holdfast.restore(wanted["id"], wanted["target"], store=wanted["store"], replace=True, **parts)
