"""Key files: the key of an encrypted backup, sealed to one recipient each, in the folder `keys` of the backup.

They are added and removed after the publication, and none is ever changed, so that they stand neither in the manifest
nor in `SHA256SUMS`: their names say whom they are for, as a digest, and what they hold.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from holdfast.api import Cipher, Stat, Storage
from holdfast.errors import IntegrityError, os_error_text, quote_name
from holdfast.store._notes import STAMP, time_of_note
from holdfast.store.names import KEYS

_NAME = re.compile(STAMP + r"-([0-9a-f]{16})-([0-9a-f]{16})(\.[A-Za-z0-9]{1,20})")
_DIGITS = 16
_LARGEST = 1 << 20  # bytes


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """A key file by its name: when it was made (UTC), a digest of whom it is for, and one of what it holds."""

    path: str
    time: datetime
    recipient: str
    digest: str


def recipient_digest(recipient: str) -> str:
    """What stands for a recipient in the names of key files."""
    return hashlib.sha256(f"holdfast\0{recipient}".encode()).hexdigest()[:_DIGITS]


def parse_key_name(name: str) -> KeyFile | None:
    """Read a key file from its name; None for a file that is none."""
    match = _NAME.fullmatch(name)
    time = time_of_note(match[1]) if match else None
    if match is None or time is None:
        return None
    return KeyFile(path=f"{KEYS}/{name}", time=time, recipient=match[2], digest=match[3])


def key_files_in(paths: Iterable[str]) -> list[KeyFile]:
    """The key files among the files of a backup, the newest first."""
    names = [path.removeprefix(f"{KEYS}/") for path in paths if path.startswith(f"{KEYS}/")]
    return sorted(filter(None, map(parse_key_name, names)), key=lambda file: file.path, reverse=True)


def new_key_file(cipher: Cipher, secret: bytes, recipient: str) -> tuple[str, bytes]:
    """Seal the key of a backup to a recipient: the path in the folder of the backup, and what the file holds."""
    data = cipher.wrap(secret, recipient)
    digest = hashlib.sha256(data).hexdigest()[:_DIGITS]
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{KEYS}/{now}-{recipient_digest(recipient)}-{digest}{cipher.suffix}", data


def read_key_file(storage: Storage, folder: str, file: KeyFile) -> bytes:
    """What a key file holds; `IntegrityError` where that is not what its name says."""
    try:
        data = bytes(storage.read(f"{folder}/{file.path}", 0, _LARGEST))
    except OSError as error:
        raise IntegrityError(f"cannot read {quote_name(file.path)}: {os_error_text(error)}") from error
    if hashlib.sha256(data).hexdigest()[:_DIGITS] != file.digest:
        raise IntegrityError(f"{quote_name(file.path)} is not what was stored")
    return data


def key_problems(storage: Storage, folder: str, files: Iterable[str]) -> Iterator[str]:
    """What is wrong with the key files of a backup, a line each."""
    there = key_files_in(files)
    if not there:
        yield f"there is no key file in its folder {KEYS}: nobody can open it"
    for file in there:
        try:
            read_key_file(storage, folder, file)
        except IntegrityError as error:
            yield error.message


def has_keys(files: dict[str, Stat]) -> bool:
    """Whether an encrypted backup has a key file."""
    return bool(key_files_in(files))
