"""Keys of people: recipients that a small file is sealed to, and the identities that open it."""

import re
from collections.abc import Iterator
from typing import Any

import pyrage

from holdfast.api import CredentialsError, IntegrityError, UsageError
from holdfast_age import bech32

PASSPHRASE = "passphrase:"  # noqa: S105 (what stands before one)
_SECRET = "AGE-SECRET-KEY-"  # noqa: S105
_SSH = re.compile(
    r"-----BEGIN (?:OPENSSH|RSA) PRIVATE KEY-----\n.*?\n-----END (?:OPENSSH|RSA) PRIVATE KEY-----\n?", re.DOTALL
)


def normal_recipient(text: str) -> str:
    """A recipient without the comment of an ssh key; `UsageError` for what is none.

    A passphrase is none: the name of a key file holds a digest of its recipient, by which it could be guessed quickly.
    """
    text = text.strip()
    if text.startswith(PASSPHRASE):
        raise UsageError("not a recipient: a passphrase, which is a secret")
    text = " ".join(text.split()[:2]) if text.startswith("ssh-") else text
    _parse_recipient(text)
    return text


def seal(secret: bytes, recipient: str) -> bytes:
    """Seal a secret to one recipient, as an age file."""
    if recipient.startswith(PASSPHRASE):
        return bytes(pyrage.passphrase.encrypt(secret, recipient.removeprefix(PASSPHRASE)))
    return bytes(pyrage.encrypt(secret, [_parse_recipient(recipient)]))


def open_sealed(sealed: bytes, identity: str) -> bytes | None:
    """What a small file holds, None where it is not for this identity; `IntegrityError` where it is damaged."""
    is_passphrase = b"\n-> scrypt " in sealed[:4096]
    if is_passphrase != identity.startswith(PASSPHRASE):
        return None
    try:
        if is_passphrase:
            return bytes(pyrage.passphrase.decrypt(sealed, identity.removeprefix(PASSPHRASE)))
        return bytes(pyrage.decrypt(sealed, [_parse_identity(identity)]))
    except pyrage.DecryptError as error:
        text = str(error)
        if "No matching keys" in text or (is_passphrase and "ecryption failed" in text) or "assphrase" in text:
            return None
        raise IntegrityError(f"a key file is damaged: {text}") from error


def identities_in(text: str) -> Iterator[str]:
    """The identities of a file, as `age -i` takes one; `UsageError` for anything that is none."""
    if text.startswith(PASSPHRASE):
        yield text
        return
    for key in _SSH.findall(text):
        _parse_identity(key)
        yield key
    for line in _SSH.sub("", text).splitlines():
        if line.strip() and not line.startswith("#"):
            _parse_identity(line.strip())
            yield line.strip()


def new_identity() -> str:
    """A new X25519 identity."""
    return str(pyrage.x25519.Identity.generate())


def recipient_of(identity: str) -> str:
    """The recipient that an identity opens; a passphrase is its own."""
    if identity.startswith(PASSPHRASE):
        return identity
    key = _parse_identity(identity)
    if isinstance(key, pyrage.ssh.Identity):
        raise UsageError("the public part of an ssh key is in its file with the ending .pub")
    return str(key.to_public())


def secret_of(identity: bytes) -> bytes:
    """The 32 bytes of an X25519 identity."""
    try:
        prefix, secret = bech32.decode(identity.decode().strip())
    except ValueError as error:  # UnicodeDecodeError is one
        raise IntegrityError(f"the key of the backup is not valid: {error}") from error
    if prefix != _SECRET.lower() or len(secret) != 32:
        raise IntegrityError("the key of the backup is not an X25519 identity")
    return secret


def _parse_recipient(text: str) -> Any:
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        is_secret = text.upper().startswith(_SECRET)  # which is not to be shown, and not to be given here
        raise UsageError(
            "not a recipient: an identity, which is a secret" if is_secret else f"not a recipient: '{text[:100]}'",
            hint="expected age1…, or the line of an ssh-ed25519 or ssh-rsa key",
        ) from error


def _parse_identity(text: str) -> Any:
    # What is wrong with an identity is never shown: it is a secret.
    try:
        if text.startswith(_SECRET):
            return pyrage.x25519.Identity.from_str(text)
        if text.startswith("-----BEGIN"):
            return pyrage.ssh.Identity.from_buffer(text.encode())
    except pyrage.IdentityError as error:
        raise CredentialsError("an identity cannot be used: it is malformed, or a key with a passphrase") from error
    raise CredentialsError(
        "an identity is not valid", hint=f"expected lines that begin with {_SECRET}, or an ssh key without a passphrase"
    )
