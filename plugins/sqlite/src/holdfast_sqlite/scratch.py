"""Scratch: the temporary file that a drill restores into, SQLite's full check of it, and its proof.

It lies in the drill's own scratch folder, which the core locks and removes, also after a drill that was killed.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from urllib.parse import quote

from holdfast.api import HoldfastError, IntegrityError, ObjectProof, Proof, ScratchRequest, UsageError
from holdfast_sqlite.child.check import integrity_check, quick_check
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.proof.content import describe
from holdfast_sqlite.proof.record import METHOD, assemble


class ScratchFile:
    """The database of one drill."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.url = f"sqlite:///{quote(path, safe='/', errors='surrogateescape')}"
        self.server_version = sqlite3.sqlite_version

    def check(self) -> Sequence[str]:
        """Run `PRAGMA integrity_check`, which compares every index with its table; about 4 s a GB."""
        with closing(self._connect()) as connection:
            problems, unchecked = integrity_check(connection)
            if unchecked:  # it takes a collation or module of the application's own: do what goes without
                problems, unchecked = quick_check(connection)
        if unchecked:
            raise HoldfastError(f"the restored database cannot be checked: {unchecked}")
        return [f"integrity_check: {problem}" for problem in problems]

    def _connect(self) -> sqlite3.Connection:
        # immutable: opening it must not make side files, and nobody else has it
        return sqlite3.connect(sqlite_uri(self._path, "ro&immutable=1"), uri=True)

    def proof(self, recorded: Proof) -> Proof:
        """Describe the restored database as its source was described."""
        try:
            with closing(self._connect()) as connection:
                described = describe(connection, digests=bool(recorded.settings.get("digests")), tolerate=True)
        except sqlite3.Error as error:
            raise IntegrityError(f"the restored database cannot be read: {error}") from error
        images = [
            ObjectProof(kind="stream", name=entry.name, digest=_digest(self._path))
            for entry in recorded.objects
            if entry.kind == "stream"
        ]
        restored = assemble(described, image=None)
        return Proof(method=METHOD, objects=(*images, *restored.objects), settings=recorded.settings)


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[ScratchFile]:
    """Name the scratch file; its folder and all that is in it are removed by the core."""
    if request.into is not None:
        raise UsageError(
            "an SQLite backup is drilled in a temporary file, not on a server",
            hint="leave out --into; set TMPDIR to choose the folder for temporary files",
        )
    yield ScratchFile(os.path.realpath(request.scratch / "restored.sqlite"))


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
