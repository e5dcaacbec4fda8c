"""SQLite's own checks, run on an image; what they say is one line each."""

import sqlite3

from holdfast.api import CredentialsError, HoldfastError, IntegrityError, LockedError, UnreachableError

ERRORS: dict[str, type[HoldfastError]] = {
    "BUSY": LockedError,
    "LOCKED": LockedError,
    "PROTOCOL": LockedError,
    "CORRUPT": IntegrityError,
    "NOTADB": IntegrityError,
    "FORMAT": IntegrityError,
    "CANTOPEN": UnreachableError,
    "PERM": CredentialsError,
    "AUTH": CredentialsError,
}


def quick_check(path: str, limit: int = 10) -> list[str]:
    """Run `PRAGMA quick_check` on a file that nobody else uses; the problems found, none is well.

    About 1.3 s a GB. The pragma reports problems as rows and exits well, so that its rows have to be read; on
    some damaged files its text is not even UTF-8.
    """
    return _run(path, f"quick_check({limit:d})")


def integrity_check(path: str, limit: int = 100) -> list[str]:
    """Run `PRAGMA integrity_check`, which compares indexes with their tables as well: about 4 s a GB."""
    return _run(path, f"integrity_check({limit:d})")


def _run(path: str, pragma: str) -> list[str]:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        connection.text_factory = lambda raw: raw.decode(errors="backslashreplace")
        rows = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    finally:
        connection.close()
    lines = [" ".join(line.split()) for row in rows for line in row.splitlines()]
    return [] if lines == ["ok"] else [line for line in lines if line]


def database_error(error: sqlite3.Error, what: str) -> HoldfastError:
    """Say what SQLite's error means for a backup."""
    name = getattr(error, "sqlite_errorname", "")
    kind = ERRORS.get(name.split("_")[1] if name.startswith("SQLITE_") else "", HoldfastError)
    return kind(f"{what}: {error}")
