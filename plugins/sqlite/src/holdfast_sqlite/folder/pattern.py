"""Patterns of paths in a URL: `*` in a name, `**` for folders of any depth; `%2A` is an asterisk of a name.

As in a shell, neither matches what begins with a dot unless the pattern says that dot. A `?` would begin the
parameters of a URL, and brackets are common in names, so that both stand for themselves.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

STORE_MARK = "holdfast.json"  # a folder that holds it is a store: backups of backups would grow with every run


@dataclass(kw_only=True)
class Walk:
    """What a pattern fits, and what it could not look into."""

    files: list[str] = field(default_factory=list)  #: paths of everything but folders, in order of their names
    unreadable: dict[str, OSError] = field(default_factory=dict)  #: folders
    stores: list[str] = field(default_factory=list)  #: folders that are stores of backups, which were passed over


def raw_parts(url: str) -> list[str]:
    """The parts of the path in a URL as they are written there, without the slash that begins the path."""
    parts = url.partition("://")[2].partition("?")[0].removeprefix("/").split("/")
    return parts if parts[-1] else [*parts[:-1], "*"] if has_wildcard(parts) else parts[:-1]


def has_wildcard(parts: list[str]) -> bool:
    """Whether any part is a pattern."""
    return any("*" in part for part in parts)


def literal_folder(parts: list[str]) -> str:
    """The path of the folder that all matches lie in: what stands before the first pattern."""
    first = _first_wildcard(parts)
    return "/".join(map(_decode, parts[:first])) + ("/" if first else "")


def _first_wildcard(parts: list[str]) -> int:
    return next(number for number, part in enumerate(parts) if "*" in part)


def expand(parts: list[str]) -> Walk:
    """Find what the pattern fits."""
    walk = Walk()
    _descend(literal_folder(parts), parts[_first_wildcard(parts) :], walk)
    walk.files = sorted(dict.fromkeys(walk.files))
    return walk


def folder_files(folder: str) -> Walk:
    """All files right in a folder, hidden ones too."""
    walk = Walk()
    walk.files = sorted(folder + name for name, is_folder in _entries(folder, walk) if not is_folder)
    return walk


def _descend(folder: str, parts: list[str], walk: Walk) -> None:
    part, rest = parts[0], parts[1:]
    if part == "**":
        _descend(folder, rest or ["*"], walk)
        for name in _folders(folder, walk):
            _descend(f"{folder}{name}/", parts, walk)
        return
    matches = _Matcher(part)
    for name, is_folder in _entries(folder, walk):
        if not matches(name):
            continue
        if not rest:
            walk.files.extend([] if is_folder else [folder + name])
        elif is_folder:
            _descend(f"{folder}{name}/", rest, walk)


def _folders(folder: str, walk: Walk) -> Iterator[str]:
    """The folders below one to go into: no links, which may lead in circles, no hidden ones, no stores."""
    for name, is_folder in _entries(folder, walk):
        path = folder + name
        if not is_folder or name.startswith(".") or os.path.islink(path):
            continue
        if os.path.lexists(f"{path}/{STORE_MARK}"):
            walk.stores.append(path)
        else:
            yield name


def _entries(folder: str, walk: Walk) -> list[tuple[str, bool]]:
    """The names in a folder, and of each whether it is one."""
    try:
        with os.scandir(folder or ".") as entries:
            return sorted((entry.name, _is_folder(entry)) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):  # of a pattern such as */data, or gone by now
        return []
    except OSError as error:
        walk.unreadable[folder] = error
        return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a loop
        return False


class _Matcher:
    """Whether a name fits one part of a pattern."""

    def __init__(self, part: str) -> None:
        pieces = [re.escape(_decode(piece)) for piece in part.split("*")]
        self._pattern = re.compile(".*".join(pieces), re.DOTALL)
        self._hidden = _decode(part).startswith(".")

    def __call__(self, name: str) -> bool:
        return (self._hidden or not name.startswith(".")) and self._pattern.fullmatch(name) is not None


def _decode(part: str) -> str:
    return unquote(part, errors="surrogateescape")
