"""Scratch: the temporary file that a drill restores into, SQLite's full check of it, and its proof.

It lies in the drill's own scratch folder, which the core locks and removes, also after a drill that was killed.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from urllib.parse import quote

from holdfast.api import IntegrityError, ObjectProof, Proof, ScratchRequest, UsageError
from holdfast_sqlite.child.check import is_damage, quick_check
from holdfast_sqlite.content import describe
from holdfast_sqlite.proof import METHOD, assemble
from holdfast_sqlite.uri import sqlite_uri

_LIMIT = 100  # problems told


class ScratchFile:
    """The database of one drill."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.url = f"sqlite:///{quote(path, safe='/', errors='surrogateescape')}"
        self.server_version = sqlite3.sqlite_version

    def check(self) -> Sequence[str]:
        """Run `PRAGMA integrity_check`, which compares every index with its table; about 4 s a GB.

        Where it needs a collation or function of an application's own, quick_check has to do.
        """
        if not os.path.getsize(self._path):
            return []  # no bytes at all are an empty database
        with closing(self._open()) as connection:
            connection.text_factory = lambda raw: raw.decode(errors="backslashreplace")
            # A row that breaks a CHECK is wrong for the application, not for SQLite.
            connection.execute("PRAGMA ignore_check_constraints=1")
            try:
                rows = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_LIMIT:d})")]
            except sqlite3.DatabaseError as error:
                rows = [str(error)] if is_damage(error) else quick_check(connection)[0] or ["ok"]
        lines = [" ".join(line.split()) for row in rows for line in row.splitlines()]
        return [] if lines == ["ok"] else [f"integrity_check: {line}" for line in lines if line]

    def _open(self) -> sqlite3.Connection:
        # immutable: opening it must not make side files, and nobody else has it
        return sqlite3.connect(sqlite_uri(self._path, "ro&immutable=1"), uri=True)

    def proof(self, recorded: Proof) -> Proof:
        """Describe the restored database as its source was described."""
        try:
            with closing(self._open()) as connection:
                described = describe(connection, digests=bool(recorded.settings.get("digests")), tolerate=True)
        except sqlite3.Error as error:
            raise IntegrityError(f"the restored database cannot be read: {error}") from error
        images = [
            ObjectProof(kind="stream", name=one.name, digest=_digest(self._path))
            for one in recorded.objects
            if one.kind == "stream"
        ]
        found = assemble(described, image=None)
        return Proof(method=METHOD, objects=(*images, *found.objects), settings=recorded.settings)


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[ScratchFile]:
    """Name the scratch file; its folder and all that is in it are removed by the core."""
    if request.into is not None:
        raise UsageError(
            "an SQLite backup is drilled in a temporary file, not on a server",
            hint="leave --into away; TMPDIR names the folder for temporary files",
        )
    yield ScratchFile(os.path.realpath(request.scratch / "restored.sqlite"))


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
