"""On which line of a TOML file something stands, for messages: tomllib does not tell, and nobody else asks."""

import re
from collections.abc import Sequence

Path = tuple[str, ...]

_KEY = re.compile(r"""\s*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))\s*""")
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)


class Lines:
    """The lines of a valid file of TOML, looked for once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Path, int] = {}
        self._read()

    def of(self, path: Sequence[str]) -> int:
        """The line of a key, else of the table that it is in, else the first."""
        parts = tuple(path)
        while parts and parts not in self._lines:
            parts = parts[:-1]
        return self._lines.get(parts, 1)

    def has(self, path: Sequence[str]) -> bool:
        """Whether exactly this key or table stands on a line of its own."""
        return tuple(path) in self._lines

    def _read(self) -> None:
        text, position, line = self._text, 0, 1
        table: Path = ()
        while position < len(text):
            start = position
            while text[position : position + 1] in (" ", "\t"):
                position += 1
            if text[position : position + 1] == "[":
                table, position = self._keys(position + (2 if text.startswith("[[", position) else 1))
                self._note(table, line)
                position = _end_of_value(text, position)
            elif text[position : position + 1] not in ("#", "\n", "\r", ""):
                keys, position = self._keys(position)
                self._note((*table, *keys), line)
                position = _end_of_value(text, position + 1)
            else:
                position = _end_of_value(text, position)
            line += text.count("\n", start, position)

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _keys(self, position: int) -> tuple[Path, int]:
        """The dotted key at a place, and where what follows it begins."""
        keys: list[str] = []
        while match := _KEY.match(self._text, position):
            quoted, literal, bare = match.groups()
            keys.append(bare or literal or quoted or "")
            position = match.end()
            if self._text[position : position + 1] != ".":
                break
            position += 1
        return tuple(keys), position


def _end_of_value(text: str, position: int) -> int:
    """Where the line after a value begins, which may go over several."""
    depth = 0
    while position < len(text):
        letter = text[position]
        if letter in "\"'" and (match := _STRING.match(text, position)):
            position = match.end()
            continue
        if letter == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        depth += (letter in "[{") - (letter in "]}")
        position += 1
        if letter == "\n" and depth <= 0:
            break
    return position
