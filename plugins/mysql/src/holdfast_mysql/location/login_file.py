"""The login file of MySQL's client programs, `~/.mylogin.cnf`, which `mysql_config_editor` writes.

It is an option file whose lines are encrypted one by one, with a key that stands at its beginning: that hides them from
a glance and from nobody else (MySQL 8.4 manual §6.6.7; mysys/my_default.c, read_encrypted_file). Only its owner may be
able to read it.
"""

import logging
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from holdfast.api import UsageError

log = logging.getLogger("holdfast.mysql")

_UNUSED, _KEY, _BLOCK = 4, 20, 16  # bytes
_OTHERS = stat.S_IXUSR | stat.S_IRWXG | stat.S_IRWXO


def login_lines(environ: Mapping[str, str]) -> tuple[Path, list[str]]:
    """The file and its lines; none where there is no file, or others may read it, which the client programs warn of."""
    path = Path(environ.get("MYSQL_TEST_LOGIN_FILE") or Path(environ.get("HOME") or "~").expanduser() / ".mylogin.cnf")
    try:
        if path.stat().st_mode & _OTHERS:
            log.warning("login file %s is passed over, because not only its owner may read it", path)
            return path, []
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return path, []
    except OSError as error:
        log.warning("login file %s is passed over: %s", path, os.strerror(error.errno or 0))
        return path, []
    try:
        text = b"".join(_decrypted(data))
    except (ValueError, struct.error) as error:
        raise UsageError(f"the login file {path} cannot be read", hint="write it anew: mysql_config_editor") from error
    return path, text.decode(errors="surrogateescape").split("\n")


def _decrypted(data: bytes) -> Iterator[bytes]:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    key = bytearray(_BLOCK)
    if len(data) < _UNUSED + _KEY:
        raise ValueError("no key")
    for index, byte in enumerate(data[_UNUSED : _UNUSED + _KEY]):
        key[index % _BLOCK] ^= byte
    cipher = Cipher(algorithms.AES(bytes(key)), modes.ECB())  # noqa: S305 (the format's choice)
    place = _UNUSED + _KEY
    while place < len(data):
        (size,) = struct.unpack_from("<i", data, place)
        place += 4
        if size <= 0 or place + size > len(data):
            raise ValueError("a line is cut off")
        decryptor, unpadder = cipher.decryptor(), PKCS7(8 * _BLOCK).unpadder()
        padded = decryptor.update(data[place : place + size]) + decryptor.finalize()
        yield unpadder.update(padded) + unpadder.finalize()
        place += size
