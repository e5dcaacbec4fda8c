"""A restore interrupted at its statements, in each way: the target has to be what it was, or the new one."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import holdfast
from holdfast.api import HoldfastError
from support.disks import small_disk
from support.postgres_statement_proxy import StatementProxy, statement_proxy
from support.servers.postgres import PostgresServer, Programs, find_programs, running

# The connection cut before the statement, or after it; the restore killed before it, or after it; told to end as it
# comes to the server, by what the handler of a signal raises and by SIGTERM; the session ended by the server; no space
# left on the server from then on.
FAULTS = ("cut", "lost", "kill", "killed", "interrupt", "term", "terminate", "full")
_KILLED = ("kill", "killed")
# Into an empty database; into a database that is made; in the place of another; two tables into a database with more.
MODES = ("empty", "create", "replace", "merge")
# What reads and sets, and the comments that pg_restore sends alone.
_IDLE = (b"SELECT", b"SET", b"WITH", b"SHOW", b"PREPARE", b"EXECUTE", b"--")
_SIZE = "96M"
_SPACE = "small"
_FILL = """
    CREATE TABLE parent (id int PRIMARY KEY, t text);
    CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent, n serial);
    CREATE TABLE other (a int);
    CREATE FUNCTION f() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT {0}';
    CREATE VIEW v AS SELECT f() + {0} AS n, id FROM parent;
    CREATE INDEX by_p ON child (p);
    INSERT INTO parent SELECT i, repeat(md5((i * {0})::text), 9) FROM generate_series(1, 300) i;
    INSERT INTO child SELECT i, i FROM generate_series(1, 300) i;
    INSERT INTO other VALUES ({0});
    COMMENT ON TABLE parent IS 'of {0}';
    CREATE TABLE only{0} AS SELECT {0} AS a;
"""


class _Interrupted(BaseException):
    """What the handler of a signal raises."""


@dataclass(kw_only=True)
class RestoreSweep:
    """An old database, a backup of a new one, and what the target looks like before and after, in one mode."""

    server: PostgresServer
    store: str
    proxy: StatementProxy
    mode: str
    disk: Callable[[bool], None]  # fills the disk of the target, or empties it again
    target: str = "swapped"
    source: str = "source"
    statements: list[bytes] = field(default_factory=list)  # of a restore that nothing interrupts
    old: str = ""
    new: str = ""

    def prepare(self) -> None:
        """Make the backup, and learn the statements and the contents before and after."""
        self.server.drop(self.source)
        self.server.create(self.source)
        self.server.execute(self.source, _FILL.format(2), f"COMMENT ON DATABASE {self.source} IS 'the new'")
        holdfast.backup(self.server.url(self.source), store=self.store, options={"large_table": "0"})
        self.reset()
        self.old = self.content()
        self._restore(self._url())
        self.statements = self.proxy.statements
        self.new = self.content()
        assert self.old != self.new
        assert not self.leftovers()

    def points(self) -> list[int]:
        """The numbers of the statements that change something, or end what does."""
        return [
            number
            for number, statement in enumerate(self.statements, 1)
            if statement.strip() and not statement.lstrip().startswith(_IDLE)
        ]

    def reset(self) -> None:
        """The old database again, as if nothing had been; the proxy counts from the beginning."""
        self.disk(False)
        self.proxy.reset()
        for name in (*self.leftovers(), self.target):
            self.server.drop(name)
        if self.mode == "create":
            return
        space = f"TABLESPACE {_SPACE}" if self._has_space else ""
        self.server.execute("postgres", f"CREATE DATABASE {self.target} TEMPLATE template0 {space}")
        self.server.execute("postgres", f"COMMENT ON DATABASE {self.target} IS 'the target'")
        if self.mode != "empty":
            self.server.execute(self.target, _FILL.format(1))

    @property
    def _has_space(self) -> bool:
        return bool(self.server.rows("postgres", f"SELECT FROM pg_tablespace WHERE spcname = '{_SPACE}'"))

    def content(self) -> str:
        """All of the target, as pg_dump writes it with its rows; empty where it is not there."""
        if self.target not in self.server.databases():
            return ""
        return self.server.text(self.target, "--create")

    def leftovers(self) -> list[str]:
        """The databases of ours that are there."""
        return sorted(name for name in self.server.databases() if "_holdfast_" in name)

    def interrupt(self, number: int, fault: str) -> str:
        """One restore with a fault at one statement, and what it came to: `old`, `new`, `recovered` or `named`.

        `named` is what the error says that it had to leave, which one command puts right.
        """
        self.reset()
        error, warnings = self._with_fault(number, fault)
        self.disk(False)
        self.proxy.reset()
        assert self.server.quiet(30)
        state, left = self._state(), self.leftovers()
        if fault in _KILLED:
            return self._recovered(state, left)
        if fault in ("interrupt", "term"):
            assert state != "between", (number, fault, self._statement(number), self.content())
            return self._recovered(state, left)
        where = f"{fault} at {number}: {self._statement(number)!r}: {state}, {left}, {error!r}, {warnings}"
        assert error is None or error.exit_code in (1, 11, 15), where
        assert (state != "new") if error else (state == "new"), where
        said = " ".join([*warnings, str(error), str(error and error.hint)])
        assert all(name in said for name in left), where
        if state == "between":
            assert re.search("left in database|could not remove|may have been made", said), where
        if state == "between" or left:
            self._recovered(state, left)
            return "named"
        return state

    def _statement(self, number: int) -> bytes:
        return self.statements[number - 1][:120] if number <= len(self.statements) else b""

    def _with_fault(self, number: int, fault: str) -> tuple[HoldfastError | None, list[str]]:
        process: list[subprocess.Popen[bytes]] = []

        def act(session: int) -> bool:
            if fault in _KILLED:
                os.kill(process[0].pid, signal.SIGKILL)
                process[0].wait(30)
            elif fault == "term":
                process[0].terminate()
            elif fault == "interrupt":
                os.kill(os.getpid(), signal.SIGUSR1)
            elif fault == "terminate":
                self._terminate(session)
            elif fault == "full":
                self.disk(True)
            return fault not in ("cut", "lost")

        def at(current: int, _: bytes, session: int) -> bool:
            return current != number or fault in ("lost", "killed") or act(session)

        def after(current: int, _: bytes, session: int) -> bool:
            return current != number or fault not in ("lost", "killed") or act(session)

        self.proxy.at, self.proxy.after = at, after
        if fault in (*_KILLED, "term"):
            process.append(self._spawn())
            process[0].wait(timeout=120)
            return None, []
        before = signal.signal(signal.SIGUSR1, _interrupt)
        try:
            return None, list(self._restore(self._url()))
        except HoldfastError as error:
            return error, []
        except _Interrupted:
            return None, []
        finally:
            signal.signal(signal.SIGUSR1, before)

    def _terminate(self, session: int) -> None:
        with self.server.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", (session,))

    def _url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.proxy.own_port}/{self.target}?sslmode=disable"

    def _arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"store": self.store, "jobs": 1}
        if self.mode == "create":
            arguments["options"] = {"create": "true"}
        if self.mode in ("replace", "merge"):
            arguments["replace"] = True
        if self.mode == "merge":
            arguments["select"] = ("public.parent", "public.child", "public.only2", "public.v")
        return arguments

    def _restore(self, url: str, **changed: Any) -> tuple[str, ...]:
        return holdfast.restore("latest", url, **{**self._arguments(), **changed}).warnings

    def _spawn(self) -> "subprocess.Popen[bytes]":
        arguments = self._arguments()
        command = [sys.executable, "-m", "holdfast", "restore", "latest", self._url(), "--store", self.store]
        command += ["--jobs", "1", *(["--replace"] if arguments.get("replace") else [])]
        command += [word for name in arguments.get("select", ()) for word in ("--select", name)]
        command += ["-o", "create=true"] if "options" in arguments else []
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _state(self) -> str:
        content = self.content()
        return "old" if content == self.old else "new" if content == self.new else "between"

    def _recovered(self, state: str, left: list[str]) -> str:
        """One command puts it right: what is half of a restore is replaced, and else what is left is swept."""
        url = self.server.url(self.target)
        assert state != "between" or self.mode in ("empty", "create"), self.content()
        if state == "between":
            self._put_right(url)
            assert self._state() == "new", self.content()
        elif left:
            try:
                self._restore(url, replace=False)  # refused, because the target holds something
            except holdfast.UnsafeError:
                assert self._state() == state
        assert not self.leftovers()
        return state if state != "between" and not left else "recovered"

    def _put_right(self, url: str) -> None:
        """The same command again, where nothing is there yet, and else that which its refusal names."""
        filled = re.search("^CREATE (?!DATABASE)", self.content(), re.MULTILINE)
        try:
            self._restore(url)
        except holdfast.UnsafeError as error:
            refused = error
        else:
            assert not filled
            return
        assert filled
        assert "a restore left that was killed" in refused.message, refused
        assert "use --replace" in str(refused.hint), refused
        self._restore(url, replace=True)


def _interrupt(*_: object) -> None:
    raise _Interrupted


@contextmanager
def sweep_server() -> Iterator[tuple[PostgresServer, Callable[[bool], None]]]:
    """A server with a tablespace on a small disk, and what fills and empties that."""
    run = find_programs()
    with tempfile.TemporaryDirectory(prefix="holdfast-small-", dir="/var/tmp") as place:
        folder = Path(place) / "disk"
        folder.mkdir()
        os.chmod(place, 0o755)
        with small_disk(folder, _SIZE) as enter:
            space, ballast = folder / "space", folder / "ballast"
            subprocess.run([*enter, "mkdir", space], check=True)
            subprocess.run([*enter, "chmod", "755", folder], check=True)
            if os.geteuid() == 0:
                user, group = run.owner()
                subprocess.run([*enter, "chown", f"{user}:{group}", space], check=True)

            def disk(full: bool) -> None:
                if full:
                    command = [*enter, "dd", "if=/dev/zero", f"of={ballast}", "bs=64k"]
                    subprocess.run(command, check=False, capture_output=True)  # ends when there is no space
                else:
                    subprocess.run([*enter, "rm", "-f", ballast], check=True)

            in_space = Programs(run.folder, wrap=lambda name, words: [*enter, *run.command(name, *words)])
            with running(in_space) as server:
                server.execute("postgres", f"CREATE TABLESPACE {_SPACE} LOCATION '{space}'")
                yield server, disk


@contextmanager
def restore_sweep(
    server: PostgresServer, store: str, mode: str, disk: Callable[[bool], None] = lambda _: None
) -> Iterator[RestoreSweep]:
    """A sweep that is prepared; its databases are dropped at the end."""
    with statement_proxy(server.port) as proxy:
        sweep = RestoreSweep(server=server, store=store, proxy=proxy, mode=mode, disk=disk)
        try:
            sweep.prepare()
            yield sweep
        finally:
            disk(False)
            for name in (*sweep.leftovers(), sweep.target, sweep.source):
                server.drop(name)
