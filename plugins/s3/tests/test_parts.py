"""Parts of large objects: sent while the next one is filled, within the memory that all writers share."""

import hashlib
import os
import re
import threading
from functools import partial

import pytest
from support.servers.object_faults import Request
from support.servers.s3_proxy import S3Proxy
from support.servers.seaweed import S3Server

from holdfast.errors import CredentialsError
from holdfast_s3.part_buffer import Buffers, PartBuffer
from holdfast_s3.storage import S3Storage

PART = 5 << 20


def test_the_next_part_is_filled_while_one_is_sent(storage: S3Storage, proxy: S3Proxy) -> None:
    arrived, goes_on = threading.Event(), threading.Event()

    def hold(request: Request) -> str:
        if "partNumber=1" in request.path:
            arrived.set()
            goes_on.wait(30)
        return ""

    proxy.fault = hold
    data = os.urandom(3 * PART + 17)
    with storage.writer("a/b") as writer:
        writer.write(data[:PART])  # returns although the service has not answered
        assert arrived.wait(30)
        writer.write(data[PART : 2 * PART - 1])
        goes_on.set()
        writer.write(data[2 * PART - 1 :])
    assert b"".join(storage.stream("a/b")) == data


def test_a_part_that_fails_aside_ends_the_object_with_its_error(
    storage: S3Storage, proxy: S3Proxy, server: S3Server, prefix: str
) -> None:
    refused = ["403"]

    def refuse(request: Request) -> str:
        return refused.pop() if refused and re.search(r"partNumber=1\b", request.path) else ""

    proxy.fault = refuse

    def write() -> None:
        with storage.writer("a/b") as writer:
            writer.write(bytes(PART))
            writer.write(bytes(2 * PART))

    with pytest.raises(CredentialsError):
        write()
    assert [stat.path for stat in storage.list()] == []
    assert "Uploads" not in server.client().list_multipart_uploads(Bucket="first", Prefix=prefix)


def test_more_buffers_are_taken_only_while_few_writers_have_theirs() -> None:
    buffers = Buffers()
    buffers.take()
    assert [buffers.take_another() for _ in range(3)] == [True, True, False]
    buffers.give_back()
    buffers.take()
    assert not buffers.take_another()


def test_a_buffer_is_read_from_the_start_by_each_try() -> None:
    buffer = PartBuffer(1 << 20)
    data = os.urandom(300_001)
    for at in range(0, len(data), 7919):
        buffer.write(memoryview(data)[at : at + 7919])
    assert (len(buffer), buffer.sha256()) == (len(data), hashlib.sha256(data).digest())
    for size in (16_384, -1, 1 << 30):
        assert buffer.seek(0) == buffer.tell() == 0
        assert b"".join(iter(partial(buffer.read, size), b"")) == data
    assert (buffer.seek(0, os.SEEK_END), buffer.seek(-1, os.SEEK_CUR), buffer.read()) == (300_001, 300_000, data[-1:])
    buffer.close()
