"""What the server refused of a script, as entries of an archive, and how it is run again section by section."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from holdfast_postgres.encodings import decode, encode
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.formats.script_pieces import Piece, Rows, Text
from holdfast_postgres.formats.script_sections import Section, statements
from holdfast_postgres.formats.toc import encoding_of
from holdfast_postgres.location import Location
from holdfast_postgres.restore.failed_statement import CHECK_VIOLATION, ROWS, FailedStatement, refusal_of
from holdfast_postgres.restore.moved_rows import copy_into, partitioned
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.script_feed import Fed, Script
from holdfast_postgres.restore.script_run import run_sections
from holdfast_postgres.restore.search_path import second_paths, set_path
from holdfast_postgres.selection.archive_entries import RELATIONS, bearer_names
from holdfast_postgres.session import quoted

_PART = r'(?:"(?:[^"]|"")+"|[^\s"(.;]+)'
_MADE = re.compile(rf"CREATE [A-Z ]+? ({_PART}\.{_PART})")


class ScriptEntries:
    """The sections of one script in which something was refused.

    `entries` are these and all relations, by the number of their section and in the order of the script; only those
    that were refused have definitions. The `entry` of a refusal is such a number.
    """

    def __init__(
        self, run: RestoreRun, script: Script, refusals: Sequence[FailedStatement], location: Location | None
    ) -> None:
        self._run = run
        self._script = script
        self._location = location
        self._encoding = run.hints.database.encoding
        self._lines: dict[int, set[int]] = {}
        for refusal in refusals:
            self._lines.setdefault(refusal.entry, set()).add(refusal.line)
        self.entries: Sequence[Entry] = self._read({refusal.entry for refusal in refusals})

    def _read(self, refused: Collection[int]) -> list[Entry]:
        entries: list[Entry] = []
        relations: dict[tuple[str, str], int] = {}
        for number, section, pieces in self._script.sections():
            known = number in (0, *refused) and not section.holds_rows
            text = b"".join(piece.text for piece in pieces if isinstance(piece, Text)) if known else b""
            if not number:
                self._encoding = encoding_of(text.decode("ascii", "replace")) or self._encoding
                continue
            entry = self._entry(number, section, text, relations)
            if entry.kind in RELATIONS:
                relations[entry.schema, entry.tag] = number
            if number in refused or entry.kind in RELATIONS:
                entries.append(entry)
        return _with_needs(entries)

    def _entry(self, number: int, section: Section, text: bytes, relations: Mapping[tuple[str, str], int]) -> Entry:
        entry = Entry(
            id=number,
            oid=0,
            kind=section.kind.decode("ascii"),
            schema=decode(section.schema, self._encoding),
            tag=decode(section.tag, self._encoding),
            owner="",
            definition=decode(statements(text), self._encoding),
            needs=(),
        )
        return replace(entry, needs=tuple(relations[name] for name in bearer_names(entry) if name in relations))

    def entries_of(self, refusal: FailedStatement) -> list[Entry]:
        """The entry that a refusal is about."""
        return [entry for entry in self.entries if entry.id == refusal.entry]

    def attempt(self, failed: Sequence[Entry]) -> Iterator[tuple[Entry, FailedStatement | None]]:
        """Run sections again in one go, each under the search_path of its schema.

        All of them are run at once: only what is behind the rows may need what the caller does about some.
        """
        run, action = self._run, f"cannot restore into {self._run.target.into.label}"
        if not failed:
            return
        with run.connected() as connection, translate_errors(action):
            paths = second_paths(run, connection, {entry.schema for entry in failed})
        before = {entry.id: set_path(paths[entry.schema]).encode() for entry in failed}
        refusals: dict[int, list[FailedStatement]] = {}

        def take(refusal: FailedStatement) -> bool:
            refusals.setdefault(refusal.entry, []).append(refusal)
            return True

        run_sections(run, self._again(before), self._location, take)
        moved = self._load_moved([entry for entry in failed if _is_misplaced(entry, refusals)], before)
        for entry in failed:
            yield entry, None if entry.id in moved else refusal_of(refusals.get(entry.id, ()))

    def _load_moved(self, entries: Sequence[Entry], before: Mapping[int, bytes]) -> set[int]:
        """Load rows that belong into another partition here by way of the whole table; the ids of those it could."""
        run, refused = self._run, set[int]()
        if not entries:
            return refused
        with run.connected() as connection, translate_errors(f"cannot restore into {run.target.into.label}"):
            roots = {entry.id: partitioned(connection, entry.schema, entry.tag) for entry in entries}
        into = {number: encode(quoted(*root), self._encoding) for number, root in roots.items() if root}

        def take(refusal: FailedStatement) -> bool:
            refused.add(refusal.entry)
            return True

        if into:
            sections = self._again({number: before[number] for number in into}, into)
            run_sections(run, sections, self._location, take)
        return into.keys() - refused

    def _again(self, before: Mapping[int, bytes], into: Mapping[int, bytes] = MappingProxyType({})) -> Iterator[Fed]:
        """The head of the script and some of its sections, with what comes `before` each.

        The rows of some go `into` other tables.
        """
        for number, section, pieces in self._script.sections():
            if not number or number in before:
                path = (before[number],) if number in before else ()
                again = self._not_loaded(number, pieces) if section.holds_rows else pieces
                again = _copied(again, into[number]) if number in into else again
                yield Fed(number=number, pieces=again, before=(*path, *section.settings))
            if number == max(before):
                return

    def _not_loaded(self, number: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """A section without the rows that the server took: it would have them twice."""
        line, refused = 0, self._lines[number]
        for piece in pieces:
            lines = range(line, line + piece.lines)
            if refused.intersection(lines) or not (isinstance(piece, Rows) or piece.adds_rows):
                yield piece
            line += piece.lines


def _is_misplaced(entry: Entry, refusals: Mapping[int, Sequence[FailedStatement]]) -> bool:
    """Whether the rows may belong into another partition."""
    refusal = refusal_of(refusals.get(entry.id, ()))
    return entry.kind == ROWS and refusal is not None and refusal.state == CHECK_VIOLATION


def _copied(pieces: Iterator[Piece], table: bytes) -> Iterator[Piece]:
    """The same with rows that go into another table."""
    for piece in pieces:
        yield replace(piece, statement=copy_into(piece.statement, table)) if isinstance(piece, Rows) else piece


def _with_needs(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with those relations that were refused and that their definitions name."""
    refused = {match[1]: entry.id for entry in entries if (match := _MADE.match(entry.definition))}
    if not refused:
        return list(entries)
    names = re.compile(rf"(?<![\w$\".])({'|'.join(map(re.escape, refused))})(?![\w$\"])")
    return [replace(entry, needs=(*entry.needs, *_named(entry, names, refused))) for entry in entries]


def _named(entry: Entry, names: "re.Pattern[str]", refused: Mapping[str, int]) -> Collection[int]:
    return {refused[name] for name in names.findall(entry.definition)} - {entry.id}
