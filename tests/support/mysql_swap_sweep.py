"""A replacement interrupted at its statements, in each way: the target has to be what it was, or the new one."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pymysql
import pytest

import holdfast
from support.mysql_parts import small_parts
from support.mysql_proxy import REFUSED, StatementProxy, statement_proxy
from support.servers.mariadb import MariaDB

# In place of the statement an error; the connection cut before it, or after it; the restore killed before it, or after
# it; every table held by another session. `power` kills the server, after the statement, and starts it again.
FAULTS = ("error", "cut", "lost", "kill", "killed", "lock")
_MANY = 400  # rows of a table that is loaded in several parts
_WRITTEN = 5000  # the key of a row that a program writes meanwhile
_BEGINS = re.compile(rb"CREATE DATABASE `\w+_holdfast_[0-9a-f]{8}`")
_SHOWN = {
    "VIEW": "SELECT table_name FROM information_schema.views WHERE table_schema='{0}'",
    "PROCEDURE": "SELECT routine_name FROM information_schema.routines WHERE routine_schema='{0}'"
    " AND routine_type='PROCEDURE'",
    "FUNCTION": "SELECT routine_name FROM information_schema.routines WHERE routine_schema='{0}'"
    " AND routine_type='FUNCTION'",
    "TRIGGER": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema='{0}'",
    "EVENT": "SELECT event_name FROM information_schema.events WHERE event_schema='{0}'",
}


def _objects(number: int, *, sequences: bool) -> list[str]:
    """What a database of that number holds, as CREATE makes it."""
    made = [
        "TABLE parent(id INT PRIMARY KEY)",
        "TABLE child(id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent(id))",
        f"TABLE only{number}(a INT)",
        "TABLE many(id INT PRIMARY KEY, v INT, KEY (v))",
        f"{'TABLE turned(a INT)' if number == 2 else 'VIEW turned AS SELECT 1 AS a'}",
        f"TRIGGER tr BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id + {number}",
        f"TRIGGER second BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id * {number}",
        f"FUNCTION f() RETURNS INT DETERMINISTIC RETURN {number}",
        f"VIEW v AS SELECT f() + {number} AS n, id FROM parent",
        f"PROCEDURE p() SELECT {number}",
        f"EVENT e ON SCHEDULE AT '2035-01-01' DISABLE DO SELECT {number}",
    ]
    if sequences:
        made += ["SEQUENCE s", "TABLE numbered(id INT DEFAULT nextval(s), v INT)"]
    return made


@dataclass(kw_only=True)
class SwapSweep:
    """An old database, a backup of a new one, and what each of both looks like from outside."""

    server: MariaDB
    store: str
    sequences: bool
    proxy: StatementProxy
    cut_power: Callable[[], None] | None = None
    writing: bool = False  # whether a program writes a row into the target at the time of the fault
    wrote: bool = False  # whether the server took it: MySQL has the tables locked for a replacement until they moved
    target: str = "swapped"
    source: str = "source"
    far: str = "far"
    statements: list[bytes] = field(default_factory=list)  # of a replacement that nothing interrupts
    old: dict[str, object] = field(default_factory=dict)
    new: dict[str, object] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the backup, and learn the statements and the contents before and after."""
        self.server.rows(f"DROP DATABASE IF EXISTS {self.source}")
        self._fill(self.source, 2)
        with small_parts():
            holdfast.backup(self.server.url(self.source), store=self.store)
        self.reset()
        self.old = self.content()
        self._restore()
        self.statements = self.proxy.statements
        self.new = self.content()
        assert self.old != self.new

    def points(self) -> list[int]:
        """The numbers of the statements that change something."""
        changing = re.compile(rb"(ALTER|COMMIT|CREATE|DROP|INSERT|LOAD|LOCK|RENAME|UNLOCK|UPDATE)\b")
        return [number for number, statement in enumerate(self.statements, 1) if changing.match(statement)]

    def reset(self) -> None:
        """The old database again, as if nothing had been; the proxy counts from the beginning."""
        names = [str(name) for (name,) in self.server.rows(f"SHOW DATABASES LIKE '{self.target}\\_holdfast%'")]
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks=0")
            for name in (*names, self.far, self.target):
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        self._fill(self.target, 1)
        self.server.rows(f"CREATE DATABASE {self.far}")
        self.server.rows(
            f"CREATE TABLE {self.far}.far(p INT, CONSTRAINT far_p FOREIGN KEY (p) REFERENCES {self.target}.parent(id))"
        )
        self.proxy.at, self.proxy.after, self.proxy.statements = _pass, _take, []

    def _fill(self, database: str, number: int) -> None:
        made = _objects(number, sequences=self.sequences)
        collation = "latin1_swedish_ci" if number == 1 else "utf8mb4_bin"
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {database} COLLATE {collation}")
            cursor.execute(f"USE {database}")
            for statement in made:
                cursor.execute(f"CREATE {statement}")
            cursor.execute(f"INSERT INTO child VALUES (1, {number}), (2, NULL)" if number == 3 else "DO 0")
            cursor.execute(f"INSERT INTO only{number} VALUES (1), (2)")
            rows = ", ".join(f"({row}, {number * row})" for row in range(_MANY))
            cursor.execute(f"INSERT INTO many VALUES {rows}")
            cursor.execute("ANALYZE TABLE many")

    def content(self) -> dict[str, object]:
        """Everything that can be seen of the target and of the table that refers to it."""
        return _content_of(self.server, self.target, self.far)

    def leftovers(self) -> list[str]:
        """The databases of ours that are there."""
        return [str(name) for (name,) in self.server.rows(f"SHOW DATABASES LIKE '{self.target}\\_holdfast%'")]

    def interrupt(self, number: int, fault: str, *, refused: int = 0) -> str:
        """One replacement with a fault at one statement, and what it came to: `old`, `new` or `recovered`.

        With `refused` an error happens at that statement before: the fault is then one of putting back.
        """
        self.reset()
        done = self._with_fault(number, fault, refused)
        if fault in ("kill", "killed"):
            return self._recovered()
        state, left = self._state(), self.leftovers()
        if (state, left) in (("old", []), ("new", [])):
            assert done is None or state == "old" or fault in ("lost", "power"), done
            return state
        assert fault != "lock", (state, left, done)
        return self._recovered()

    def interrupt_writer(self, number: int, fault: str) -> str:
        """The same where a program writes a row just before: it has to be in the target, or in what is kept."""
        self.reset()
        self.writing, self.wrote = True, False
        try:
            done = self._with_fault(number, fault, 0)
        finally:
            self.writing = False
        if self.leftovers() and done is None:
            with pytest.raises(holdfast.UnsafeError, match="is not empty"):
                holdfast.restore("latest", self.server.url(self.target), store=self.store)
        kept = [name for name in self.leftovers() if "_holdfast_kept_" in name]
        assert self.leftovers() == kept
        with self.server.connect() as connection, connection.cursor() as cursor:
            holding = [
                name
                for name in (self.target, *kept)
                if cursor.execute(f"DELETE FROM {name}.many WHERE id = {_WRITTEN}")
            ]
        state = self._state()
        # Before the exchange of the tables MariaDB lets it into the old ones, which then stay where they are.
        there = [self.target] if state == "new" or not kept else kept
        assert state != "between", difference(self.content(), self.old)
        assert holding == (there if self.wrote else []), (state, kept)
        return f"{state}, kept" if kept else state

    def _with_fault(self, number: int, fault: str, refused: int) -> holdfast.HoldfastError | None:
        process: list[subprocess.Popen[bytes]] = []
        held: list[Callable[[], None]] = []

        def at(current: int, statement: bytes) -> bytes | None:
            if refused and current == refused:
                return REFUSED
            if current != number or fault in ("lost", "killed", "power"):
                return statement
            self._write()
            if fault == "error":
                return REFUSED
            if fault == "lock":
                held.append(_hold_locks(self.server, self.target, self.far))
                return statement
            if fault == "kill":
                os.kill(process[0].pid, signal.SIGKILL)
            return None

        def after(current: int, _: bytes) -> bool:
            if current == number:
                self._answered(fault, process, held)
            return current != number or fault not in ("lost", "killed", "power")

        self.proxy.at, self.proxy.after = at, after
        if fault in ("kill", "killed"):
            process.append(self._spawn())
            process[0].wait(timeout=120)
            return None
        try:
            self._restore()
        except holdfast.HoldfastError as error:
            return error
        return None

    def _write(self) -> None:
        if self.writing:
            self.wrote = _write(self.server, self.target)

    def _answered(self, fault: str, process: list["subprocess.Popen[bytes]"], held: list[Callable[[], None]]) -> None:
        """What happens when the server has answered the statement, before the restore has heard of it."""
        if fault in ("killed", "lost", "power"):
            self._write()
        if fault == "killed":
            os.kill(process[0].pid, signal.SIGKILL)
        if fault == "power" and self.cut_power:
            self.cut_power()
        for release in held:
            release()

    def _url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.proxy.own_port}/{self.target}?ssl_mode=disabled"

    def _restore(self) -> None:
        holdfast.restore("latest", self._url(), store=self.store, replace=True, jobs=1, options={"lock_timeout": 1})

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "holdfast", "restore", "latest", self._url(), "--store", self.store]
        command += ["--replace", "--jobs", "1", "-o", "lock_timeout=1"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _state(self) -> str:
        content = self.content()
        return "old" if content == self.old else "new" if content == self.new else "between"

    def _recovered(self) -> str:
        """One command puts it right: a restore that is itself refused, because the target holds something."""
        state, left = self._state(), self.leftovers()
        if left:
            with pytest.raises(holdfast.UnsafeError, match="is not empty"):
                holdfast.restore("latest", self.server.url(self.target), store=self.store)
        recovered = self._state()
        assert recovered != "between", difference(self.content(), self.old)
        assert not self.leftovers()
        return recovered if (state, left) == (recovered, []) else "recovered"


def _content_of(server: MariaDB, target: str, far: str) -> dict[str, object]:
    seen: dict[str, object] = {}
    with server.connect(target) as connection, connection.cursor() as cursor:

        def rows(sql: str) -> list[object]:
            cursor.execute(sql)
            return [[str(value) for value in row if not hasattr(value, "year")] for row in cursor.fetchall()]

        seen["database"] = rows(f"SHOW CREATE DATABASE {target}")
        seen["far"] = rows(f"SHOW CREATE TABLE {far}.far")
        cursor.execute(f"SHOW FULL TABLES FROM {target}")
        for name, kind in cursor.fetchall():
            if kind == "BASE TABLE":
                seen[f"TABLE {name}"] = rows(f"SHOW CREATE TABLE {name}")
                seen[f"rows {name}"] = rows(f"SELECT * FROM {name}")
            elif kind == "SEQUENCE":
                seen[f"SEQUENCE {name}"] = rows(f"SHOW CREATE SEQUENCE {name}")
        for kind, query in _SHOWN.items():
            cursor.execute(query.format(target))
            for (name,) in cursor.fetchall():
                seen[f"{kind} {name}"] = rows(f"SHOW CREATE {kind} {name}")
        seen["order"] = rows(
            "SELECT trigger_name, action_order FROM information_schema.triggers"
            f" WHERE trigger_schema='{target}' ORDER BY 1"
        )
    return seen


def _write(server: MariaDB, database: str) -> bool:
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout=1")
        with contextlib.suppress(pymysql.OperationalError):
            return bool(cursor.execute(f"INSERT INTO many VALUES ({_WRITTEN}, 1)"))
    return False


def _hold_locks(server: MariaDB, target: str, far: str) -> Callable[[], None]:
    """Another session reads the target and what refers to it, and stays in its transaction; returns what ends that.

    After five times as long as a restore waits for them it ends by itself: some statements wait longer.
    """
    connection = server.connect(target, autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout=1")  # what is locked by the replacement itself
        cursor.execute("SHOW TABLES")
        # MariaDB 11.8 makes a foreign key without a lock on the table that it leads to.
        for name in (*(name for (name,) in cursor.fetchall()), f"{far}`.`far"):
            with contextlib.suppress(Exception):  # a view of what is away at this moment
                cursor.execute(f"SELECT * FROM `{name}` LIMIT 1")

    def release() -> None:
        timer.cancel()
        with contextlib.suppress(Exception):  # by the timer already
            connection.close()

    timer = threading.Timer(5, release)
    timer.start()
    return release


def difference(seen: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    """What differs between two contents."""
    return {key: (seen.get(key), other.get(key)) for key in {*seen, *other} if seen.get(key) != other.get(key)}


def _pass(_: int, statement: bytes) -> bytes:
    return statement


def _take(*_: object) -> bool:
    return True


@contextmanager
def swap_sweep(server: MariaDB, store: str, *, sequences: bool) -> Iterator[SwapSweep]:
    """A sweep that is prepared; its databases are dropped at the end."""
    with statement_proxy(server.port, _BEGINS) as proxy:
        sweep = SwapSweep(server=server, store=store, sequences=sequences, proxy=proxy)
        try:
            sweep.prepare()
            yield sweep
        finally:
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SET foreign_key_checks=0")
                for name in (*sweep.leftovers(), sweep.far, sweep.target, sweep.source):
                    cursor.execute(f"DROP DATABASE IF EXISTS {name}")
