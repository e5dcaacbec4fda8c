"""PostgreSQL's client programs: the lowest major version that is not older than the server or archive.

pg_dump refuses a server newer than itself; the dump of a newer one is less likely to load into an older server.
"""

import glob
import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from holdfast.api import PluginError, quote_name
from holdfast_postgres.url_parameters import known_since

log = logging.getLogger("holdfast.postgres.client")

VARIABLE = "HOLDFAST_PG_BINDIR"
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)(?:\.(\d+))?\S*)")
_NEEDED = ("pg_dump", "pg_restore", "psql")


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """The client programs of one folder; `version` is pg_dump's."""

    folder: str
    version: str
    major: int
    minor: int

    def path(self, name: str) -> str:
        """The full path of one of them; `PluginError` if it is not there."""
        path = os.path.join(self.folder, name)
        if not self.has(name):
            raise PluginError(f"there is no {name} in {self.folder}, where pg_dump is", hint=_install_hint(self.major))
        return path

    def has(self, name: str) -> bool:
        """Whether one of them is there."""
        return os.access(os.path.join(self.folder, name), os.X_OK)

    def as_versions(self, *names: str) -> dict[str, str]:
        """Programs and versions for the manifest."""
        return dict.fromkeys(names, self.version)


def find_programs(at_least: int, *, why: str, parameters: Mapping[str, str] | None = None) -> Programs:
    """The programs to use for a server or archive of major version `at_least`; `why` completes the error.

    They know the `parameters` of libpq that they will get.
    """
    since, name = known_since(parameters or {})
    if since > at_least:
        at_least, why = since, f"{why} reached with the parameter {quote_name(name)}"
    sets = installed_programs()
    fitting = [programs for programs in sets if programs.major >= at_least]
    if fitting:
        return min(fitting, key=lambda programs: programs.major)
    if not sets:
        where = f" in {VARIABLE}={os.environ[VARIABLE]}" if os.environ.get(VARIABLE) else ""
        raise PluginError(
            f"there are no PostgreSQL client programs{where}, and {why} needs pg_dump, pg_restore and psql "
            f"of version {at_least} or newer",
            hint=_install_hint(at_least),
        )
    newest = max(sets, key=lambda programs: programs.major)
    raise PluginError(
        f"{why} needs client programs of version {at_least} or newer, found {newest.version} in {newest.folder}",
        hint=_install_hint(at_least),
    )


def look_ahead() -> None:
    """Ask the programs for their versions in a thread, 25 ms that `find_programs` need not wait for later."""
    threading.Thread(target=_look, name="holdfast-programs", daemon=True).start()


def _look() -> None:
    try:
        installed_programs()
    except OSError:
        log.debug("cannot look for client programs yet", exc_info=True)  # `find_programs` says why


def installed_programs() -> list[Programs]:
    """The complete sets of client programs, one for each folder, those on PATH first."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        folders = [chosen]
    else:
        known = [path for pattern in _FOLDERS for path in sorted(glob.glob(pattern))]
        folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *known]
    unique = dict.fromkeys(os.path.realpath(folder) for folder in folders if folder)
    return [programs for folder in unique if (programs := _programs_in(folder)) is not None]


def _programs_in(folder: str) -> Programs | None:
    path = os.path.join(folder, "pg_dump")
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        return None
    # Debian's /usr/bin/pg_dump is a script that picks a version by its own rules, and costs 60 ms a call.
    if os.path.basename(os.path.realpath(path)) == "pg_wrapper":
        return None
    if any(shutil.which(os.path.join(folder, name)) is None for name in _NEEDED):
        return None
    return _read_version(path, changed)


@lru_cache(maxsize=64)
def _read_version(path: str, changed: int) -> Programs | None:
    del changed  # a part of the key: an upgrade puts other programs in the same place
    try:
        output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # a program for another machine, or half of one: as good as none
    match = _VERSION.search(output)
    if match is None:
        return None
    return Programs(folder=os.path.dirname(path), version=match[1], major=int(match[2]), minor=int(match[3] or 0))


def _install_hint(major: int) -> str:
    return f"install postgresql-client-{major} or newer, or set {VARIABLE} to a folder with such programs"
