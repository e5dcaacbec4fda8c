"""The client's option files, for what a URL leaves out: `/etc/my.cnf`, `/etc/mysql/my.cnf`, `~/.my.cnf`.

Format: MySQL 8.4 manual §6.2.2.2 "Using Option Files". Python's configparser reads neither a file that begins with
`!includedir` nor the escapes.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from holdfast.api import CredentialsError

_GROUPS = frozenset({"client", "client-server", "client-mariadb", "holdfast"})
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}
_KNOWN = frozenset(
    {"user", "password", "host", "port", "socket", "ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "ssl",
     "skip-ssl", "ssl-verify-server-cert"}
)  # fmt: skip
_DEPTH = 10


def client_options(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the option files say to clients, the last one that says it winning; names with hyphens."""
    home = environ.get("HOME") or os.path.expanduser("~")
    options: dict[str, str] = {}
    for path in (Path("/etc/my.cnf"), Path("/etc/mysql/my.cnf"), Path(home) / ".my.cnf"):
        options.update(_read(path, 0))
    return options


def _read(path: Path, depth: int) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if depth == 0 and path.name == ".my.cnf":
            raise CredentialsError(f"cannot read the option file {path}: {error.strerror}") from error
        return  # a system-wide file that we may not read says nothing to us, as to the stock clients
    group = ""
    for line in lines:
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            group = text[1:-1].strip().lower()
        elif text.startswith("!include") and depth < _DEPTH:
            yield from _include(text, path, depth)
        elif group in _GROUPS and text and text[0] not in "#;":
            name, mark, value = text.partition("=")
            name = name.strip().lower().replace("_", "-")
            if name in _KNOWN:
                yield name, _value(value) if mark else "1"


def _include(text: str, path: Path, depth: int) -> Iterator[tuple[str, str]]:
    word, _, name = text.partition(" ")
    target = path.parent / name.strip()
    if word == "!include":
        yield from _read(target, depth + 1)
    elif target.is_dir():
        for part in sorted(target.glob("*.cnf")):
            yield from _read(part, depth + 1)


def _value(text: str) -> str:
    text = text.strip()
    quoted = re.match(r"""(["'])((?:\\.|(?!\1).)*)\1""", text)
    text = quoted[2] if quoted else re.split(r"\s#|^#", text, maxsplit=1)[0].rstrip()
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text)
