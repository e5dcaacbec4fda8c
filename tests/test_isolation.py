"""Whatever a plugin does in whatever hook or method: no success without a backup, and nobody else is blamed."""

import re
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from support.commandline import Shell
from support.distributions import write_distribution
from support.sabotage import KINDS, STORE, URL, Sabotage, plugins, registry_of

import holdfast
from holdfast.errors import HoldfastError
from holdfast.testing import MemoryStorage


def clean_points(kind: str) -> list[str]:
    """Every point of a backup at which a plugin of that kind is called."""
    sabotage = Sabotage()
    registry = registry_of(plugins(MemoryStorage(), sabotage, kinds=(kind,)))
    holdfast.backup(URL, store=STORE, codec="plain", registry=registry)
    return sabotage.points


def raising(error: type[BaseException]) -> Callable[[], Any]:
    def act() -> Any:
        raise error("0") if error is not SystemExit else SystemExit(0)

    return act


ACTS: dict[str, Callable[[], Any]] = {
    "exit": raising(SystemExit),
    "generator exit": raising(GeneratorExit),
    "interrupt": raising(KeyboardInterrupt),
    "stop iteration": raising(StopIteration),
    "raise": raising(RuntimeError),
    "none": lambda: None,
    "garbage": object,
}
POINTS = [(kind, point) for kind in KINDS for point in clean_points(kind)]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_of_a_plugin_makes_a_success_or_blames_another(kind: str, act: str) -> None:
    wrong = []
    for point in (point for owner, point in POINTS if owner == kind):
        storage, sabotage = MemoryStorage(), Sabotage(point, ACTS[act])
        told = backup_told(storage, sabotage, kind)
        sound = registry_of(plugins(storage, Sabotage()))
        listed = holdfast.list_backups(STORE, registry=sound) if storage.objects else []
        others = [f"{other}-plugin" for other in KINDS if other != kind]
        if told is None and not (
            len(listed) == 1 and holdfast.verify(listed[0].id, store=STORE, registry=sound, read_data=True)[0].passed
        ):
            wrong.append(f"{point}: success without a sound backup")
        if told is not None and listed and told != "130: interrupted":  # the last of all calls may be
            wrong.append(f"{point}: {told} and a backup")
        if told is not None and any(other in told for other in others):
            wrong.append(f"{point}: blames another: {told}")
        if told is not None and told.startswith("!"):
            wrong.append(f"{point}: {told}")
        holdfast.backup(URL, store=STORE, codec="plain", registry=sound)
    assert wrong == []


def backup_told(storage: MemoryStorage, sabotage: Sabotage, kind: str) -> str | None:
    """Back up; None is success, else what was told, with a mark where it is no error of ours."""
    try:
        registry = registry_of(plugins(storage, sabotage, kinds=(kind,)))
        holdfast.backup(URL, store=STORE, codec="plain", registry=registry)
    except HoldfastError as error:
        return f"{error.exit_code}: {error.message}"
    except KeyboardInterrupt:
        return "130: interrupted"
    except BaseException as error:  # noqa: BLE001 (what is not expected is to be seen)
        return f"! {type(error).__name__}: {error}"
    return None


HANGING = [
    "engine: hook",
    "engine.read next",
    "codec.encode",
    "checksum.update",
    "storage.writer.write",
    "storage.barrier",
]


@pytest.mark.parametrize("point", HANGING)
def test_a_signal_ends_a_run_whose_plugin_hangs(point: str) -> None:
    """Also where the same call is made again to clean up: the handler of the command line ignores further signals."""
    kind = re.split(r"[.:]", point)[0]
    freed, killed = threading.Event(), [0.0]

    def hang() -> None:
        freed.wait(20)

    sabotage = Sabotage(point, hang)

    def interrupt() -> None:
        assert sabotage.reached.wait(20)
        while not freed.wait(0.01):  # until it is handled: the first may come before the call that hangs
            killed[0] = killed[0] or time.monotonic()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    thread = threading.Thread(target=interrupt)
    thread.start()
    storage = MemoryStorage()
    try:
        assert backup_told(storage, sabotage, kind) == "130: interrupted"
        assert time.monotonic() - killed[0] < 5  # far from the 20 s of the hang; a second on an idle machine
    finally:
        freed.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert not any(path.endswith("backup_manifest.json") for path in storage.objects)


ENDING = """
    import sys
    from contextlib import contextmanager
    from holdfast.api import *

    if "import" == "{where}":
        sys.exit(0)


    def holdfast_components():
        if "components" == "{where}":
            sys.exit(0)
        return [Component(kind=Kind.ENGINE, name="leaving")]


    class Dump:
        streams = [Stream(name="x")]

        def read(self, stream):
            yield b"x"
            sys.exit(0)


    @contextmanager
    def dumping():
        yield Dump()


    def holdfast_dump(scheme, request):
        return dumping() if scheme == "leaving" else None


    def holdfast_observe(event):
        if "observer" == "{where}":
            sys.exit(0)
"""


@pytest.mark.parametrize("where", ["import", "components", "read", "observer"])
def test_a_plugin_that_exits_ends_no_command_as_if_all_were_well(shell: Shell, where: str) -> None:
    write_distribution(shell.folder / "plugins", "leaving-plugin", ENDING.format(where=where))
    env = {"PYTHONPATH": str(shell.folder / "plugins")}
    shell.fails(14, "backup", "leaving://x", env=env)
    if where != "read":
        assert shell.run("backup", "sqlite:///app.db", env=env).stdout.strip()
        assert len(shell.listing()) == 1
