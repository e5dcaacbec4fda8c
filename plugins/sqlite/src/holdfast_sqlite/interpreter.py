"""The Python that runs child processes: not always `sys.executable`, which inside of a server is the server itself."""

import os
import re
import sys
from collections.abc import Mapping
from functools import cache

from holdfast.api import HoldfastError, UsageError, quote_name

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_PYTHON = re.compile(r"\.?(python|pypy|graalpy)[\w.+-]*", re.IGNORECASE)


def interpreter(environ: Mapping[str, str] = os.environ) -> str:
    """The path of it: `HOLDFAST_PYTHON`, else that of this process, else one of the same version where that lies.

    uWSGI, mod_wsgi and programs that bring a frozen Python have themselves as `sys.executable`: to start that anew
    would be a second server.
    """
    given = environ.get("HOLDFAST_PYTHON")
    if given:
        if not os.path.isabs(given) or not os.access(given, os.X_OK):
            raise UsageError(
                f"HOLDFAST_PYTHON is {quote_name(given)}, expected the absolute path of a Python {_VERSION}"
            )
        return given
    return _own(sys.executable)


@cache
def _own(executable: str | None) -> str:
    folders = (sys.exec_prefix, sys.base_exec_prefix)
    names = (f"python{_VERSION}", "python3")
    candidates = [executable or "", *(os.path.join(folder, "bin", name) for name in names for folder in folders)]
    if getattr(sys, "frozen", False):
        candidates = []
    for path in candidates:
        if _PYTHON.fullmatch(os.path.basename(path)) and os.access(path, os.X_OK):
            return path
    raise HoldfastError(
        "there is no Python interpreter to run the SQLite engine's child process with: this program is "
        f"{quote_name(executable or 'nameless')}, which is none",
        hint=f"set HOLDFAST_PYTHON to the path of a Python {_VERSION}",
    )
