"""Identities and recipients: who may open an encrypted backup, and how a run comes to know them.

An identity is a secret: it is in a file that only its owner can read, or what a command prints, or what somebody types
in; it stands in no argument, plan, log or error.
"""

import os
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence

import msgspec

from holdfast.api import Cipher
from holdfast.errors import CredentialsError, UsageError, os_error_text, quote_name

IDENTITY = "HOLDFAST_IDENTITY"
RECIPIENTS_FILE = "HOLDFAST_RECIPIENTS_FILE"
_LARGEST = 1 << 20  # bytes
_PATIENCE = 300.0  # seconds; a command may wait for somebody to touch a key


class IdentitySource(msgspec.Struct, frozen=True, kw_only=True):
    """Where identities are: in a file, printed by a command, else where the environment says, else asked for.

    `ask` is called with what to ask, where there is somebody to answer.
    """

    file: str | None = None
    command: Sequence[str] = ()
    ask: Callable[[str], str] | None = None

    def load(self, cipher: Cipher, backup_id: str, environ: Mapping[str, str] = os.environ) -> Sequence[str]:
        """The identities; `CredentialsError` where there are none, or they cannot be used."""
        path = self.file or (None if self.command else environ.get(IDENTITY) or None)
        if path is not None and self.command:
            raise UsageError("an identity is given by a file and by a command", hint="use one of them")
        if path is not None:
            text = _read_secret(path)
        elif self.command:
            text = _printed(self.command)
        elif self.ask is not None:
            text = self.ask(f"identity for {backup_id}")
        else:
            raise CredentialsError(
                f"backup {backup_id} is encrypted, and no identity was given",
                hint="give that of one of its recipients: --identity FILE or HOLDFAST_IDENTITY",
            )
        identities = cipher.identities(text)
        if not identities:
            raise CredentialsError(
                "no identity is there", hint="a file holds one in each line, as age-keygen writes it"
            )
        return identities


NO_IDENTITY = IdentitySource()  #: only what the environment names


def _read_secret(path: str) -> str:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise CredentialsError(
                    f"the identity in {quote_name(path)} can be read by others: its mode is "
                    f"{stat.S_IMODE(status.st_mode):04o}, expected 0600",
                    hint=f"chmod 600 {path}",
                )
            return file.read(_LARGEST).decode()
    except OSError as error:
        raise CredentialsError(f"cannot read the identity in {quote_name(path)}: {os_error_text(error)}") from error
    except UnicodeDecodeError as error:
        raise CredentialsError(f"the identity in {quote_name(path)} is no text") from error


def _printed(command: Sequence[str]) -> str:
    """What a command prints; what it says besides goes where ours does."""
    try:
        done = subprocess.run(
            [*command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_PATIENCE, check=False
        )
    except OSError as error:
        raise CredentialsError(
            f"cannot run the identity command {quote_name(command[0])}: {os_error_text(error)}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CredentialsError(
            f"the identity command {quote_name(command[0])} has not ended in {_PATIENCE:g} s"
        ) from error
    if done.returncode:
        raise CredentialsError(f"the identity command {quote_name(command[0])} failed with exit code {done.returncode}")
    return done.stdout[:_LARGEST].decode(errors="replace")


def recipients_of(
    cipher: Cipher, recipients: Sequence[str], file: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """All recipients: those that were given and those in a file, without either those of the environment's file."""
    lines = list(recipients)
    path = file or (environ.get(RECIPIENTS_FILE) or None if not recipients else None)
    if path is not None:
        in_file = _lines(path)
        if not in_file:  # and a backup that is not encrypted is not what was asked for
            raise UsageError(f"there is no recipient in {quote_name(path)}")
        lines += in_file
    return tuple(dict.fromkeys(cipher.recipient(line) for line in lines))


def asks_for_encryption(recipients: Sequence[str], file: str | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether anybody is to be able to open a backup who has an identity."""
    return bool(recipients or file or environ.get(RECIPIENTS_FILE))


def _lines(path: str) -> list[str]:
    """The recipients of a file: a line each, without comments."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read(_LARGEST).splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the recipients in {quote_name(path)}: {os_error_text(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the recipients in {quote_name(path)} are no text") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
