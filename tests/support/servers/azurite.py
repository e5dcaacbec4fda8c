"""Azurite, Microsoft's emulator of Azure Blob Storage, on a free loopback port, with its blobs in memory."""

import base64
import hashlib
import hmac
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from support.servers.seaweed import free_ports

ACCOUNT = "devstoreaccount1"
# The key that every emulator has, as its documentation says; no secret of anybody.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_STARTS = 60.0  # seconds
_VERSION = "2021-08-06"


@dataclass(frozen=True, kw_only=True)
class AzuriteServer:
    """A running server with the container `first`."""

    port: int
    pid: int

    def url(self, prefix: str, *, container: str = "first", endpoint: str = "") -> str:
        """The URL of a store in a container, by way of another endpoint if one is given."""
        endpoint = endpoint or f"http://127.0.0.1:{self.port}"
        return f"azure://{ACCOUNT}/{container}/{prefix}?endpoint={endpoint}/{ACCOUNT}"


@contextmanager
def running_azurite() -> Iterator[AzuriteServer]:
    """Start a server, which takes any request of its only account."""
    program = Path(sys.executable).parent.parent / "azurite/node_modules/.bin/azurite-blob"
    if not program.exists():
        pytest.fail("Azurite is not installed: make .venv/.ready-azurite", pytrace=False)
    (port,) = free_ports(1)
    command = [str(program), "--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(
        [*command, f"--blobPort={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=program.parent
    )
    try:
        _make_container(process, port)
        yield AzuriteServer(port=port, pid=process.pid)
    finally:
        process.kill()
        process.wait()


def _make_container(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Make the container `first` as soon as somebody answers."""
    deadline = time.monotonic() + _STARTS
    while True:
        try:
            status = _put_container(port)
        except OSError:
            status = 0
        if status == 201:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Azurite did not start: {status or 'no answer'}", pytrace=False)
        time.sleep(0.2)


def _put_container(port: int) -> int:
    date = format_datetime(datetime.now(UTC), usegmt=True)
    signed = (
        f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:{_VERSION}\n/{ACCOUNT}/{ACCOUNT}/first\nrestype:container"
    )
    signature = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {
        "x-ms-date": date,
        "x-ms-version": _VERSION,
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}",
        "Content-Length": "0",
    }
    connection.request("PUT", f"/{ACCOUNT}/first?restype=container", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status
