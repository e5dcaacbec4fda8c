"""From a URL to a database file: `sqlite:///relative.db`, `sqlite:////absolute.db`."""

import os
import stat
from dataclasses import replace

from holdfast.api import (
    CredentialsError,
    DatabaseURL,
    UnreachableError,
    UsageError,
    file_kind,
    file_path,
    file_url,
    os_error_text,
    quote_name,
)
from holdfast_sqlite.location.parameters import check_parameters, is_uri

_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".sqlitedb", ".s3db")
_MOST_NAMED = 3


def database_path(url: str) -> str:
    """The path that a URL names, as it is written there; `UsageError` for what names no file."""
    parsed = DatabaseURL.parse(url)
    check_parameters(parsed)
    if parsed.scheme == "file":
        raise UsageError(
            f"{parsed.redacted()} is a URI of SQLite's own",
            hint=f"write it as {file_url('sqlite', parsed.path)}",
        )
    if is_uri(parsed) and parsed.path.startswith("/file:"):  # as SQLAlchemy has it: the path is a URI
        path = parsed.path.removeprefix("/file:")
        parsed = replace(parsed, path="//" + path.lstrip("/") if path.startswith("/") else f"/{path}")
    path = file_path(parsed, title="SQLite", suffix=".db")
    if path == ":memory:":
        raise UsageError(
            "an SQLite database in memory belongs to its process and cannot be reached from here",
            hint="let that process write it to a file (VACUUM INTO), or write ./:memory: for a file of that name",
        )
    return path


def real_path(path: str) -> str:
    """The path without links, by which SQLite opens it; `UsageError` where that is another file.

    What `/proc/PID/root` leads to is told by no path: it reads as `/`, for SQLite too.
    """
    real = os.path.realpath(path)
    way, end = (path, real) if os.path.lexists(path) else (os.path.dirname(path) or ".", os.path.dirname(real))
    if _leads_elsewhere(way, end):
        raise UsageError(
            f"{quote_name(path)} cannot be opened by SQLite, for which that is {quote_name(real)}, another file",
            hint="run holdfast in that container (`nsenter --target PID --mount`, `docker exec`), or name the file "
            "where the volume of the container lies",
        )
    return real


def _leads_elsewhere(way: str, end: str) -> bool:
    """Whether two paths are those of two files, or the second one of none; a disk that does not answer says nothing."""
    try:
        status = os.stat(way)
        try:
            return not os.path.samestat(status, os.stat(end))
        except (FileNotFoundError, NotADirectoryError):
            return True
    except OSError:
        return False


def check_source(path: str) -> os.stat_result:
    """Make sure that there is a readable file, without opening it: see `holdfast_sqlite.child` for why not."""
    where = f"database {quote_name(path)}"
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreachableError(f"{where} does not exist", hint=_hint_if_missing(path)) from error
    except PermissionError as error:
        raise CredentialsError(
            f"{where} cannot be reached: permission denied{_closed_folder(path)}",
            hint="run as a user who may search that folder",
        ) from error
    except OSError as error:
        raise UnreachableError(f"{where} cannot be reached: {os_error_text(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{where} is a folder, and an SQLite URL names a file", hint=_files_within(path))
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{where} is {file_kind(status.st_mode)}, not a regular file")
    if not os.access(path, os.R_OK):
        raise CredentialsError(
            f"{where} cannot be read: permission denied (it belongs to user {status.st_uid}, "
            f"mode {stat.S_IMODE(status.st_mode):04o})",
            hint="run as its owner or as a user who may read it",
        )
    return status


def _hint_if_missing(path: str) -> str | None:
    """What a relative path that leads nowhere may have been meant for."""
    if os.path.islink(path):
        return f"it is a link to {os.readlink(path)}, which is not there"
    if "*" in path:
        return "add --all-databases to back up every database that the pattern fits; an asterisk in a name is %2A"
    if not os.path.isabs(path) and os.path.exists(f"/{path}"):
        return f"sqlite:/// with three slashes is a relative path: write it as {file_url('sqlite', '/' + path)}"
    return None


def _closed_folder(path: str) -> str:
    """The first folder on the way that may not be searched."""
    folder = os.path.dirname(os.path.abspath(path))
    parts = folder.split("/")
    for number in range(2, len(parts) + 1):
        part = "/".join(parts[:number])
        if os.path.isdir(part) and not os.access(part, os.X_OK):
            return f" for the folder {quote_name(part)}"
    return ""


def _files_within(path: str) -> str:
    """Name files of a folder that may be meant; none is opened."""
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(_SUFFIXES))
    except OSError:
        names = []
    urls = [file_url("sqlite", os.path.join(path, name)) for name in names[:_MOST_NAMED]]
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    every = "; backup --all-databases takes every database in the folder"
    return (f"name the file: {' '.join(urls)}{more}" if urls else "name the file in it") + every
