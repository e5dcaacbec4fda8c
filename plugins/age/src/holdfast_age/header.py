"""The header of an age file (C2SP age, version 1): stanzas that wrap the file key, and a MAC over all of them.

Only what is sealed to a native X25519 recipient is read and written here: blobs and manifests, which are sealed to the
key of their backup. Key files, which are sealed to the keys of people, go through a library that knows all kinds.
"""

import base64
import binascii
import hmac
import re
import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdfast.api import CredentialsError, IntegrityError

VERSION = b"age-encryption.org/v1\n"
LONGEST = 16 << 10  # bytes of a header that are read; ours have 184
_FILE_KEY = 16
_LABEL = b"age-encryption.org/v1/X25519"
_WRAP_NONCE = bytes(12)  # each wrapping key is used once
_COLUMNS = 64
_MAC = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")
_WORD = re.compile(rb"[\x21-\x7e]+")


class Stanza(NamedTuple):
    """One wrapping of the file key: words, the first of which is its type, and its body."""

    words: tuple[bytes, ...]
    body: bytes


class Header(NamedTuple):
    """A header as it was read: its stanzas, its MAC, the bytes that it is of, and its length."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    covered: bytes
    length: int


def wrap(public: bytes) -> tuple[bytes, bytes]:
    """Make a file key and the header that wraps it to one X25519 recipient."""
    file_key = secrets.token_bytes(_FILE_KEY)
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    key = _wrapping_key(ephemeral.exchange(X25519PublicKey.from_public_bytes(public)), share, public)
    body = ChaCha20Poly1305(key).encrypt(_WRAP_NONCE, file_key, None)
    covered = VERSION + b"-> X25519 " + _encode(share) + b"\n" + _encode(body) + b"\n---"
    return file_key, covered + b" " + _encode(_mac(file_key, covered)) + b"\n"


def unwrap(data: bytes, secret: X25519PrivateKey) -> tuple[bytes, int]:
    """Return the file key and the length of the header that the data begins with.

    `CredentialsError` where no stanza is for this key, `IntegrityError` for anything that is no header or was changed.
    """
    header = parse(data)
    public = secret.public_key().public_bytes_raw()
    if len(header.stanzas) > 1 and any(stanza.words[0] == b"scrypt" for stanza in header.stanzas):
        raise IntegrityError("the age header has a passphrase beside other recipients")
    file_keys = [_unwrapped(stanza, secret, public) for stanza in header.stanzas if stanza.words[0] == b"X25519"]
    file_key = next(filter(None, file_keys), None)
    if file_key is None:
        raise CredentialsError("the data is sealed to another key")
    if not hmac.compare_digest(_mac(file_key, header.covered), header.mac):
        raise IntegrityError("the age header is not what was written: its MAC is wrong")
    return file_key, header.length


def parse(data: bytes) -> Header:
    """Read the header that the data begins with, as strictly as the specification says."""
    if not data.startswith(VERSION):
        raise IntegrityError("not an age file of version 1")
    stanzas: list[Stanza] = []
    at = len(VERSION)
    while data[at : at + 3] == b"-> ":
        line, at = _line(data, at)
        words = tuple(line[3:].split(b" "))
        if not all(_WORD.fullmatch(word) for word in words):
            raise IntegrityError("the age header has a stanza with impossible arguments")
        body, at = _body(data, at)
        stanzas.append(Stanza(words, body))
    mac = _MAC.match(data, at)
    if mac is None or not stanzas:
        raise IntegrityError("the age header is malformed or cut off")
    return Header(tuple(stanzas), _decode(mac[1]), data[: at + 3], mac.end())


def _body(data: bytes, at: int) -> tuple[bytes, int]:
    """The body of a stanza: whole lines, and a last one that is shorter, or empty."""
    lines = []
    while True:
        line, at = _line(data, at)
        lines.append(line)
        if len(line) > _COLUMNS:
            raise IntegrityError("the age header has a stanza with a line that is too long")
        if len(line) < _COLUMNS:
            return _decode(b"".join(lines)), at


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at, LONGEST)
    if end < 0:
        raise IntegrityError("the age header is malformed or cut off")
    return data[at:end], end + 1


def _unwrapped(stanza: Stanza, secret: X25519PrivateKey, public: bytes) -> bytes | None:
    """The file key, None where the stanza is for another one."""
    share = _decode(stanza.words[1]) if len(stanza.words) == 2 else b""
    if len(share) != 32 or len(stanza.body) != _FILE_KEY + 16:
        raise IntegrityError("the age header has a malformed X25519 stanza")
    try:
        key = _wrapping_key(secret.exchange(X25519PublicKey.from_public_bytes(share)), share, public)
    except ValueError as error:  # a point of low order, with which anybody would share the same secret
        raise IntegrityError("the age header has an X25519 stanza of low order") from error
    try:
        return ChaCha20Poly1305(key).decrypt(_WRAP_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _wrapping_key(shared: bytes, share: bytes, public: bytes) -> bytes:
    return HKDF(SHA256(), 32, share + public, _LABEL).derive(shared)


def _mac(file_key: bytes, covered: bytes) -> bytes:
    key = HKDF(SHA256(), 32, b"", b"header").derive(file_key)
    return hmac.digest(key, covered, "sha256")


def _encode(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    """Decode canonical base64 without padding; anything else is an `IntegrityError`."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise IntegrityError("the age header has malformed base64") from error
    if _encode(data) != text:
        raise IntegrityError("the age header has base64 that is not canonical")
    return data
