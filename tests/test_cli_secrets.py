"""Passwords appear nowhere: not in output, JSON, logs, manifests or the tracebacks of -v."""

import subprocess
from pathlib import Path

import pytest
from support.commandline import Shell
from support.distributions import write_distribution

SECRET = "s3cr3t/p@ss:w#rd%"
ENCODED = "s3cr3t%2Fp%40ss%3Aw%23rd%25"
TRACES = ("s3cr3t", "p@ss", "w#rd", "w%23rd")
LOUD = ["-v", "-v"]

# An engine that is as careless as drivers are: its errors, warnings and debug logs show the whole URL.
CARELESS = """
    import logging
    from contextlib import contextmanager
    from urllib.parse import unquote, urlsplit
    from holdfast.api import *


    class Session:
        def __init__(self, url):
            self.url = url
            self.streams = (Stream(name="all", size=3),)

        def read(self, stream):
            password = unquote(urlsplit(self.url).password or '')
            if "/read" in self.url:
                raise RuntimeError(f"lost connection to {self.url} with {password}")
            if "/ours" in self.url:
                raise UnreachableError(f"cannot connect with {password}", hint=f"is {password} right?")
            if "/system" in self.url:
                raise OSError(2, "no such socket", self.url)
            yield b"abc"

        def proof(self):
            return None

        def facts(self):
            return Facts(server_version="1", warnings=(f"could not ask {self.url} for its version",))


    class Restoring(Session):
        steps = (Step(stream="all"),)

        def load(self, step, blob):
            list(blob.chunks())
            list(self.read(None))

        def commit(self):
            pass


    @contextmanager
    def session(kind, url):
        if "/open" in url:
            raise RuntimeError(f"no route to {url}: {unquote(urlsplit(url).password)}")
        yield kind(url)


    def holdfast_components():
        yield Component(kind=Kind.ENGINE, name="careless")


    def holdfast_dump(scheme, request):
        if "/hook" in request.url:
            raise RuntimeError(request.url)
        return session(Session, request.url)


    def holdfast_restore(scheme, request):
        return session(Restoring, request.url)
"""


@pytest.fixture
def careless(shell: Shell) -> Shell:
    """A shell with the careless engine."""
    plugins = write_distribution(shell.folder / "plugins", "holdfast-careless", CARELESS)
    return Shell(folder=shell.folder, variables={"PYTHONPATH": str(plugins)})


def hides(text: str) -> bool:
    """Whether no part of the secret is in a text."""
    return not any(trace in text for trace in TRACES)


def url(place: str, scheme: str = "careless") -> str:
    return f"{scheme}://app:{ENCODED}@db.example/{place}?token=s3cr3t&timeout=30"


@pytest.mark.sweep(8)
@pytest.mark.parametrize("options", [[], ["--json"], LOUD, ["--log-format", "json", *LOUD]], ids=" ".join)
@pytest.mark.parametrize("place", ["read", "ours", "system", "open", "hook"])
def test_a_backup_that_fails_shows_no_secret(careless: Shell, place: str, options: list[str]) -> None:
    process = careless.start("backup", url(place), *options)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode in (1, 15)
    assert hides(stdout + stderr), stdout + stderr
    assert "app:***@" in stdout + stderr or place == "ours"
    assert all(hides(path.read_text()) for path in careless.store.rglob("*") if path.is_file())


@pytest.mark.parametrize("options", [[], ["--json", *LOUD], ["-n"], ["--log-format", "json", *LOUD]], ids=" ".join)
def test_a_backup_that_succeeds_keeps_and_shows_no_secret(careless: Shell, options: list[str]) -> None:
    ran = careless.run("backup", url("fine"), *options)
    assert hides(ran.stdout + ran.stderr), ran.stdout + ran.stderr
    if "-n" not in options:
        manifest = next(careless.store.rglob("backup_manifest.json")).read_text()
        assert "careless://app:***@db.example/fine?token=***&timeout=30" in manifest
    for path in careless.store.rglob("*"):
        assert path.is_dir() or hides(path.read_text(errors="replace")), path
    if careless.store.exists():
        for command in (["list"], ["list", "--json"], ["show", "latest"], ["show", "latest", "--json"]):
            assert hides(careless.run(*command).stdout)


@pytest.mark.sweep(4)
@pytest.mark.parametrize("options", [[], ["--json"], LOUD])
@pytest.mark.parametrize("place", ["read", "ours", "open"])
def test_a_restore_that_fails_shows_no_secret(careless: Shell, place: str, options: list[str]) -> None:
    careless.run("backup", "careless://db.example/fine")
    process = careless.start("restore", "latest", url(place), *options)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode in (1, 15)
    assert hides(stdout + stderr), stdout + stderr


@pytest.mark.sweep(6)
@pytest.mark.parametrize(
    "source",
    [
        url("x", "nosuch"),
        url("x", "sqlite"),
        "sqlite://app:s3cr3t@/file.db",
        "careless://app:s3cr3t/p@ss@host/x",
        "careless://app:s3cr3t%zz@host/x",
        "careless://app:s3cr3t@host:port/x",
        "careless:app:s3cr3t@host/x",
        "app:s3cr3t@host/x",
        "careless://s3cr3t:s3cr3t",
    ],
)
@pytest.mark.parametrize("options", [[], ["-v", "--json"]], ids=" ".join)
def test_a_url_that_is_wrong_is_not_repeated_with_its_secret(careless: Shell, source: str, options: list[str]) -> None:
    for command in (["backup", source], ["backup", source, "-n"]):
        process = careless.start(*command, *options)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode in (1, 2, 14, 15)
        assert hides(stdout + stderr), stdout + stderr


@pytest.mark.parametrize("way", ["option", "joined", "variable"])
def test_the_secret_of_a_stores_url_is_not_shown(careless: Shell, way: str) -> None:
    store = url("bucket", "swift")
    arguments = {"option": ["--store", store], "joined": [f"--store={store}"], "variable": []}[way]
    env = {"HOLDFAST_STORE": store} if way == "variable" else {}
    for command in (["list"], ["backup", "sqlite:///app.db"]):
        ran = careless.run(*command, *arguments, "-v", env=env, code=14)
        assert hides(ran.stdout + ran.stderr), ran.stdout + ran.stderr


def test_a_mistyped_command_line_does_not_repeat_a_secret(careless: Shell) -> None:
    for arguments in ([url("x")], ["bakcup", url("x")], ["list", "a", url("x")], ["show", url("x"), url("x")]):
        process = careless.start(*arguments)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 2
        assert hides(stdout + stderr), stdout + stderr


def test_a_reference_that_is_a_url_by_mistake_is_not_repeated_with_its_secret(careless: Shell) -> None:
    careless.run("backup", "careless://db.example/fine")
    process = careless.start("restore", url("x"), "latest")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode in (2, 10)
    assert hides(stdout + stderr), stdout + stderr


def test_plans_with_a_password_are_not_written_down(careless: Shell, tmp_path: Path) -> None:
    code = f"import holdfast, pickle; plan = holdfast.BackupPlan(source={url('x')!r}); print(plan); pickle.dumps(plan)"
    done = subprocess.run(
        [careless.holdfast[0], "-c", code],
        cwd=tmp_path,
        env=careless.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "password" in done.stderr
    assert hides(done.stdout)
    assert "s3cr3t" not in done.stderr.replace(code, "")
