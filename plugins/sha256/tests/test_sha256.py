"""SHA-256 as a plugin: the digest of FIPS 180-4, a new one each time."""

import pytest

from holdfast.plugins.registry import Registry

# The examples of the standard's authors.
KNOWN = {
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}


@pytest.mark.parametrize("data", KNOWN)
def test_a_digest_is_that_of_the_standard(data: bytes) -> None:
    hasher = Registry(environ={}).hasher("sha256")
    hasher.update(data)
    assert hasher.hexdigest() == KNOWN[data]


def test_digests_do_not_share_their_state_and_take_any_kind_of_bytes() -> None:
    registry = Registry(environ={})
    first, second = registry.hasher("sha256"), registry.hasher("sha256")
    for piece in (b"a", bytearray(b"b"), memoryview(b"xcx")[1:2]):
        first.update(piece)
    assert (first.hexdigest(), second.hexdigest()) == (KNOWN[b"abc"], KNOWN[b""])
