"""The contract of a checksum, as tests."""

import functools
import random
import re
from collections.abc import Callable, Mapping

import pytest

from holdfast.api import Chunk, Hasher
from holdfast.testing.contract import Configured, registry_of, states
from holdfast.testing.process_state import unchanged
from holdfast.testing.threads import run_threads

_registry = functools.cache(registry_of)


class ChecksumSuite(Configured):
    """Set `algorithm` to what `--checksum` takes, and `known` to the digest of `b"holdfast"` in hexadecimal.

    Where no other implementation is at hand that computes it, set `vectors` to digests that the algorithm is published
    with, in the place of `known` or besides it.
    """

    algorithm: str  #: what `--checksum` takes
    known: str = ""  #: the digest of `b"holdfast"` in hexadecimal, computed by another implementation
    vectors: Mapping[bytes, str] = {}  #: published digests in hexadecimal, by the bytes that they are of

    def start(self) -> Hasher:
        """A new digest of the algorithm under test."""
        return _registry(tuple(self.plugins)).hasher(self.algorithm)

    def digest(self, *chunks: Chunk) -> str:
        """The digest of chunks."""
        hasher = self.start()
        for chunk in chunks:
            hasher.update(chunk)
        return hasher.hexdigest()

    @states("checksum 1")
    def test_the_digest_is_the_known_one(self) -> None:
        """The figure comes from an implementation that is not the plugin's."""
        known = {**self.vectors, **({b"holdfast": self.known} if self.known else {})}
        assert known, "set `known` to the digest of b'holdfast', or `vectors` to published digests"
        assert {data: self.digest(data) for data in known} == known

    @states("checksum 2")
    def test_it_is_lowercase_hexadecimal_of_one_length(self) -> None:
        """Digests are compared as text, and those that begin with zeros are as long as all others."""
        digests = [self.digest(), *(self.digest(bytes([number % 256]) * (number // 256 + 1)) for number in range(600))]
        for digest in digests:
            assert isinstance(digest, str)
            assert re.fullmatch(r"[0-9a-f]+", digest)
            assert len(digest) == len(self.digest(b"holdfast"))

    @states("checksum 3")
    def test_how_the_bytes_are_cut_does_not_matter(self) -> None:
        """Chunks have any size, none included, up to several MiB."""
        data = random.Random(3).randbytes(5 << 20)
        whole = self.digest(data)
        assert self.digest(b"", data[:1], data[1:70_000], b"", data[70_000:], b"") == whole
        assert self.digest(*(data[at : at + 65_536] for at in range(0, len(data), 65_536))) == whole
        assert self.digest(data[:-1] + bytes([data[-1] ^ 1])) != whole
        assert self.digest(bytes([data[0] ^ 1]) + data[1:]) != whole
        assert self.digest(data[1:2], data[:1], data[2:]) != whole

    @states("checksum 3")
    def test_each_byte_counts_at_every_length(self) -> None:
        """Around the blocks that algorithms work in: neither an end that fills none is lost, nor are zeros there."""
        for length in (*range(300), *(size + more for size in (1024, 4096, 65_536) for more in (-1, 0, 1))):
            data = b"x" * length
            assert len({self.digest(data), self.digest(data, b"\0"), self.digest(data, b"y")}) == 3

    @states("checksum 4")
    def test_the_memory_of_a_chunk_may_be_used_again(self) -> None:
        """As soon as `update` has returned."""
        hasher, chunk = self.start(), bytearray(b"hold")
        for view in (memoryview(chunk), chunk):
            hasher.update(view)
            chunk[:] = b"fast"
        chunk[:] = b"lost"
        assert hasher.hexdigest() == self.digest(b"holdfast")

    @states("checksum 4")
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(b"<" + data + b">")[1:-1]])
    def test_every_kind_of_chunk_is_taken_and_left_as_it_is(self, kind: Callable[[bytes], Chunk]) -> None:
        """The same chunk is compressed and written besides."""
        chunk = kind(b"holdfast")
        assert self.digest(chunk) == self.digest(b"holdfast")
        assert bytes(chunk) == b"holdfast"

    @states("checksum 5")
    def test_two_digests_do_not_disturb_each_other(self) -> None:
        """Several streams are digested at once."""
        first, second = self.start(), self.start()
        first.update(b"hold")
        second.update(b"something else")
        first.update(b"fast")
        assert first.hexdigest() == self.digest(b"holdfast")
        second.update(b"")
        assert second.hexdigest() == self.digest(b"something else")

    @states("checksum 5")
    def test_digests_in_several_threads_do_not_disturb_each_other(self) -> None:
        """Each thread has digests of its own."""
        expected = [self.digest(bytes([number]) * 50_000) for number in range(4)]
        digests: dict[int, set[str]] = {number: set() for number in range(4)}

        def work(number: int) -> None:
            digests[number] = {self.digest(*[bytes([number]) * 10] * 5000) for _ in range(5)}

        run_threads(work, range(4))
        assert list(digests.values()) == [{digest} for digest in expected]

    @states("checksum 7")
    def test_it_leaves_the_program_as_it_is(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Its settings are not the checksum's own, and standard output is data."""
        with unchanged(capfd):
            self.digest(b"hold", b"fast")

    @states("checksum 6")
    def test_it_may_be_asked_for_at_any_time_and_more_than_once(self) -> None:
        """It is the digest so far."""
        hasher = self.start()
        empty = hasher.hexdigest()
        hasher.update(b"hold")
        assert hasher.hexdigest() != empty
        hasher.update(b"fast")
        assert hasher.hexdigest() == hasher.hexdigest() == self.digest(b"holdfast")
