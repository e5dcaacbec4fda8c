r"""SQL scripts for psql: only inside our own `\restrict`, so that no line of them is a command to psql itself.

A dump holds names and data that somebody else chose; CVE-2025-8714 hid psql's own commands, which run programs, in
them. psql in restricted mode refuses all of them until `\unrestrict` comes with the same random word.
"""

import re
import secrets
from collections.abc import Iterable, Iterator

from holdfast.api import Chunk, PluginError
from holdfast_postgres.client.programs import Programs

# The first minor version of each major one that knows \restrict.
_RESTRICT_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
_HEAD = 1 << 16  # pg_dump writes its \restrict within the first lines
_OPENING = re.compile(rb"(?:\A|(?<=\n))\\restrict ([0-9A-Za-z]+)\n")
OPENING_LINES = 1  # that stand before what is wrapped
_TIMEOUT = b"SET transaction_timeout = 0;\n"


def check_psql(programs: Programs) -> None:
    r"""Refuse a psql without `\restrict`: 13.22, 14.19, 15.14, 16.10, 17.6 and 18 have it."""
    since = _RESTRICT_SINCE.get(programs.major, 0 if programs.major >= 18 else 1 << 30)
    if programs.minor < since:
        raise PluginError(
            f"psql {programs.version} in {programs.folder} runs commands that hide in a script (CVE-2025-8714)",
            hint="install the newest minor version of the client programs",
        )


def keep_public_schema(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Let a script whose first statement makes the schema public run where that is, as in every new database."""
    source = iter(chunks)
    head = _head_of(source)
    yield head.replace(b"\nCREATE SCHEMA public;\n", b"\nCREATE SCHEMA IF NOT EXISTS public;\n", 1)
    yield from source


def restricted(chunks: Iterable[Chunk], *, major: int, end: str) -> Iterator[bytes]:
    r"""Wrap a script for a server of that version: our `\restrict` around it, that of pg_dump taken away.

    Only pg_dump's own line in the head goes, and its counterpart with the same word: such a line anywhere else is
    data or a trick, and psql then takes it for data or refuses it. psql writes `end` to standard error once it has read
    all of it.
    """
    yield from restricted_parts([chunks], major=major, end=end)


def restricted_parts(scripts: Iterable[Iterable[Chunk]], *, major: int, end: str) -> Iterator[bytes]:
    r"""Wrap several scripts, one after the other, as `restricted` does with one."""
    word = secrets.token_hex(16)
    yield f"\\restrict {word}\n".encode()
    for chunks in scripts:
        yield from unwrapped(chunks, major)
    yield f"\n\\unrestrict {word}\n\\warn {end}\n".encode()


def unwrapped(chunks: Iterable[Chunk], major: int) -> Iterator[bytes]:
    """One script without what is taken away for a server of that version."""
    source = iter(chunks)
    head = _head_of(source)
    opening = _OPENING.search(head, 0, _HEAD)
    closing = b""
    if opening and _only_comments(head[: opening.start()]):
        closing = b"\n\\unrestrict " + opening[1] + b"\n"
        head = head[: opening.start()] + head[opening.end() :]
    if major < 17:  # of a pg_dump that is newer than this server, which would refuse it
        place = head.find(_TIMEOUT, 0, _HEAD)
        if place >= 0 and head[:place].count(b"\n") < 40:
            head = head[:place] + head[place + len(_TIMEOUT) :]
    yield from _without(closing, head, source)


def _head_of(source: Iterator[Chunk]) -> bytes:
    """Take at least the first lines off a script."""
    head = b""
    for chunk in source:
        head += bytes(chunk)
        if len(head) >= _HEAD:
            break
    return head


def _only_comments(text: bytes) -> bool:
    return all(not line.strip() or line.startswith(b"--") for line in text.split(b"\n"))


def _without(line: bytes, head: bytes, source: Iterator[Chunk]) -> Iterator[bytes]:
    """Yield everything but one line, which may lie across two chunks."""
    rest = head
    for chunk in source:
        text = rest + bytes(chunk)
        if line and line in text:
            text = text.replace(line, b"\n", 1)
        keep = len(line)
        rest = text[len(text) - keep :] if keep else b""
        yield text[: len(text) - keep] if keep else text
    yield rest.replace(line, b"\n", 1) if line else rest
