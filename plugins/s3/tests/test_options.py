"""What is told of a store by its options: without leases, and with what services must be able to do."""

import logging
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from support.databases import make_database
from support.servers.object_faults import Request
from support.servers.s3_proxy import S3Proxy
from support.servers.seaweed import ADDER_ACCESS, ADDER_SECRET, S3Server, keys

import holdfast
from holdfast.errors import UnsafeError
from holdfast.store import removal
from holdfast_s3.listing import age
from holdfast_s3.location import Location
from holdfast_s3.storage import AgedS3Storage

AGE = {"lease": "age"}
MARKER = "holdfast.json"


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"sqlite:///{make_database(tmp_path / 'app.db', noise=6 << 20)}"


@pytest.fixture
def store(server: S3Server, proxy: S3Proxy, prefix: str) -> Iterator[str]:
    """The URL of a store behind the proxy, which does nothing wrong yet."""
    del server  # whose keys are in the environment
    proxy.seen.clear()
    yield f"{proxy.url('first', prefix)}&part_size=5M"
    proxy.fault = lambda _request: ""


def conditions(fault: str) -> Callable[[Request], str]:
    return lambda request: fault if "if-none-match" in request.headers else ""


def paths(server: S3Server, prefix: str) -> list[str]:
    answer = server.client().list_objects_v2(Bucket="first", Prefix=f"{prefix}/")
    return [item["Key"].removeprefix(f"{prefix}/") for item in answer.get("Contents", ())]


def test_without_leases_nothing_is_overwritten_and_nothing_deleted(
    store: str, source: str, proxy: S3Proxy, server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in keys(ADDER_ACCESS, ADDER_SECRET).items():
        monkeypatch.setenv(name, value)
    first, second = (holdfast.backup(source, store=store, store_options=AGE) for _ in range(2))
    (_, newest) = holdfast.list_backups(store, store_options=AGE)
    assert newest.id == second.id
    assert all(result.passed for result in holdfast.verify(store=store, store_options=AGE))
    written = [each.path for each in proxy.seen if each.method == "PUT" and "uploadId" not in each.path]
    again = {path for path in written if written.count(path) > 1}
    assert not any(each.method == "DELETE" for each in proxy.seen)
    assert {path.rpartition("/")[2] for path in again} == {MARKER}  # as it is: by it conditions are tried
    assert not any(path.startswith(".leases/") for path in paths(server, prefix))
    holdfast.delete(first, store=store, store_options=AGE)
    assert [each.id for each in holdfast.list_backups(store, store_options=AGE)] == [second.id]


def test_what_is_unfinished_goes_by_its_age(
    store: str, source: str, server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holdfast.backup(source, store=store, store_options=AGE)
    folder = "app/20200101T000000Z-aaaaaa"
    server.client().put_object(Bucket="first", Key=f"{prefix}/{folder}/data", Body=b"x")
    server.client().create_multipart_upload(Bucket="first", Key=f"{prefix}/{folder}/more")
    storage = AgedS3Storage(Location.parse(store), required=False)
    assert 0 <= storage.age(folder) < 60
    assert storage.age("app/none") == math.inf
    for seconds, is_left in ((7 * 86400.0, True), (-1.0, False)):
        monkeypatch.setattr(removal, "_LONGEST_PAUSE", seconds)
        holdfast.backup(source, store=store, store_options=AGE)
        assert (f"{folder}/data" in paths(server, prefix)) is is_left


def test_the_age_is_by_the_clock_of_the_service() -> None:
    written = datetime(2026, 1, 1, tzinfo=UTC)

    class Service:
        def call(self, operation: str, *_: object) -> dict[str, Any]:
            date = format_datetime(written + timedelta(days=9), usegmt=True)
            told: dict[str, dict[str, Any]] = {
                "list_objects_v2": {"Contents": [{"LastModified": written - timedelta(days=3)}]},
                "list_multipart_uploads": {"Uploads": [{"Key": "k", "UploadId": "u", "Initiated": written}]},
                "list_parts": {"Parts": [{"LastModified": written + timedelta(days=1)}]},
            }
            return {**told[operation], "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    client: Any = Service()
    assert age(client, "app/") == timedelta(days=8).total_seconds()


@pytest.mark.parametrize("fault", ["ignore", "501"])
@pytest.mark.parametrize("options", [{"create": "require"}, {"create": "require", **AGE}], ids=["lock", "age"])
def test_a_service_that_may_overwrite_is_refused_before_anything_is_written(
    store: str, source: str, proxy: S3Proxy, server: S3Server, prefix: str, fault: str, options: dict[str, str]
) -> None:
    proxy.fault = conditions(fault)
    with pytest.raises(UnsafeError, match=r"ignores If|does not know If-None-Match|cannot do what a store needs"):
        holdfast.backup(source, store=store, store_options=options)
    assert [path for path in paths(server, prefix) if not path.startswith(".leases/")] in ([], [MARKER])


@pytest.mark.parametrize("fault", ["ignore", "501"])
def test_without_leases_a_service_that_may_overwrite_is_looked_at_before_each_object(
    store: str, source: str, proxy: S3Proxy, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fault = conditions(fault)
    with caplog.at_level(logging.WARNING, "holdfast.storage"):
        backup = holdfast.backup(source, store=store, store_options=AGE)
    assert caplog.text.count("whether a name is free is looked before each object instead") == 1
    assert all(result.passed for result in holdfast.verify(backup, store=store, store_options=AGE, read_data=True))
    storage = AgedS3Storage(Location.parse(store), required=False)
    with pytest.raises(FileExistsError), storage.writer(MARKER) as writer:
        writer.write(b"something else")
    assert b"something else" not in storage.read(MARKER)


def test_a_check_says_that_there_are_no_leases(store: str, source: str) -> None:
    holdfast.backup(source, store=store, store_options=AGE)
    check = holdfast.check_store(store, store_options=AGE)
    told = {each.name: each for each in check.guarantees}
    assert (told["write"].holds, told["create only"].holds, check.failure) == (None, True, None)
    assert "no leases" in told["write"].detail
