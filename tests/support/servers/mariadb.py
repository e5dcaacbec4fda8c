"""A private MariaDB on a free loopback port: made, started and removed in about three seconds."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from support.servers.place import place_of_servers

_SERVERS, _CLIENTS = ("mariadbd", "mariadb-install-db"), ("mariadb", "mariadb-dump")
# Servers lie where an ordinary user's PATH does not lead.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"
# What makes a server that lives for one test session quick: nothing of it has to survive a loss of power.
_QUICK = (
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=64M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-use-native-aio=0",
    "--sync-binlog=0",
    "--skip-sync-frm",
)


@dataclass(frozen=True, kw_only=True)
class MariaDB:
    """A running server; `root` has no password and may do everything."""

    folder: Path
    socket: str
    port: int
    pid: int

    def url(self, database: str = "", *, user: str = "root", password: str | None = None, query: str = "") -> str:
        """A URL over TCP; `database` is put in as it stands, percent-encoded by the caller."""
        secret = "" if password is None else f":{password}"
        return f"mysql://{user}{secret}@127.0.0.1:{self.port}/{database}{query}"

    def connect(self, database: str | None = None, **options: object) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection of `root` over the socket, in autocommit mode."""
        settings = {"user": "root", "charset": "utf8mb4", "autocommit": True, **options}
        return pymysql.connect(unix_socket=self.socket, database=database, ssl_disabled=True, **settings)

    def rows(self, sql: str, *, database: str | None = None, **options: object) -> list[tuple[object, ...]]:
        """The rows of one query; `options` are those of the connection."""
        with contextlib.closing(self.connect(database, **options)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    @property
    def version(self) -> str:
        """What the server says of itself, such as 10.11.6-MariaDB."""
        return str(self.rows("SELECT VERSION()")[0][0])

    def client(self, script: bytes, *, database: str = "", options: tuple[str, ...] = ()) -> bytes:
        """What the stock client prints for a script; its failure is an error with its message."""
        # The clients of MariaDB 11.4 and newer insist on TLS, which the server does not speak.
        command = ["mariadb", "--no-defaults", "--skip-ssl", f"--socket={self.socket}", "--user=root", *options]
        if database:
            command.append(f"--database={database}")
        done = subprocess.run(command, input=script, capture_output=True, check=False)
        if done.returncode:
            raise AssertionError(done.stderr.decode(errors="replace"))
        return done.stdout


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_mariadb(*options: str) -> Iterator[MariaDB]:
    """Make and start a server, stop it and remove its folder at the end.

    HOLDFAST_TEST_MARIADB_ROOT names a folder with another system in it, whose server is then the one that runs.
    """
    root = os.environ.get("HOLDFAST_TEST_MARIADB_ROOT", "")
    programs = _CLIENTS if root else (*_SERVERS, *_CLIENTS)
    missing = [program for program in programs if shutil.which(program, path=_PATH) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found: apt-get install mariadb-server mariadb-client", pytrace=False)
    place = f"{root}/tmp" if root else place_of_servers(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="holdfast-mariadb-", dir=place))
    # Servers do not like to run as root; the account of another system has no number here.
    account = "mysql" if os.geteuid() == 0 and not root else ""
    try:
        if account:
            shutil.chown(folder, account, account)
        folder.chmod(0o755)
        process, server = _start(folder, root, account, options)
        try:
            yield server
        finally:
            process.terminate()
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder)


def _start(
    folder: Path, root: str, account: str, options: tuple[str, ...]
) -> tuple["subprocess.Popen[bytes]", MariaDB]:
    inner = str(folder).removeprefix(root)
    prefix = ["chroot", root] if root else []
    as_user = [f"--user={account}"] if account else ["--user=root"] if root else []
    # Bootstrap keeps temporary tables in TMPDIR, under names that another server's may have too.
    environ = {**os.environ, "PATH": _PATH, "TMPDIR": inner}
    install = ["mariadb-install-db", "--no-defaults", *as_user, f"--datadir={inner}/data", "--skip-test-db"]
    install += ["--auth-root-authentication-method=normal", "--force"]  # a chroot may not know its own host
    install += [option for option in options if option.startswith("--innodb-page-size=")]  # of the files that it makes
    made = subprocess.run([*prefix, *install], env=environ, capture_output=True, check=False)
    if made.returncode:
        pytest.fail(f"mariadb-install-db failed: {made.stdout.decode()}{made.stderr.decode()}", pytrace=False)
    port, log = free_port(), folder / "log"
    command = ["mariadbd", "--no-defaults", *as_user, f"--datadir={inner}/data", f"--socket={inner}/socket"]
    command += [f"--port={port}", f"--tmpdir={inner}", f"--pid-file={inner}/pid", "--bind-address=127.0.0.1"]
    command += ["--skip-name-resolve", "--server-id=1", f"--log-bin={inner}/binlog", "--max-allowed-packet=1G"]
    command += ["--character-set-server=utf8mb4", *_QUICK, *options]
    with log.open("wb") as output:
        process = subprocess.Popen([*prefix, *command], stdout=output, stderr=output, env=environ)
    server = MariaDB(folder=folder, socket=str(folder / "socket"), port=port, pid=process.pid)
    deadline = time.monotonic() + 60
    while not listens(server.socket):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"MariaDB did not start: {log.read_text(errors='replace')[-2000:]}", pytrace=False)
        time.sleep(0.05)
    return process, server


def listens(path: str) -> bool:
    """Whether a server answers at a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """The MariaDB of this test session; each test makes databases of its own in it."""
    with running_mariadb("--event-scheduler=OFF", "--local-infile=ON", "--skip-ssl") as server:
        yield server
