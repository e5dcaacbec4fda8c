"""The contract of a checksum, as tests."""

import re

from holdfast.api import Hasher
from holdfast.plugins.registry import Registry


class ChecksumSuite:
    """Set `algorithm` to what `--checksum` takes, and `known` to the digest of `b"holdfast"` in hexadecimal."""

    algorithm: str  #: what `--checksum` takes
    known: str  #: the digest of `b"holdfast"` in hexadecimal, computed by another implementation

    def start(self) -> Hasher:
        """A new digest of the algorithm under test."""
        return Registry().hasher(self.algorithm)

    def test_the_digest_is_the_known_one(self) -> None:
        """The figure comes from an implementation that is not the plugin's."""
        hasher = self.start()
        hasher.update(b"holdfast")
        assert hasher.hexdigest() == self.known

    def test_it_is_lowercase_hexadecimal(self) -> None:
        """Digests are compared as text."""
        assert re.fullmatch(r"[0-9a-f]+", self.start().hexdigest())

    def test_how_the_bytes_are_cut_does_not_matter(self) -> None:
        """Chunks come in any size and kind."""
        hasher = self.start()
        for chunk in (b"h", bytearray(b"old"), memoryview(b"xfast")[1:], b""):
            hasher.update(chunk)
        assert hasher.hexdigest() == self.known

    def test_two_digests_do_not_disturb_each_other(self) -> None:
        """Several streams are digested at once."""
        first, second = self.start(), self.start()
        first.update(b"hold")
        second.update(b"something else")
        first.update(b"fast")
        assert first.hexdigest() == self.known
