# mypy: ignore-errors
"""Checksums that break one sentence each."""

import hashlib
import threading
import time
import zlib

from holdfast.api import Component, Kind, hookimpl
from holdfast.testing import ChecksumSuite
from support.contract import add_suites, breaks

KNOWN = hashlib.sha256(b"holdfast").hexdigest()


class Sha256:
    known = KNOWN

    def __init__(self):
        self.hash = hashlib.sha256()

    def update(self, data):
        self.hash.update(data)

    def hexdigest(self):
        return self.hash.hexdigest()


class Sha256Plugin:
    @hookimpl
    def holdfast_components(self):
        return [Component(kind=Kind.CHECKSUM, name="sha256")]

    @hookimpl
    def holdfast_checksum(self, algorithm):
        return hashlib.sha256() if algorithm == "sha256" else None


@breaks("checksum 1")
class AnotherAlgorithm(Sha256):
    """It is SHA3, and not SHA-256."""

    def __init__(self):
        self.hash = hashlib.sha3_256()


@breaks("checksum 1")
class Salted(Sha256):
    """A salt goes first, so that no other program computes the same."""

    def __init__(self):
        super().__init__()
        self.hash.update(b"salt")


@breaks("checksum 2")
class Uppercase(Sha256):
    """Hexadecimal in capitals."""

    known = KNOWN.upper()

    def hexdigest(self):
        return super().hexdigest().upper()


@breaks("checksum 2")
class Binary(Sha256):
    """Bytes and no text."""

    known = hashlib.sha256(b"holdfast").digest()

    def hexdigest(self):
        return self.hash.digest()


@breaks("checksum 2")
class Prefixed(Sha256):
    """The name of the algorithm goes first."""

    known = f"sha256:{KNOWN}"

    def hexdigest(self):
        return f"sha256:{super().hexdigest()}"


@breaks("checksum 2")
class ZerosDropped(Sha256):
    """Leading zeros are lost, as a number has none."""

    def hexdigest(self):
        return f"{int(super().hexdigest(), 16):x}"


@breaks("checksum 3")
class LastChunkOnly(Sha256):
    """Each chunk begins anew."""

    def update(self, data):
        self.hash = hashlib.sha256(data)


@breaks("checksum 3")
class ChunksCounted(Sha256):
    """Each chunk but the first leaves a mark."""

    begun = False

    def update(self, data):
        super().update(b"|" + bytes(data) if self.begun else data)
        self.begun = True


@breaks("checksum 3")
class FirstMebibyte(Sha256):
    """The end of a long chunk is not digested."""

    def update(self, data):
        super().update(memoryview(data)[: 1 << 20])


@breaks("checksum 3")
class OrderLost:
    """A sum of the digests of all bytes: it cannot tell their order."""

    known = f"{sum(b'holdfast'):08x}"

    def __init__(self):
        self.sum = 0

    def update(self, data):
        self.sum += sum(data)

    def hexdigest(self):
        return f"{self.sum & 0xFFFFFFFF:08x}"


@breaks("checksum 4")
class BytesOnly(Sha256):
    """It adds chunks to bytes, which a memoryview cannot be."""

    def __init__(self):
        self.data = b""

    def update(self, data):
        self.data = self.data + data if isinstance(data, bytes) else data.join([self.data, b""])

    def hexdigest(self):
        return hashlib.sha256(self.data).hexdigest()


@breaks("checksum 4")
class ChunkChanged(Sha256):
    """It works in the chunk itself."""

    def update(self, data):
        super().update(data)
        if isinstance(data, bytearray):
            data[:] = bytes(len(data))


@breaks("checksum 5")
class StateShared(Sha256):
    """All digests have one state."""

    shared = None

    def __init__(self):
        StateShared.shared = hashlib.sha256()

    def update(self, data):
        self.shared.update(data)

    def hexdigest(self):
        return self.shared.hexdigest()


@breaks("checksum 5")
class SharedBetweenThreads:
    """A value of the class is taken and put back with another thread in between."""

    known = f"{zlib.crc32(b'holdfast'):08x}"
    passing = 0
    lock = threading.Lock()

    def __init__(self):
        self.value = 0

    def update(self, data):
        type(self).passing = zlib.crc32(data, self.value)
        time.sleep(0)
        self.value = type(self).passing

    def hexdigest(self):
        return f"{self.value:08x}"


@breaks("checksum 6")
class EndedByAsking(Sha256):
    """After the first question it takes no more."""

    ended = False

    def update(self, data):
        if self.ended:
            raise ValueError("already finalized")
        super().update(data)

    def hexdigest(self):
        self.ended = True
        return super().hexdigest()


@breaks("checksum 6")
class ChangedByAsking(Sha256):
    """The padding of the end goes into the state."""

    def hexdigest(self):
        digest = super().hexdigest()
        self.hash.update(b"\x80")
        return digest


def suite_of(checksum):
    class Suite(ChecksumSuite):
        known = checksum.known

        def start(self):
            return checksum()

    return Suite


add_suites(globals(), suite_of, Sha256)
