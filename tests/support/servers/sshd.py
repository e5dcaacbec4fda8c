"""A private sshd on a free port of loopback, run by whoever runs the tests, with keys and settings of its own."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.servers.place import place_of_servers

_STARTS = 20.0  # seconds


@dataclass(frozen=True, kw_only=True)
class SSHServer:
    """A running server; `config` is for ssh -F, and knows it as the host `test`."""

    port: int
    pid: int
    folder: Path  #: in which stores may lie
    config: Path

    def url(self, name: str, *, port: int | None = None, **parameters: str) -> str:
        """The URL of a store in the server's folder, by way of a port such as that of a proxy."""
        query = "".join(f"&{key}={value}" for key, value in parameters.items())
        at = f":{port}" if port else ""
        return f"sftp://test{at}{self.folder}/{name}?config={self.config}{query}"

    def sessions(self) -> list[int]:
        """The processes that serve a connection each."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def end_sessions(self) -> None:
        """Let all connections break."""
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: Path) -> str:
    """Make a key, and return its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


@contextmanager
def running_sshd(*lines: str, subsystem: str = "internal-sftp", under: Sequence[str] = ()) -> Iterator[SSHServer]:
    """Start a server with further lines of settings, with this command for SFTP, by way of a program."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.fail("sshd is not installed: .ci/prepare test, or apt-get install openssh-server", pytrace=False)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # which the service's unit makes elsewhere
    folder = Path(tempfile.mkdtemp(prefix="holdfast-sshd-", dir=place_of_servers(tempfile.gettempdir())))
    try:
        server_key = keygen(folder / "server_key")
        (folder / "authorized_keys").write_text(keygen(folder / "key"))
        (folder / "known_hosts").write_text(f"test {server_key}")
        (folder / "stores").mkdir()
        port = free_port()
        sftp = [f"Subsystem sftp {subsystem}"] if subsystem else []
        (folder / "sshd_config").write_text("\n".join([*_server(folder, port), *sftp, *lines, ""]))
        config = folder / "ssh_config"
        config.write_text("\n".join(_client(folder, port)))
        with (folder / "log").open("wb") as output:
            command = [*under, program, "-D", "-e", "-f", str(folder / "sshd_config")]
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            server = SSHServer(port=port, pid=process.pid, folder=folder / "stores", config=config)
            _wait(process, port, folder / "log")
            yield server
        finally:
            sessions = server.sessions() if process.poll() is None else []
            process.terminate()
            process.wait()
            for pid in sessions:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(folder)


def _server(folder: Path, port: int) -> list[str]:
    return [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/server_key",
        "PidFile none",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "MaxStartups 100:30:200",
        "KexAlgorithms curve25519-sha256",  # the others take longer than a test
    ]


def _client(folder: Path, port: int) -> list[str]:
    return [
        "Host test",
        "HostName 127.0.0.1",
        "HostKeyAlias test",
        f"Port {port}",
        f"User {getpass.getuser()}",
        f"IdentityFile {folder}/key",
        "IdentitiesOnly yes",
        "IdentityAgent none",
        f"UserKnownHostsFile {folder}/known_hosts",
        "GlobalKnownHostsFile none",
        "StrictHostKeyChecking yes",
        "",
    ]


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"sshd did not start: {error}\n{log.read_text(errors='replace')[-2000:]}", pytrace=False)
            time.sleep(0.02)
        else:
            return
