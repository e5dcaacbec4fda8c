"""The payload of an age file: chunks of 64 KiB that are sealed each by itself, its number and whether it is the last.

Chunks do not depend on each other: several threads may seal those of one file, and any of them can be opened alone.
Measured with 64 KiB chunks, `cryptography` (OpenSSL) seals 1.8 GB in a second of CPU and PyNaCl (libsodium) 0.95; both
let other Python threads run meanwhile.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdfast.api import Chunk, IntegrityError
from holdfast_age.header import LONGEST, unwrap, wrap

CHUNK = 64 << 10
OVERHEAD = 16
_NONCE = 16
HEAD = LONGEST + _NONCE


class AgeSealer:
    """Seals one file to one X25519 recipient; see `holdfast.api.Sealer`."""

    def __init__(self, public: bytes) -> None:
        file_key, header = wrap(public)
        nonce = secrets.token_bytes(_NONCE)
        self.head = header + nonce
        self._aead = _payload_aead(file_key, nonce)

    def seal(self, data: Chunk, position: int, last: bool, /) -> Chunk:
        """Seal whole chunks, of which the last may be short; the first of them has the number `position`."""
        view = memoryview(data).cast("B")
        size = len(view)
        if (size % CHUNK and not last) or not (size or (last and not position)):
            raise ValueError(f"{size} bytes are no whole chunks, and not the end of a file")
        starts = range(0, size, CHUNK) or range(1)
        sealed = memoryview(bytearray(size + OVERHEAD * len(starts)))  # written into, which saves a copy of each chunk
        for number, start in enumerate(starts):
            chunk = view[start : start + CHUNK]
            at = number * (CHUNK + OVERHEAD)
            nonce = _nonce(position + number, last and start + CHUNK >= size)
            self._aead.encrypt_into(nonce, chunk, None, sealed[at : at + len(chunk) + OVERHEAD])
        return sealed


class AgeOpener:
    """Opens the chunks of one file, in any order; see `holdfast.api.Opener`."""

    def __init__(self, secret: X25519PrivateKey, head: bytes) -> None:
        file_key, length = unwrap(head, secret)
        self.head_size = length + _NONCE
        nonce = head[length : self.head_size]
        if len(nonce) < _NONCE:
            raise IntegrityError("the age file is cut off")
        self._aead = _payload_aead(file_key, nonce)

    def open(self, data: Chunk, position: int, last: bool, /) -> bytes:
        """Open whole sealed chunks, the first of which has the number `position`; see `holdfast.api.Opener`."""
        view = memoryview(data).cast("B")
        step = CHUNK + OVERHEAD
        if (len(view) % step and not last) or len(view) < OVERHEAD:
            raise IntegrityError("the age file is cut off within a chunk")
        try:
            opened = [
                self._aead.decrypt(_nonce(number, last and start + step >= len(view)), view[start : start + step], None)
                for number, start in enumerate(range(0, len(view), step), position)
                if len(view) - start >= OVERHEAD or self._refuse()
            ]
        except InvalidTag as error:
            raise IntegrityError(
                "the age file is not what was sealed: a chunk is changed, misplaced or cut off"
            ) from error
        if last and not opened[-1] and (position or len(opened) > 1):
            raise IntegrityError("the age file ends with an empty chunk")
        return b"".join(opened)

    def _refuse(self) -> bool:
        raise IntegrityError("the age file is cut off within a chunk")


def _payload_aead(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, nonce, b"payload").derive(file_key))


def _nonce(number: int, last: bool) -> bytes:
    return (number << 8 | last).to_bytes(12, "big")
