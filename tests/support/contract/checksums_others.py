# mypy: ignore-errors
"""Checksums that break one sentence each: blocks, and memory that is used again."""

import hashlib
import logging

from support.contract import add_suites, breaks
from support.contract.checksums import Sha256, suite_of


@breaks("checksum 3")
class RestLost(Sha256):
    """What does not fill a block of 64 bytes is lost, once there was a full one."""

    def __init__(self):
        self.data = bytearray()

    def update(self, data):
        self.data += data

    def hexdigest(self):
        end = len(self.data) // 64 * 64 or len(self.data)
        return hashlib.sha256(self.data[:end]).hexdigest()


@breaks("checksum 3")
class PaddedWithZeros(Sha256):
    """A last block is filled with zeros beyond 64 bytes, so that zeros at the end do not count."""

    def __init__(self):
        self.data = bytearray()

    def update(self, data):
        self.data += data

    def hexdigest(self):
        data = bytes(self.data)
        return hashlib.sha256(data if len(data) < 64 else data + bytes(-len(data) % 64)).hexdigest()


@breaks("checksum 4")
class ChunksKept(Sha256):
    """Chunks are kept until the digest is asked for, and not what was in them."""

    def __init__(self):
        self.chunks = []

    def update(self, data):
        self.chunks.append(data)

    def hexdigest(self):
        return hashlib.sha256(b"".join(self.chunks)).hexdigest()


@breaks("checksum 7")
class SetsUpLogging(Sha256):
    """The root logger is set up for debugging."""

    def update(self, data):
        logging.getLogger().setLevel(logging.DEBUG)
        super().update(data)


add_suites(globals(), suite_of)
