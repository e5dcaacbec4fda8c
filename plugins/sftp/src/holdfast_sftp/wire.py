"""Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), with the extensions that OpenSSH lists in its PROTOCOL."""

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass

VERSION = 3
DATA_HEAD = 9  # bytes of a packet before what was read
LARGEST = 1 << 20  # bytes of a packet; OpenSSH sends 256 KiB at most

INIT, HELLO = 1, 2
OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT = 3, 4, 5, 6, 7, 8, 9
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME = 11, 12, 13, 14, 15, 16, 17, 18
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
EXTENDED, EXTENDED_REPLY = 200, 201

FOR_READING, FOR_WRITING, CREATE, EXCLUSIVE = 1, 2, 8, 32  # of OPEN

HARDLINK, FSYNC = b"hardlink@openssh.com", b"fsync@openssh.com"
LIMITS, STATVFS = b"limits@openssh.com", b"statvfs@openssh.com"

_SIZE, _IDS, _MODE, _TIMES, _MORE = 1, 2, 4, 8, 0x8000_0000
_TEXTS = {4: "failure", 5: "bad message", 6: "no connection", 7: "connection lost", 8: "operation unsupported"}

_UINT = struct.Struct(">I")
_UINT64 = struct.Struct(">Q")
_HEAD = struct.Struct(">IBI")  # of a request: length, type, id


class ProtocolError(Exception):
    """What came is no packet of SFTP."""


class ServerError(OSError):
    """The server says that something failed, and hardly ever why."""


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What the server tells of a file; None where it does not."""

    size: int | None = None
    mode: int | None = None
    accessed: int | None = None
    modified: int | None = None  #: seconds since 1970, by the server's clock


class Fields:
    """Takes a packet apart, from its beginning on."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    def uint(self) -> int:
        """Take 32 bits."""
        return self._number(_UINT)

    def uint64(self) -> int:
        """Take 64 bits."""
        return self._number(_UINT64)

    def text(self) -> bytes:
        """Take a string with its length."""
        size = self.uint()
        if self._at + size > len(self._data):
            raise ProtocolError("a packet ends within a string")
        begin, self._at = self._at, self._at + size
        return self._data[begin : self._at]

    def attributes(self) -> Attributes:
        """Take what is told of a file."""
        flags = self.uint()
        size = self.uint64() if flags & _SIZE else None
        if flags & _IDS:
            self.uint64()
        mode = self.uint() if flags & _MODE else None
        accessed, modified = (self.uint(), self.uint()) if flags & _TIMES else (None, None)
        for _ in range(self.uint() if flags & _MORE else 0):
            self.text()
            self.text()
        return Attributes(size=size, mode=mode, accessed=accessed, modified=modified)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Take names with their values until the end."""
        while self._at < len(self._data):
            yield self.text(), self.text()

    def _number(self, form: struct.Struct) -> int:
        if self._at + form.size > len(self._data):
            raise ProtocolError("a packet ends within a number")
        (value,) = form.unpack_from(self._data, self._at)
        self._at += form.size
        return int(value)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered to a request."""

    kind: int
    data: bytes  # the whole packet: its kind, the number of the request, what is told; of what was read that alone

    def fields(self, kind: int, path: str) -> Fields:
        """Take it apart if it is of the kind that is expected, else raise what it says instead."""
        if self.kind == kind:
            return Fields(self.data, 5)
        raise self.refusal(path) or ProtocolError(f"the server answers with a packet of kind {self.kind}")

    def content(self, path: str) -> bytes:
        """What was read, if it is that, else raise what it says instead."""
        if self.kind == DATA:
            return self.data
        self.fields(DATA, path)
        raise AssertionError

    @property
    def status(self) -> int | None:
        """The code of a status, None of what is none."""
        return Fields(self.data, 5).uint() if self.kind == STATUS else None

    def check(self, path: str) -> None:
        """Raise what it says if that is not that all went well."""
        if error := self.refusal(path):
            raise error

    def refusal(self, path: str) -> OSError | EOFError | None:
        """What went wrong, as the error that the system would raise, as far as the server tells."""
        if self.kind != STATUS:
            return None
        fields = Fields(self.data, 5)
        code = fields.uint()
        text = b"" if len(self.data) < 13 else fields.text()
        told = " ".join(text.decode(errors="replace").split())[:300] or _TEXTS.get(code, f"error {code}")
        match code:
            case 0:
                return None
            case 1:
                return EOFError()
            case 2:
                return FileNotFoundError(errno.ENOENT, told, path)
            case 3:
                return PermissionError(errno.EACCES, told, path)
            case 8:
                return ServerError(errno.ENOSYS, told, path)
        return ServerError(None, told, path)


def string(data: bytes) -> bytes:
    """A string with its length."""
    return _UINT.pack(len(data)) + data


def uint(value: int) -> bytes:
    """32 bits."""
    return _UINT.pack(value)


def uint64(value: int) -> bytes:
    """64 bits."""
    return _UINT64.pack(value)


def mode_only(mode: int) -> bytes:
    """Attributes that say nothing but the rights of a file."""
    return uint(_MODE) + uint(mode)


def times_only(accessed: int, modified: int) -> bytes:
    """Attributes that say nothing but the times of a file."""
    return uint(_TIMES) + uint(accessed) + uint(modified)


def head(kind: int, number: int, size: int) -> bytes:
    """The beginning of a request whose own fields have `size` bytes."""
    return _HEAD.pack(size + 5, kind, number)


def hello() -> bytes:
    """The first packet, which is no request."""
    return uint(5) + bytes([INIT]) + uint(VERSION)


def packet_size(announced: bytes) -> int:
    """The size of the packet that four bytes announce."""
    (size,) = _UINT.unpack(announced)
    if not 1 <= size <= LARGEST:
        raise ProtocolError(f"a packet of {size} bytes is announced")
    return int(size)
