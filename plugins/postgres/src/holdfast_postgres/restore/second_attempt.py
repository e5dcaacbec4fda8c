"""What the server refused once, tried again entry by entry: with a search_path, and by psql, which tells SQLSTATEs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Failure
from holdfast_postgres.encodings import encode
from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.formats.archive import Entry, read_entries
from holdfast_postgres.formats.script import unwrapped
from holdfast_postgres.formats.script_pieces import read_pieces
from holdfast_postgres.restore.entry_list import write_list
from holdfast_postgres.restore.failed_statement import (
    BROKEN_BY_ROWS,
    CHECK_VIOLATION,
    ROWS,
    FailedStatement,
    failure_of,
    not_valid,
    refusal_of,
)
from holdfast_postgres.restore.moved_rows import copied_into, partitioned
from holdfast_postgres.restore.not_valid import RelaxedChecks
from holdfast_postgres.restore.run import RestoreRun, ender
from holdfast_postgres.restore.script_feed import Fed
from holdfast_postgres.restore.script_run import run_sections
from holdfast_postgres.restore.search_path import second_path, second_paths, set_path, with_path
from holdfast_postgres.restore.statements import run_again
from holdfast_postgres.session import quoted
from holdfast_postgres.target.contents import holds_rows

_CONSTRAINTS = {"FK CONSTRAINT", "CHECK CONSTRAINT"}
_THERE = ("42710", "42P07", "42723", "42P06", "42P16", "42701")  # another entry begins alike, and was restored


class Entries(Protocol):
    """What was to be restored: an archive, or a script."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries, in their order; those that were refused have their definitions."""
        ...

    def entries_of(self, refusal: FailedStatement) -> list[Entry]:
        """The entries that a refusal may be about."""
        ...

    def attempt(self, failed: Sequence[Entry]) -> Iterator[tuple[Entry, FailedStatement | None]]:
        """Restore some again, in their order, with a search_path: what the server says if it refuses one.

        What the caller does about one is done before those that need it are tried.
        """
        ...


class SecondAttempt:
    """Tries entries again; what fails for good is raised, or listed where the restore goes on."""

    def __init__(self, run: RestoreRun, source: Entries, action: str) -> None:
        self._run = run
        self._source = source
        self._entries = source.entries
        self._action = action

    def run(self, refusals: Sequence[FailedStatement]) -> None:
        """Try what was refused again, in the order of the archive, and then whom it belongs to."""
        failed = dict[int, FailedStatement]()
        owners = [refusal for refusal in refusals if refusal.sets_owner]
        for refusal in refusals:
            if refusal.sets_owner:
                continue
            if refusal.ends or not self._run.tries_again(refusal):
                self._give_up(refusal)
            elif entries := self._source.entries_of(refusal):
                for entry in entries:
                    failed.setdefault(entry.id, refusal)
            else:
                self._give_up(refusal)
        made = self._attempt(failed)
        # What needs a table that was not there has no such names itself.
        ids = {entry.id for entry in made}
        self._run.found_by_path([entry.label for entry in made if ids.isdisjoint(entry.needs)])
        run_again(self._run, owners, self._action)

    def _attempt(self, failed: Mapping[int, FailedStatement]) -> list[Entry]:
        """Try entries again: those that could be restored; what the server says of the others is dealt with."""
        made = []
        for entry, again in self._source.attempt([entry for entry in self._entries if entry.id in failed]):
            if again is None:
                made.append(entry)
            else:
                self._refused_again(entry, failed.get(entry.id, again), again)
        return made

    def _refused_again(self, entry: Entry, refusal: FailedStatement, again: FailedStatement) -> None:
        if again.state in _THERE and refusal.state not in _THERE:
            return
        failure = failure_of(entry, self._entries, again.text, again.state)
        before = failure_of(entry, self._entries, refusal.text, refusal.state)
        if self._run.continues and again.state in BROKEN_BY_ROWS:
            failure = self._without_broken(entry, failure)
        if refusal.severe or ender(self._run)(again):
            self._run.fail(failure, self._action, before=before)
        else:
            self._run.warn([f"not restored: {failure}"])

    def _give_up(self, refusal: FailedStatement) -> None:
        entries = self._source.entries_of(refusal)
        failure = (
            failure_of(entries[0], self._entries, refusal.text, refusal.state) if len(entries) == 1
            else refusal.failure()
        )  # fmt: skip
        if refusal.severe or ender(self._run)(refusal):
            self._run.fail(failure, self._action)
        else:
            self._run.warn([f"not restored: {failure}"])

    def _without_broken(self, entry: Entry, failure: Failure) -> Failure:
        """Go on without a constraint that rows break, for these rows."""
        if entry.kind in _CONSTRAINTS:
            return self._added_for_rows_to_come(entry, failure)
        return self._loaded_without_checks(entry, failure) if entry.kind == ROWS else failure

    def _added_for_rows_to_come(self, entry: Entry, failure: Failure) -> Failure:
        """Make a constraint that rows break for those to come; that it holds for none before stays a failure."""
        statement = f"{entry.definition.strip().rstrip(';')} NOT VALID"
        with self._run.connected() as connection:
            try:
                connection.execute(set_path(second_path(self._run, connection, entry.schema)))
                connection.execute(statement.encode())
            except psycopg.Error as error:
                if connection.closed:
                    raise server_error(error, self._action) from error
                return failure  # of a partitioned table, before PostgreSQL 18
        return not_valid(failure)

    def _loaded_without_checks(self, entry: Entry, failure: Failure) -> Failure:
        """Load rows that break CHECKs, and make these for rows to come."""
        with self._run.connected() as connection, translate_errors(self._action):
            checks = RelaxedChecks(connection, entry.schema, entry.tag)
            message, loaded = failure.message, False
            while not loaded and checks.relax(message):
                again = self._alone(entry)
                loaded = again is None
                message = again.text if again else ""
                failure = failure if again is None else failure_of(entry, self._entries, again.text, again.state)
            names = ", ".join(checks.names)
            checks.restore()
        return not_valid(failure, names) if loaded else failure

    def _alone(self, entry: Entry) -> FailedStatement | None:
        return next((again for tried, again in self._source.attempt([entry]) if tried is entry), None)


class ArchiveEntries:
    """The entries of one archive; each is restored again by a psql of its own."""

    def __init__(self, run: RestoreRun, path: Path, action: str) -> None:
        self._run = run
        self._path = path
        self._action = action
        self.entries: Sequence[Entry] = read_entries(path, definitions=True)
        self._flat = [" ".join(entry.definition.split()) for entry in self.entries]
        self._named = set[int]()

    def entries_of(self, refusal: FailedStatement) -> list[Entry]:
        """The entries that a refusal may be about; with several jobs pg_restore names none."""
        known = zip(self.entries, self._flat, strict=True)
        entries = [entry for entry, definition in known if refusal.is_of(entry, definition)]
        named = [entry for entry in entries if entry.id == refusal.entry]
        self._named.update(entry.id for entry in named)
        return named or entries

    def attempt(self, failed: Sequence[Entry]) -> Iterator[tuple[Entry, FailedStatement | None]]:
        """Restore entries one by one."""
        # Where the entry is not known, another table of that name may have failed. Looked at before rows may get into
        # it by way of the table that it is a partition of.
        wanted = [
            entry for entry in failed if entry.kind != ROWS or entry.id in self._named or not self._has_rows(entry)
        ]
        for entry in wanted:
            yield entry, self._execute(entry)

    def load_alone(self, entries: Sequence[Entry]) -> None:
        """Load rows into their own tables instead of those that these are partitions of."""
        run = self._run
        with run.connected() as connection, translate_errors(self._action):
            paths = second_paths(run, connection, {entry.schema for entry in entries})
        for entry in entries:
            name = encode(quoted(entry.schema, entry.tag), run.hints.database.encoding)
            if refusal := self._executed(entry, paths[entry.schema], name):
                run.fail(failure_of(entry, self.entries, refusal.text, refusal.state), self._action)

    def load_by_path(self, entries: Sequence[Entry]) -> list[Entry]:
        """Load rows with a search_path before anything else is tried: those that the server took."""
        with self._run.connected() as connection, translate_errors(self._action):
            paths = second_paths(self._run, connection, {entry.schema for entry in entries})
        return [entry for entry in entries if self._executed(entry, paths[entry.schema], None) is None]

    def _has_rows(self, entry: Entry) -> bool:
        with self._run.connected() as connection, translate_errors(self._action):
            return is_filled(connection, entry)

    def _execute(self, entry: Entry) -> FailedStatement | None:
        """Restore one entry by psql; what the server says if it refuses."""
        run = self._run
        with run.connected() as connection, translate_errors(self._action):
            path = second_path(run, connection, entry.schema)
            root = partitioned(connection, entry.schema, entry.tag) if entry.kind == ROWS else None
        refusal = self._executed(entry, path, None)
        if root and refusal is not None and refusal.state == CHECK_VIOLATION:
            again = self._executed(entry, path, encode(quoted(*root), run.hints.database.encoding))
            return None if again is None else refusal
        return refusal

    def _executed(self, entry: Entry, path: str, into: bytes | None) -> FailedStatement | None:
        """What the server refuses of an entry, whose rows may go into another table."""
        run = self._run
        refusals: list[FailedStatement] = []

        def take(refusal: FailedStatement) -> bool:
            refusals.append(refusal)
            return True

        listing = write_list(run.request.scratch, [entry])
        command = [run.programs.path("pg_restore"), "--file=-", f"--use-list={listing}"]
        command += [*run.adjustments.arguments, str(self._path)]
        with run.processes.start(command, offline=True) as reader:
            chunks = with_path(reader.chunks(self._action), path)
            text = unwrapped(copied_into(chunks, into) if into else chunks, run.server.major)
            run_sections(run, [Fed(number=entry.id, pieces=read_pieces(text))], None, take)
        return refusal_of(refusals)


def is_filled(connection: "Connection[TupleRow]", entry: Entry) -> bool:
    """Whether the table of an entry holds rows; not if it could not be made."""
    try:
        return holds_rows(connection, quoted(entry.schema, entry.tag))
    except psycopg.errors.UndefinedTable:
        return False
