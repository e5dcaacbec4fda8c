"""A PgBouncer in front of a server, in any mode of pooling."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.servers.postgres import PostgresServer, free_port, server_folder

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 12
server_round_robin = {round_robin}
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextlib.contextmanager
def pgbouncer(server: PostgresServer, mode: str, *, round_robin: bool = False) -> Iterator[PostgresServer]:
    """The server as it is reached through a pool in `session`, `transaction` or `statement` mode."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        raise RuntimeError("there is no PgBouncer to test with: apt-get install pgbouncer")
    with server_folder(server.run) as folder:
        pool = PostgresServer(folder, server.run, free_port())
        text = _CONFIGURATION.format(
            server=server.port, port=pool.port, folder=folder, mode=mode, round_robin=int(round_robin)
        )
        (folder / "pgbouncer.ini").write_text(text)
        (folder / "users").write_text('"postgres" ""\n')
        command = [program, "-q", str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:
            user, group = server.run.owner()
            command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(pool.port, folder / "log")
            yield pool
        finally:
            process.terminate()
            process.wait()


def _wait(port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.02)
        else:
            return
