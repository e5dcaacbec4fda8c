"""From a URL to a database file: `sqlite:///relative.db`, `sqlite:////absolute.db`."""

import os
import stat

from holdfast.api import (
    CredentialsError,
    DatabaseURL,
    IntegrityError,
    UnreachableError,
    UsageError,
    os_error_text,
    quote_name,
)


def database_path(url: str) -> str:
    """The path that a URL names, as it is written there; `UsageError` for what names no file."""
    parsed = DatabaseURL.parse(url)
    if parsed.hosts or parsed.user is not None or (parsed.path and not parsed.path.startswith("/")):
        raise UsageError(
            f"the URL {parsed.redacted()} names a host, and SQLite has files",
            hint="sqlite:///relative.db has three slashes, sqlite:////absolute/path.db has four",
        )
    if parsed.query:
        raise UsageError(
            f"an SQLite URL takes no parameters, found ?{parsed.query[0][0]}=",
            hint="write a ? in a file name as %3F",
        )
    path = parsed.path[1:]
    if not path or "\0" in path:
        raise UsageError("the SQLite URL names no file", hint="sqlite:///relative.db, sqlite:////absolute/path.db")
    if path == ":memory:":
        raise UsageError(
            "an SQLite database in memory belongs to its process and cannot be reached from here",
            hint="let that process write it to a file (VACUUM INTO), or write ./:memory: for a file of that name",
        )
    return path


def check_source(path: str) -> os.stat_result:
    """Make sure that there is a readable file, without opening it: see `holdfast_sqlite.child` for why not."""
    where = f"database {quote_name(path)}"
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise IntegrityError(f"{where} is not a regular file")
        if not os.access(path, os.R_OK):
            raise CredentialsError(f"{where} cannot be read: permission denied")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreachableError(f"{where} does not exist") from error
    except PermissionError as error:
        raise CredentialsError(f"{where} cannot be reached: permission denied") from error
    except OSError as error:
        raise UnreachableError(f"{where} cannot be reached: {os_error_text(error)}") from error
    return status
