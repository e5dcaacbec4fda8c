"""Scratch: the temporary file that a drill restores into, SQLite's full check of it, and its proof.

It lies in the drill's own scratch folder, which the core locks and removes, also after a drill that was killed. An
image that has arrived there is its source to the byte, because the core has compared its digest: what is wrong in it,
and could be read as it was, was so in the source.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from urllib.parse import quote

from holdfast.api import (
    HoldfastError,
    IntegrityError,
    ObjectProof,
    PluginError,
    Proof,
    ScratchRequest,
    UsageError,
    os_error_text,
    quote_name,
)
from holdfast_sqlite.catalog import printable
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.child.check import integrity_check, is_damage
from holdfast_sqlite.extensions import load_extensions
from holdfast_sqlite.files import read_through
from holdfast_sqlite.header import read_header
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.proof.content import METHODS, Content, describe
from holdfast_sqlite.proof.record import assemble, in_terms_of

_OF_THE_DISK = ("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN")
_DISK = "look at that disk (dmesg), or set TMPDIR to a folder on another: it says nothing about the backup"


class ScratchFile:
    """The database of one drill; `faults` are those of its source, `warnings` what could not be checked."""

    def __init__(self, path: str, request: ScratchRequest) -> None:
        self._path = path
        self._made_by = request.server_version
        self._extensions = request.options.extensions
        self.url = f"sqlite:///{quote(path, safe='/', errors='surrogateescape')}"
        self.server_version = sqlite3.sqlite_version
        self.faults: Sequence[str] = ()
        self.warnings: list[str] = []

    def check(self) -> Sequence[str]:
        """Run `PRAGMA integrity_check`, which compares every index with its table; about 4 s a GB."""
        with closing(self._connect()) as connection, self._errors():
            verdict = integrity_check(connection, header=read_header(self._path))
            problems, self.faults, unchecked = verdict.damage, verdict.faults, verdict.unchecked
        if problems:
            self._read_through()
        if verdict.void and unchecked:
            raise self._unreadable(unchecked[0])
        self.warnings += unchecked
        return [f"integrity_check: {problem}" for problem in problems]

    def _connect(self) -> sqlite3.Connection:
        # To be written to, which nothing does: SQLite 3.44 checks no full-text index, and none any CHECK, otherwise.
        connection = sqlite3.connect(sqlite_uri(self._path, "rw"), uri=True, isolation_level=None)
        try:
            load_extensions(connection, self._extensions)
        except TaskError as error:
            raise UsageError(str(error), hint=error.hint) from error
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say of the disk, and not of the backup, what the place of the drill refuses."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if not name.startswith(_OF_THE_DISK):
                raise
            raise self._failed(f"{error} ({name})") from error
        except MemoryError as error:
            raise HoldfastError("there is not enough memory to check the restored database") from error

    def _failed(self, why: str) -> HoldfastError:
        return HoldfastError(
            f"the restored database could not be checked in {quote_name(self._path)}: {why}", hint=_DISK
        )

    def _read_through(self) -> None:
        """See that what SQLite takes for damage can be read at all."""
        try:
            with open(self._path, "rb") as file:
                read_through(file.fileno())
        except OSError as error:
            raise self._failed(os_error_text(error)) from error

    def _unreadable(self, why: str) -> HoldfastError:
        made_by = f", or the {self._made_by} that made the backup" if self._made_by else ""
        return PluginError(
            f"the restored database cannot be compared by SQLite {sqlite3.sqlite_version}: {why}",
            hint=f"drill it with a newer SQLite{made_by}: the backup may well be sound",
        )

    def proof(self, recorded: Proof) -> Proof:
        """Describe the restored database as its source was described."""
        if recorded.method not in METHODS:
            return Proof(method=METHODS[0])
        images = [
            ObjectProof(kind="stream", name=entry.name, digest=_digest(self._path))
            for entry in recorded.objects
            if entry.kind == "stream"
        ]
        content = self._describe(recorded)
        restored = assemble(content.objects, image=None, method=recorded.method)
        unread = self._unread(recorded, content, as_image=any(entry in recorded.objects for entry in images))
        compared = in_terms_of(recorded, restored, unread)
        return Proof(method=recorded.method, objects=(*images, *compared.objects), settings=recorded.settings)

    def _describe(self, recorded: Proof) -> Content:
        digests = bool(recorded.settings.get("digests"))
        try:
            with closing(self._connect()) as connection, self._errors():
                return describe(connection, digests=digests, tolerate=True, method=recorded.method)
        except sqlite3.Error as error:
            if is_damage(error):
                self._read_through()
                raise IntegrityError(f"the restored database cannot be read: {error}") from error
            raise self._unreadable(str(error)) from error

    def _unread(self, recorded: Proof, content: Content, *, as_image: bool) -> list[str]:
        """The virtual tables that this library cannot read, and whose content the image as a whole has proven."""
        known = {entry.name for entry in recorded.objects if entry.kind == "table" and entry.rows is not None}
        for name, why in content.unread.items():
            if printable(name) in known:
                raise self._unreadable(f"table {printable(name)}: {why}")
        virtual = {printable(name): why for name, why in content.unread_virtual.items()}
        for name, why in virtual.items():
            if name in known and not as_image:
                raise self._unreadable(f"virtual table {name}: {why}")
        return list(virtual)


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[ScratchFile]:
    """Name the scratch file; its folder and all that is in it are removed by the core."""
    if request.into is not None:
        raise UsageError(
            "an SQLite backup is drilled in a temporary file, not on a server",
            hint="leave out --into; set TMPDIR to choose the folder for temporary files",
        )
    yield ScratchFile(os.path.realpath(request.scratch / "restored.sqlite"), request)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
