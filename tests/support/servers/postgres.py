"""Private PostgreSQL servers; `from servers.postgres import postgres_server` in a conftest gives a fixture."""

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.servers.place import place_of_servers

_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = 64MB
max_connections = 60
max_prepared_transactions = 5
wal_level = logical
max_wal_senders = 5
max_replication_slots = 5
min_wal_size = 32MB
max_wal_size = 2GB
"""
# Roles in this group have to give their password; everybody else is trusted.
GUARDED = "guarded"
_ACCESS = """
host all +{guarded} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
local all all trust
host replication all 127.0.0.1/32 trust
"""


class PostgresServer:
    """One running server: its files, and what a test does with it."""

    def __init__(self, folder: Path, run: "Programs", port: int) -> None:
        self.folder = folder
        self.port = port
        self.run = run
        self.data = folder / "data"

    def url(self, database: str, user: str = "postgres", password: str = "", **query: str) -> str:
        """A URL of a database; user and password are to be percent-encoded already."""
        secret = f":{password}" if password else ""
        tail = "&".join(f"{key}={value}" for key, value in query.items())
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}" + (f"?{tail}" if tail else "")

    def connect(self, database: str = "postgres", user: str = "postgres", **extra: Any) -> "psycopg.Connection[Any]":
        """A connection in autocommit mode."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=user,
            autocommit=True,
            client_encoding="UTF8",
            **extra,
        )

    def execute(self, database: str, *statements: str) -> None:
        """Run statements."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """What a query returns."""
        with self.connect(database) as connection:
            return connection.execute(query).fetchall()

    def value(self, database: str, query: str) -> Any:
        """The first column of the first row of a query."""
        return self.rows(database, query)[0][0]

    def databases(self) -> set[str]:
        """The names of all databases but those of initdb."""
        names = {row[0] for row in self.rows("postgres", "SELECT datname FROM pg_database")}
        return names - {"postgres", "template0", "template1"}

    def relations(self, database: str) -> set[str]:
        """The tables and views of a database, each with its schema."""
        query = """
            SELECT n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'v', 'm', 'p') AND n.nspname !~ '^pg_|information_schema'
        """
        return {row[0] for row in self.rows(database, query)}

    def sessions(self) -> int:
        """How many sessions of clients there are besides the one that asks."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        count: int = self.value("postgres", query)
        return count

    def quiet(self, seconds: float = 10) -> bool:
        """Whether all sessions end soon: the server notices a closed connection some milliseconds later."""
        deadline = time.monotonic() + seconds
        while self.sessions():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    @contextlib.contextmanager
    def database(self, **words: str) -> Iterator[str]:
        """A new database for the length of a block."""
        name = f"t_{secrets.token_hex(4)}"
        self.create(name, **words)
        try:
            yield name
        finally:
            self.drop(name)

    def create(self, name: str, **words: str) -> None:
        """Make an empty database."""
        clauses = " ".join(f"{key} '{value}'" for key, value in words.items())
        with self.connect() as connection:
            # Through the log, as is the default since PostgreSQL 15, it takes half as much again.
            if connection.info.server_version >= 150000:
                clauses += " STRATEGY file_copy"
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 {clauses}')

    def drop(self, name: str) -> None:
        """Drop a database and end the sessions in it."""
        self.execute("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def text(self, database: str, *arguments: str) -> str:
        """What pg_dump writes of a database, without its random words."""
        said = self.run.output(
            "pg_dump", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *arguments, database
        )
        return "".join(
            line for line in said.splitlines(keepends=True) if not line.startswith(("\\restrict ", "\\unrestrict "))
        )

    def standby(self, folder: Path, settings: str = "") -> "PostgresServer":
        """Start a hot standby of this server."""
        self.run.output(
            "pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-D", str(folder / "data"),
            "-R", "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        server = PostgresServer(folder, self.run, free_port())
        with open(server.data / "postgresql.conf", "a", encoding="utf-8") as file:
            sockets = self.run.path_in_root(folder)
            file.write(f"port = {server.port}\nunix_socket_directories = '{sockets}'\nhot_standby = on\n{settings}")
        server.start()
        return server

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self.folder / "log"
        try:
            self.run.output("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-l", str(log), "start")
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}") from error

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; in mode immediate as a crash would."""
        self.run.output("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")


class Programs:
    """The programs of one version, run as a user that is not root."""

    def __init__(
        self, folder: str, *, wrap: Callable[[str, list[str]], list[str]] | None = None, root: Path | None = None
    ) -> None:
        self.folder = folder
        self.root = root
        self._wrap = wrap

    def owner(self) -> tuple[int, int]:
        """The user and group that servers run as, where we are root."""
        if self.root is None:
            user = pwd.getpwnam("postgres")
            return user.pw_uid, user.pw_gid
        lines = (self.root / "etc" / "passwd").read_text().splitlines()
        fields = next(line.split(":") for line in lines if line.startswith("postgres:"))
        return int(fields[2]), int(fields[3])

    def path_in_root(self, path: Path) -> str:
        """A path as the server sees it."""
        return str(path).removeprefix(str(self.root)) if self.root is not None else str(path)

    def command(self, name: str, *arguments: str) -> list[str]:
        """The words that run one."""
        if self._wrap is not None:
            return self._wrap(name, list(arguments))
        command = [os.path.join(self.folder, name), *arguments]
        if os.geteuid() == 0:
            user, group = self.owner()
            return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]
        return command

    def output(self, name: str, *arguments: str) -> str:
        """Run one and return what it writes."""
        command = self.command(name, *arguments)
        # pg_ctl leaves its server behind, which must not keep a pipe of ours open: hence a file.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                command, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, cwd="/"
            )
            said.seek(0)
            text = said.read()
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, text)
        return text


def find_programs() -> Programs:
    """The newest installed server, or the one of the matrix; none is an error that says how to get one."""
    version = os.environ.get("HOLDFAST_TEST_PG")
    if version and version != "15":
        from support.servers.postgres_matrix import matrix_programs

        return matrix_programs(version)
    chosen = os.environ.get("HOLDFAST_TEST_PG_BINDIR")
    folders = [chosen] if chosen else sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=_major)
    usable = [folder for folder in folders if os.access(os.path.join(folder, "initdb"), os.X_OK)]
    if not usable:
        raise RuntimeError(
            "there is no PostgreSQL server to test with: apt-get install postgresql-15, or name the folder of "
            "initdb in HOLDFAST_TEST_PG_BINDIR"
        )
    return Programs(usable[-1])


@contextlib.contextmanager
def programs_with_extensions() -> Iterator[Programs]:
    """Those of `find_programs`, or for the length of a block a copy of them, among whose extensions we may put our own.

    The programs look for their files where these lie from where they themselves do.
    """
    run = find_programs()
    library = Path(run.folder).parent
    share = Path("/usr/share/postgresql", library.name)
    if os.geteuid() == 0 or os.access(share / "extension", os.W_OK) or not library.is_relative_to("/usr/lib"):
        yield run
        return
    with tempfile.TemporaryDirectory(dir=place_of_servers(tempfile.gettempdir())) as folder:
        for files in (library, share):
            shutil.copytree(files, Path(folder, *files.parts[1:]))
        yield Programs(os.path.join(folder, *Path(run.folder).parts[1:]))


def _major(folder: str) -> int:
    name = Path(folder).parent.name
    return int(name) if name.isdigit() else 0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def server_folder(programs: Programs) -> Iterator[Path]:
    """A folder that the server's user may use."""
    place = Path(place_of_servers(os.environ.get("TMPDIR", "/var/tmp")))
    if programs.root is not None:
        place = programs.root / "var" / "tmp"
    path = Path(tempfile.mkdtemp(prefix="holdfast-postgres-", dir=place))
    try:
        if os.geteuid() == 0:
            os.chown(path, *programs.owner())
            path.chmod(0o755)
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def running(programs: Programs | None = None, *, settings: str = "") -> Iterator[PostgresServer]:
    """A server for the length of a block, about a second to make."""
    run = programs or find_programs()
    with server_folder(run) as folder:
        server = PostgresServer(folder, run, free_port())
        run.output(
            "initdb", "-D", str(server.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        with open(server.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(_SETTINGS.format(port=server.port, folder=run.path_in_root(folder)) + settings)
        (server.data / "pg_hba.conf").write_text(_ACCESS.format(guarded=GUARDED))
        server.start()
        try:
            server.execute("postgres", f"CREATE ROLE {GUARDED}")
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for all tests of a session."""
    with programs_with_extensions() as programs, running(programs) as server:
        yield server
