"""Definitions and rows as a script for the `mariadb` or `mysql` client, which Holdfast reads back exactly.

Each statement stands behind a line `-- holdfast {…}` of JSON, which says what it makes, how many bytes it has and under
which sql_mode, character sets and time zone it was written. The client sees the same settings as SET statements, and
a delimiter that occurs in no statement.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.api import Chunk, IntegrityError
from holdfast_mysql.definitions.client_bytes import ends_in_ascii
from holdfast_mysql.session import plain_literal, quoted

MARK = b"-- holdfast "
# Of a definition that names its own database: where, and what stands there. The script leaves it out, so that a client
# makes it in any database.
QUALIFIED = "qualified"
# Of a routine of MySQL: what utf8mb4 without a collation meant when it was made, where that is not what it means alone.
DEFAULT_COLLATION = "default_collation_for_utf8mb4"
# The kind of what only a client needs, which knows no other way to a definition.
BY_HAND = "by hand"
_LINE_LIMIT = 1 << 20
_SETTINGS = ("sql_mode", "character_set_client", "collation_connection", "time_zone")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement and the object that it makes.

    `kind` is `database`, `sequence`, `table`, `rows`, `library`, `view`, `trigger`, `procedure`, `function`, `package`,
    `package body`, `event`, `histogram` or `account`. `table` is that of a trigger or of the column of a histogram,
    `collation` the database's own when a routine, trigger, event or view was made. Empty settings are those of the
    script's beginning.
    """

    kind: str
    name: str
    body: bytes
    table: str = ""
    sql_mode: str | None = None
    character_set_client: str = ""
    collation_connection: str = ""
    time_zone: str = ""
    collation: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def annotation(self) -> bytes:
        """The line that says what follows."""
        data: dict[str, Any] = {"kind": self.kind, "name": self.name, "bytes": len(self.body)}
        for key in ("table", *_SETTINGS, "collation", "extra"):
            if getattr(self, key) not in (None, "", {}):
                data[key] = getattr(self, key)
        if self.sql_mode == "":
            data["sql_mode"] = ""
        return MARK + json.dumps(data).encode() + b"\n"

    def settings(self) -> list[str]:
        """The assignments of its settings, as SET takes them."""
        values = [f"sql_mode='{self.sql_mode}'"] if self.sql_mode is not None else []
        values += [f"{key}='{getattr(self, key)}'" for key in _SETTINGS[1:] if getattr(self, key)]
        if DEFAULT_COLLATION in self.extra:
            values.append(f"{DEFAULT_COLLATION}={plain_literal(str(self.extra[DEFAULT_COLLATION]))}")
        return values


# What a client has to say before anything: rows and definitions are exact only under these. The comments are for
# MariaDB alone, and stand inside statements because the other client sends a comment on its own as an empty one.
SQL_MODE = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
_RESET = f"SET NAMES utf8mb4, sql_mode='{SQL_MODE}', time_zone='+00:00'"
# The same in a session of ours, which reads definitions as they are, byte for byte.
OF_SESSION = f"{_RESET}, character_set_results=binary"
OPENING = (
    _RESET,
    (
        "SET foreign_key_checks=0, unique_checks=0, sql_buffer_result=0"
        " /*M!100201 , check_constraint_checks=0, innodb_strict_mode=0, innodb_compression_default=0 */"
        " /*M!100601 , old_mode='UTF8_IS_UTF8MB3' */ /*M!101100 , system_versioning_insert_history=1 */"
        " /*M!110200 , character_set_collations='' */"
        # MariaDB passes over this number. MySQL lets not everybody set innodb_strict_mode: RESTORE.md tells of it.
        " /*!80400 , restrict_fk_on_non_standard_key=0 */"
    ),
)


class ScriptWriter:
    """Writes statements for people, clients and Holdfast."""

    def __init__(self, *, title: str, avoid: Iterable[bytes] = ()) -> None:
        self._title = title
        self._delimiter = _delimiter(avoid)

    def opening(self) -> bytes:
        """What the script begins with."""
        end = self._delimiter
        lines = [f"-- Holdfast script 1: {self._title}", f"DELIMITER {end}"]
        lines += [statement + end for statement in OPENING]
        return ("\n".join(lines) + "\n").encode()

    def statement(self, statement: Statement) -> bytes:
        """One statement, between the settings that it needs and those of the script."""
        end = self._delimiter.encode()
        charset = statement.character_set_client
        # A client that did not know the character set would take the last byte of a character for what ends a string.
        apart = ends_in_ascii(charset) and not statement.body.isascii()
        known, again = (f"\\C {name}\n".encode() if apart else b"" for name in (charset, "utf8mb4"))
        settings = statement.settings()
        before = b"SET " + ", ".join(settings).encode() + end + b"\n" if settings else b""
        reset = f", {DEFAULT_COLLATION}=DEFAULT" if DEFAULT_COLLATION in statement.extra else ""
        after = f"{_RESET}{reset}".encode() + end + b"\n" if settings else b""
        return known + before + statement.annotation() + statement.body + b"\n" + end + b"\n" + again + after

    def closing(self) -> bytes:
        """What the script ends with."""
        return b"DELIMITER ;\n-- Holdfast script ends\n"


def _delimiter(avoid: Iterable[bytes]) -> str:
    """A delimiter that occurs in none of the texts."""
    texts = [text.lower() for text in avoid]
    number = 0
    while any(f";;{number}".encode() in text for text in texts):
        number += 1
    return f";;{number}"


def read_script(chunks: Iterable[Chunk]) -> Iterator[Statement]:
    """The statements of a script that `ScriptWriter` wrote; what is not whole is an `IntegrityError`."""
    source = _Source(chunks)
    last = b""
    while (line := source.line()) is not None:
        if line:
            last = line
        if line.startswith(MARK):
            statement = _statement(line, source)
            if statement.kind != BY_HAND:
                yield statement
    if last != b"-- Holdfast script ends":
        raise IntegrityError("the script of definitions does not end as it should")


def _statement(line: bytes, source: "_Source") -> Statement:
    try:
        data = json.loads(line[len(MARK) :])
        size = int(data.pop("bytes"))
        if size < 0:
            raise ValueError(size)
        extra = dict(data.pop("extra", {}))
        cuts = extra.pop(QUALIFIED, [])
        return Statement(body=_requalified(source.exactly(size), cuts), extra=extra, **data)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("the script of definitions has a line that cannot be read") from error


def _requalified(body: bytes, cuts: list[tuple[int, str]]) -> bytes:
    """A definition with the names of its database that the script left out."""
    parts, last = [], 0
    for place, text in cuts:
        parts += [body[last:place], text.encode(errors="surrogateescape")]
        last = place
    return b"".join([*parts, body[last:]])


class _Source:
    """Lines and exact lengths out of chunks cut anywhere."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._data = bytearray()
        self._place = 0

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        del self._data[: self._place]
        self._place = 0
        self._data += chunk
        return True

    def line(self) -> bytes | None:
        while True:
            end = self._data.find(b"\n", self._place)
            if end >= 0:
                line = bytes(self._data[self._place : end])
                self._place = end + 1
                return line
            if len(self._data) - self._place > _LINE_LIMIT:
                raise IntegrityError("the script of definitions has a line longer than any that Holdfast writes")
            if not self._more():
                rest = bytes(self._data[self._place :])
                self._place = len(self._data)
                return rest or None

    def exactly(self, size: int) -> bytes:
        have = len(self._data) - self._place
        if have >= size:
            self._place += size
            return bytes(self._data[self._place - size : self._place])
        parts = [bytes(self._data[self._place :])]
        self._data, self._place = bytearray(), 0
        while have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise IntegrityError("the script of definitions ends in the middle of a statement")
            rest = have + len(chunk) - size
            if rest > 0:
                self._data += memoryview(chunk)[-rest:]
                chunk = memoryview(chunk)[:-rest]
            parts.append(bytes(chunk))
            have += len(chunk)
        return b"".join(parts)


def histogram(table: str, column: str, data: str, buckets: int) -> Statement:
    """The statement that gives a column its histogram: with its data, or without computed from the rows."""
    told = f"USING DATA {plain_literal(data)}" if data else f"WITH {buckets} BUCKETS"
    body = f"ANALYZE TABLE {quoted(table)} UPDATE HISTOGRAM ON {quoted(column)} {told}"
    return Statement(kind="histogram", name=column, table=table, body=body.encode(errors="surrogateescape"))


def sequence_state(name: str, values: Iterable[str]) -> bytes:
    """The statement that sets a sequence to a state: its row, as the server itself keeps it."""
    return f"INSERT INTO {quoted(name)} VALUES ({','.join(values)})".encode()
