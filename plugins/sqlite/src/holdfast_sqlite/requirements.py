"""What a backup of a file needs: the rights to it and to what lies beside it, that SQLite can open it, and space.

It is opened as a dump opens it, which leaves no trace, and closed before anything of it is read.
"""

import os
from collections.abc import Iterator

from holdfast.api import CheckRequest, DumpRequest, Operation, Requirement, UsageError, quote_name
from holdfast_sqlite.dump import open_dump
from holdfast_sqlite.files import free_bytes
from holdfast_sqlite.location.path import check_source, database_path, real_path

_BESIDE = ("-wal", "-journal")
_CREDENTIALS = 12


def requirements(request: CheckRequest) -> Iterator[Requirement]:
    """Tell of the file, of the files beside it, and of the scratch folder."""
    folder = os.path.dirname(os.path.realpath(request.scratch))
    if request.operation is Operation.DRILL:
        if request.url is not None:
            raise UsageError(
                "an SQLite backup is drilled in a temporary file, not on a server",
                hint="leave out the server; set TMPDIR to choose the folder for temporary files",
            )
        yield Requirement(name="space", state="ok", detail=f"{free_bytes(folder)} bytes are free in {folder}")
        return
    if request.url is None:
        raise UsageError("there is no URL of a database")
    path = database_path(request.url)
    status = check_source(path)
    real = real_path(path)
    denied = [f"{real}{suffix}" for suffix in _BESIDE if _is_closed(f"{real}{suffix}")]
    if denied:
        yield _denied(denied)
        return
    with open_dump(_dump_request(request)) as dump:
        yield Requirement(name="file", state="ok", detail=f"{quote_name(path)}, {status.st_size} bytes")
        yield _space(folder, dump.spooled)


def _is_closed(path: str) -> bool:
    """Whether there is such a file that this user may not read; a log has to be opened, be it empty, a journal not."""
    try:
        needed = os.stat(path).st_size > 0 or path.endswith("-wal")
    except OSError:
        return False
    return needed and not os.access(path, os.R_OK)


def _denied(paths: list[str]) -> Requirement:
    named = ", ".join(map(quote_name, paths))
    return Requirement(
        name="file",
        state="failed",
        detail=f"permission denied for {named}, which holds a part of the database",
        remedy="run as a user who may read the database and the files beside it",
        exit_code=_CREDENTIALS,
    )


def _space(folder: str, needed: int) -> Requirement:
    free = free_bytes(folder)
    if not needed:
        return Requirement(name="space", state="ok", detail="none is needed for temporary files")
    if free is None:
        return Requirement(name="space", state="unknown", detail=f"{needed} bytes are needed in {folder} for a while")
    return Requirement(
        name="space",
        state="failed" if free < needed else "ok",
        detail=f"{needed} bytes are needed in {folder} for a while, {free} are free",
        remedy="set TMPDIR to a folder with more space" if free < needed else None,
        exit_code=1 if free < needed else 0,
    )


def _dump_request(request: CheckRequest) -> DumpRequest:
    return DumpRequest(
        url=request.url or "",
        scratch=request.scratch,
        options=request.options,
        select=request.select,
        exclude=request.exclude,
        exclude_kinds=request.exclude_kinds,
        allow_damaged=request.allow_damaged,
        check=False,
        proof=False,
    )
