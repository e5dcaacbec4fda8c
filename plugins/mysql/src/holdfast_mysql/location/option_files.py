"""The client's option files, for what a URL leaves out, read as the client programs read them.

Sources: mysys/my_default.c of MySQL and MariaDB; MySQL 8.4 manual §6.2.2.2 "Using Option Files". In particular: a `#`
outside of quotes begins a comment, wherever it stands; relative names of `!include` begin in the current folder; a file
that everybody may write to is passed over; what makes the client programs give up is an error here too.
"""

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from holdfast.api import CredentialsError, UsageError, quote_name
from holdfast_mysql.location.login_file import login_lines

log = logging.getLogger("holdfast.mysql")

_GROUPS = frozenset({"client", "client-server", "client-mariadb", "holdfast"})
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}
_FLAGS = frozenset({"ssl", "ssl-verify-server-cert"})
_KNOWN = _FLAGS | frozenset(
    """
    host password port protocol socket ssl-ca ssl-capath ssl-cert ssl-crl ssl-key ssl-mode user
    """.split()  # noqa: SIM905
)
# Options of the client programs that begin like those above: an option may be cut short as long as it is one alone.
_OTHERS = frozenset(
    """
    help histignore html pager plugin-dir print-defaults progress-reports prompt safe-updates sandbox secure-auth
    select-limit server-public-key-path show-warnings sigint-ignore ssl-cipher ssl-crlpath ssl-fips-mode syslog
    system-command unbuffered
    """.split()  # noqa: SIM905
)
_DEPTH = 10
_SPACE = " \t\n\v\f\r"


def client_options(
    environ: Mapping[str, str] = os.environ, *, path: str = "", group: str = "", login: bool = False
) -> dict[str, str]:
    """What the option files say to clients, the last one that says it winning; names in full, with hyphens.

    With `path` that file alone, with `group` that one of its groups too, as drivers do for `read_default_file`. With
    `login` the login file of MySQL's programs comes last, in which a group is a login path.
    """
    groups = _GROUPS | ({group.lower()} if group else frozenset())
    if suffix := environ.get("MYSQL_GROUP_SUFFIX", "").lower():
        groups |= {name + suffix for name in groups}
    options: dict[str, str] = {}
    for place in [Path(path)] if path else _places(environ):
        if path and not place.is_file():
            raise UsageError(f"the option file {quote_name(path)} does not exist")
        for section, name, value in entries(place):
            if section.lower() in groups:
                _take(options, name, value)
    if login and not path:
        file, lines = login_lines(environ)
        for section, name, value in _entries(file, lines, 0):
            if section.lower() in groups:
                _take(options, name, value)
    return options


def _places(environ: Mapping[str, str]) -> list[Path]:
    homes = [environ["MYSQL_HOME"]] if environ.get("MYSQL_HOME") else []
    home = environ.get("HOME") or os.path.expanduser("~")
    return [*(Path(folder) / "my.cnf" for folder in ("/etc", "/etc/mysql", *homes)), Path(home) / ".my.cnf"]


def _take(options: dict[str, str], name: str, value: str | None) -> None:
    """Note an option; a flag is "1" or "0", and a password without a value means to ask for one."""
    name = name.replace("_", "-").lower().removeprefix("loose-")
    for prefix, said in (("skip-", False), ("disable-", False), ("enable-", True)):
        if name.startswith(prefix) and name.removeprefix(prefix) in _FLAGS:
            name, value = name.removeprefix(prefix), str(int(said != (value == "0")))
    fitting = [name] if name in _KNOWN else [known for known in _KNOWN | _OTHERS if known.startswith(name)]
    if len(fitting) != 1 or fitting[0] not in _KNOWN:
        return
    if value is None and fitting[0] not in _FLAGS:
        options.pop(fitting[0], None)
    else:
        options[fitting[0]] = "1" if value is None else value


def entries(path: Path, depth: int = 0) -> Iterator[tuple[str, str, str | None]]:
    """Every option of a file and of those that it includes: its group, its name, and its value, None without one."""
    yield from _entries(path, _lines(path), depth)


def _entries(path: Path, lines: Iterable[str], depth: int) -> Iterator[tuple[str, str, str | None]]:
    group = None
    for number, line in enumerate(lines, 1):
        text = line.strip(_SPACE)
        if not text or text[0] in "#;":
            continue
        if text[0] == "!":
            yield from _include(text[1:].lstrip(_SPACE), path, number, depth)
        elif text[0] == "[":
            group, bracket, _ = text[1:].partition("]")
            group = group.rstrip(_SPACE)
            if not bracket:
                raise _unreadable(path, number, "a group has no closing bracket")
        elif group is None:
            raise _unreadable(path, number, "an option stands before any group")
        else:
            name, mark, value = _without_comment(text).partition("=")
            yield group, name.rstrip(_SPACE), _value(value) if mark else None


def _lines(path: Path) -> list[str]:
    try:
        if path.is_file() and path.stat().st_mode & stat.S_IWOTH:
            log.warning("option file %s is passed over, because everybody may write to it", path)
            return []
        return path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if path.name == ".my.cnf":
            raise CredentialsError(f"cannot read the option file {path}: {error.strerror}") from error
        return []  # a system-wide file that we may not read says nothing to us, as to the client programs


def _include(text: str, path: Path, number: int, depth: int) -> Iterator[tuple[str, str, str | None]]:
    word, _, name = text.replace("\t", " ").partition(" ")
    if depth >= _DEPTH:
        log.warning("option file %s, line %d, is passed over: files include each other too deeply", path, number)
        return
    target = Path(name.strip(_SPACE)).expanduser()
    if word == "include":
        yield from entries(target, depth + 1)
    elif word == "includedir":
        try:
            names = sorted(os.listdir(target))
        except OSError as error:
            raise _unreadable(path, number, f"folder {quote_name(str(target))}: {error.strerror}") from error
        for part in names:
            if os.path.splitext(part)[1] == ".cnf":
                yield from entries(target / part, depth + 1)


def _unreadable(path: Path, number: int, why: str) -> UsageError:
    return UsageError(
        f"the option file {path} cannot be read, line {number}: {why}",
        hint="correct it: the client programs of MySQL and MariaDB give up at this line, too",
    )


def _without_comment(text: str) -> str:
    quote, escaped = "", False
    for place, char in enumerate(text):
        if char in "'\"" and not escaped:
            quote = char if not quote else "" if quote == char else quote
        if not quote and char == "#":
            return text[:place].rstrip(_SPACE)
        escaped = bool(quote) and char == "\\" and not escaped
    return text


def _value(text: str) -> str:
    text = text.strip(_SPACE)
    if len(text) > 1 and text[0] in "'\"" and text[0] == text[-1]:
        text = text[1:-1]
    parts, rest = [], iter(text)
    for char in rest:
        following = next(rest, None) if char == "\\" else None
        if following is None:
            parts.append(char)
        else:
            parts.append(_ESCAPES.get(following, char + following))
    return "".join(parts)
