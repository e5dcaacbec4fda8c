"""A private MySQL out of a folder with another Debian in it, as `.ci/matrix/mysql` makes it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.servers.mariadb import MariaDB, free_port

_QUICK = (
    "--innodb-use-native-aio=OFF",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--sync-binlog=0",
)


@contextmanager
def running_mysql(*options: str) -> Iterator[MariaDB]:
    """Make and start a server in the folder named by HOLDFAST_TEST_MYSQL_ROOT, and remove its data at the end."""
    root = os.environ.get("HOLDFAST_TEST_MYSQL_ROOT", "")
    if not root:
        pytest.fail("HOLDFAST_TEST_MYSQL_ROOT is not set: run .ci/matrix/mysql", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="holdfast-mysql-", dir=f"{root}/tmp"))
    inner = str(folder).removeprefix(root)
    server = ["chroot", root, "/usr/sbin/mysqld", "--no-defaults", "--user=root", f"--datadir={inner}/data"]
    try:
        # How names are compared is settled when the data folder is made.
        folding = [option for option in options if option.startswith("--lower-case-table-names")]
        made = subprocess.run([*server, "--initialize-insecure", *folding], capture_output=True, check=False)
        if made.returncode:
            pytest.fail(f"mysqld --initialize failed: {made.stderr.decode()}", pytrace=False)
        port, path = free_port(), folder / "socket"
        command = [*server, f"--socket={inner}/socket", f"--port={port}", f"--pid-file={inner}/pid"]
        command += ["--bind-address=127.0.0.1", "--mysqlx=OFF", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"]
        command += ["--max-allowed-packet=1G", "--server-id=1", "--event-scheduler=OFF", *_QUICK, *options]
        with (folder / "log").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait(process, path, folder / "log")
            yield MariaDB(folder=folder, socket=str(path), port=port, pid=process.pid)
        finally:
            process.terminate()
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder)


def _wait(process: "subprocess.Popen[bytes]", path: Path, log: Path) -> None:
    deadline = time.monotonic() + 90
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"MySQL did not start: {log.read_text(errors='replace')[-2000:]}", pytrace=False)
        time.sleep(0.1)
