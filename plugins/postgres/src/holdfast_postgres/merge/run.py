"""The merge of what was restored beside the target into it, in one transaction that psql runs."""

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Blob, Chunk, HoldfastError, Preview, UnreachableError, quote_name, refuse_replacing
from holdfast_postgres.catalog import first_column
from holdfast_postgres.client.arguments import filter_words
from holdfast_postgres.dump.definition_changes import definition_changes
from holdfast_postgres.errors import OutOfLocksError, some_names, translate_errors
from holdfast_postgres.formats.archive import Entry, read_entries
from holdfast_postgres.formats.directory import unpack
from holdfast_postgres.implied_operators import read_implied
from holdfast_postgres.lock_room import read_lock_room
from holdfast_postgres.merge.closed_tables import without_closed
from holdfast_postgres.merge.coming import announced, attachments, restored
from holdfast_postgres.merge.domain_checks import DomainCheck, broken_checks
from holdfast_postgres.merge.drops import drops
from holdfast_postgres.merge.gone import gone_warnings
from holdfast_postgres.merge.lost_commit import MergeSession
from holdfast_postgres.merge.plan import Coming, MergePlan, make_plan, refuse_bound, whole_changes
from holdfast_postgres.merge.refreshes import refreshes
from holdfast_postgres.merge.relations import (
    Name,
    Relation,
    bound_to,
    foreign_keys_into,
    locked_by_merge,
    read_relations,
)
from holdfast_postgres.merge.routines import carried_routines, made_again
from holdfast_postgres.parallel import Sessions
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.script_run import run_script
from holdfast_postgres.restore.search_path import second_path, with_path
from holdfast_postgres.restore.statistics import analyze
from holdfast_postgres.selection.archive_entries import RELATIONS, bearer_names, list_file
from holdfast_postgres.selection.missing_entries import entries_to_make
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.selection.pg_dump_filters import relation_filters
from holdfast_postgres.selection.restore_scope import ALONE, RestoreScope, find_scope
from holdfast_postgres.session import connected, settings

log = logging.getLogger("holdfast.postgres.merge")

_LOCK_WAIT = 60  # seconds


class Merge:
    """One merge; `entries` are those of the backup's archive, of which `scope` was restored, None for all."""

    def __init__(self, run: RestoreRun, entries: Sequence[Entry], scope: RestoreScope | None) -> None:
        self._run = run
        self._entries = entries
        self._scope = scope
        self._selection = Selection(select=run.request.select, exclude=run.request.exclude)
        self._where = f"database {quote_name(run.target.name)}"
        self._what = f"putting the selection into {self._where}"
        self._session = MergeSession()

    @cached_property
    def _coming(self) -> Coming:
        with self._run.connected() as staged:
            kinds = {relation.key: relation.kind for relation in read_relations(staged) if not relation.owned}
        return restored(self._entries, kinds, self._scope, self._selection, self._run.hints.needed)

    @cached_property
    def _plan(self) -> MergePlan:
        with connected(self._run.target.location) as target:
            return make_plan(self._coming, read_relations(target))

    def check(self) -> None:
        """Refuse what may not be replaced, once the definitions are restored beside the target."""
        with translate_errors(f"cannot read {self._run.target.location.label}"):
            if not self._run.request.replace:
                refuse_replacing(self._where, self._plan.changes)
            with connected(self._run.target.location) as target, self._run.connected() as staged:
                _refuse_bound(target, self._plan, self._where)
                room, needed = read_lock_room(target), locked_by_merge(staged, target, self._plan.dropped)
            if room.surely_too_small(needed):
                raise room.error(needed, self._what)

    def commit(self) -> None:
        """Do it; nothing has happened to the target if this raises, unless the error says that this is not known."""
        self.check()
        run, action = self._run, f"cannot restore into {self._run.target.location.label}"
        with connected(run.target.location) as target, run.connected() as staged, translate_errors(action):
            gone = gone_warnings(self._plan, target, staged)
            archive = self._dump_definitions()
            there, kept = read_relations(target), self._plan.kept
            entries, closed = without_closed(read_entries(archive), kept, there)
            routines = carried_routines(target, [old.oid for old in self._plan.dropped])
            made = entries_to_make(target, entries, kept, dropped={routine.signature for routine in routines})
            checks = self._broken_checks(staged, target)
            keys, dropping = foreign_keys_into(target, self._plan.dropped), drops(target, self._plan.dropped, routines)
            again = made_again(staged, routines)
            attaching, alone = self._attachments(there)
            out = self._keys_out(there)
            path = second_path(run, target) if run.needs_path else "''"
            filling = refreshes(staged, kept, path)
            objects = staged.execute("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata").fetchone()
        after = [*again, *attaching, *(key.add for key in keys), *(check.add for check in checks), *out, *filling]
        before = [*(key.drop for key in keys), *(check.drop for check in checks), *dropping]
        parts = self._script(archive, made, before, after)
        try:
            run_script(run, parts, run.target.location, run.target.location, transaction=True)
        except OutOfLocksError as error:
            with connected(run.target.location) as target, run.connected() as staged:
                needed = locked_by_merge(staged, target, self._plan.dropped)
                raise read_lock_room(target).error(needed, self._what) from error
        except UnreachableError as error:
            if not self._session.has_committed(run.target.location, self._plan, error):
                raise
        run.warn(gone)
        if alone:
            run.warn([f"{ALONE}, or is not there: {some_names(alone)}"])
        if objects and objects[0]:
            # Their numbers may be taken in the target, and no catalog says which rows mean which of them.
            run.warn([f"not put into {self._where}: large objects ({objects[0]}), which belong to no table"])
        self._warn_of_keys(out, closed)
        self._analyze()

    def _broken_checks(self, staged: "Connection[TupleRow]", target: "Connection[TupleRow]") -> list[DomainCheck]:
        """Those of domains of the target that are made anew; one that is valid, only where the restore goes on."""
        checks = [check for check in broken_checks(staged, target) if self._run.continues or not check.valid]
        if valid := [check.label for check in checks if check.valid]:
            self._run.warn([f"made NOT VALID in {self._where}, since rows break it: check {some_names(valid)}"])
        return checks

    def _attachments(self, there: Sequence[Relation]) -> tuple[list[str], list[str]]:
        """What attaches partitions to tables of the target, and what stays alone."""
        dropped = {relation.oid for relation in self._plan.dropped}
        roots = {relation.key: relation.kind for relation in there if relation.oid not in dropped}
        return attachments(self._entries, self._coming, self._plan.kept, roots)

    def _dump_definitions(self) -> Path:
        """The definitions of what was restored, as an archive whose entries can be chosen."""
        path = self._run.request.scratch / "merge.dump"
        encoding = self._run.hints.database.encoding
        command = [self._run.programs.path("pg_dump"), "--no-password", "--format=custom", "--schema-only"]
        command.append(f"--encoding={encoding}")
        with self._run.connected() as staged:
            changes = definition_changes(staged, read_implied(staged), encoding)
        with self._run.processes.start(command, tied=True) as child, open(path, "wb") as file:
            chunks = child.chunks("cannot read what was restored beside the target")
            file.writelines(changes.in_stream(chunks, "custom"))
        return path

    def _keys_out(self, there: Sequence[Relation]) -> dict[str, str]:
        """Foreign keys of selected tables that lead to tables which were not selected and are there; by label."""
        names = {relation.key for relation in there if relation.referable} | set(self._plan.added)
        relations = {entry.id: entry for entry in self._entries if entry.kind in RELATIONS}
        keys = {}
        for entry in self._left_keys():
            needs = [relations[need] for need in entry.needs if need in relations]
            if all((need.schema, need.tag) in names for need in needs):
                keys[entry.definition.strip().rstrip(";")] = entry.label
        return keys

    def _left_keys(self) -> list[Entry]:
        """The foreign keys of selected tables that were left out because they lead to others."""
        if self._scope is None:
            return []
        taken = self._scope.ids
        relations = [entry for entry in self._entries if entry.kind in RELATIONS and entry.id in taken]
        kept = set(self._plan.kept)
        selected = {(entry.schema, entry.tag) for entry in relations} - kept
        return [
            entry
            for entry in self._entries
            if entry.kind == "FK CONSTRAINT" and entry.id not in taken and not selected.isdisjoint(bearer_names(entry))
        ]

    def _warn_of_keys(self, made: Mapping[str, str], closed: Sequence[Entry]) -> None:
        if left := [key.label for key in [*self._left_keys(), *closed] if key.label not in made.values()]:
            what = "not restored, since it leads to a table that is not there, or that the role may not refer to"
            self._run.warn([f"{what}: {', '.join(map(quote_name, left))}"])

    def _script(
        self, archive: Path, made: Sequence[Entry], before: Sequence[str], after: Sequence[str]
    ) -> Iterator[Iterator[bytes]]:
        """The whole transaction, piece by piece: what is dropped, definitions, rows, the rest."""
        listing = self._run.request.scratch / "merge.list"
        descriptor = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(list_file(made))
        # Role or database may have sessions that are read-only or limited in time.
        fixed = settings(self._run.server.major, encoding="UTF8", money=self._run.hints.money)
        yield iter([f"SET TRANSACTION READ WRITE;\n{self._session.statement}{fixed}".encode()])
        # The sections set it back: nobody shall queue behind a DROP TABLE that waits for a forgotten transaction.
        yield _statements([f"SET lock_timeout TO '{_LOCK_WAIT}s'", *before])
        yield self._section(archive, listing, "pre-data")
        yield self._rows()
        yield self._section(archive, listing, "post-data")
        yield _statements(after)

    def _section(self, archive: Path, listing: Path, section: str) -> Iterator[bytes]:
        command = [self._run.programs.path("pg_restore"), "--file=-", f"--section={section}", f"--use-list={listing}"]
        with self._run.processes.start([*command, str(archive)], offline=True) as child:
            yield from self._with_path(child.chunks("cannot read the definitions of what was restored"))

    def _rows(self) -> Iterator[bytes]:
        """The rows, without large objects, which belong to no table, and without what stays as it is."""
        run = self._run
        left = {*self._plan.kept, *self._configuration_there()}
        with run.connected() as staged:
            others = {relation.key for relation in read_relations(staged)} - left
        filters = relation_filters("table", sorted(left), others)
        command = [run.programs.path("pg_dump"), "--no-password", "--section=data", "--no-blobs"]
        encoding = run.hints.database.encoding
        command.append(f"--encoding={encoding}")  # not that of role, database or PGCLIENTENCODING, which may lack some
        said = filter_words(filters, run.programs, run.request.scratch, encoding)
        with run.processes.start([*command, *said]) as child:
            yield from self._with_path(child.chunks("cannot read the rows of what was restored"))

    def _with_path(self, chunks: Iterable[Chunk]) -> Iterator[bytes]:
        """A script with a search_path, if what was restored needed one."""
        if self._run.needs_path:
            with connected(self._run.target.location) as target:
                chunks = with_path(chunks, second_path(self._run, target))
        for chunk in chunks:
            yield bytes(chunk)

    def _configuration_there(self) -> list[Name]:
        """Tables and sequences of extensions that the target has already: their rows stay as they are there."""
        with connected(self._run.target.location) as target:
            there = first_column(target, "SELECT extname FROM pg_catalog.pg_extension")
        return [name for extension in there for name in self._run.hints.configuration.get(extension, ())]

    def _analyze(self) -> None:
        if not self._run.options.analyze or self._run.request.drill:
            return
        names = [name for name, kind in self._plan.kinds.items() if kind in "rpm" and name not in self._plan.kept]
        try:
            with connected(self._run.target.location) as target:
                sessions = Sessions(target, lambda: connected(self._run.target.location), self._run.request.jobs)
                self._run.warn(analyze(sessions, names))
        except (psycopg.Error, HoldfastError) as error:  # the selection is there, whatever becomes of the server
            self._run.warn([f"no statistics of what was put into {self._where}: {' '.join(str(error).split())}"])


def _refuse_bound(target: "Connection[TupleRow]", plan: MergePlan, where: str) -> None:
    def carried(oids: Collection[int]) -> list[int]:
        return [routine.oid for routine in carried_routines(target, oids)]

    refuse_bound(bound_to(target, plan.dropped, plan.attached, carried), where)


def preview(run: RestoreRun, blobs: Mapping[str, Blob]) -> Preview:
    """Say what would happen to each relation; only the archive knows which there are."""
    blob = blobs[run.hints.archive]
    path = blob.spool()
    if run.hints.format == "directory":
        path = run.request.scratch / "preview"
        unpack(blob.chunks(), path)
    entries = read_entries(path)
    selection = Selection(select=run.request.select, exclude=run.request.exclude)
    scope = find_scope(entries, selection, {}) if selection else None
    coming = announced(entries, scope, selection, run.hints.needed)
    if not run.target.exists:
        return Preview(changes=tuple(make_plan(coming, ()).changes))
    with connected(run.target.location) as target, translate_errors(f"cannot read {run.target.location.label}"):
        there = read_relations(target)
        if not run.target.merges:
            return Preview(changes=tuple(whole_changes(coming, there)), whole=bool(there))
        plan = make_plan(coming, there)
        where = f"database {quote_name(run.target.name)}"
        if not run.request.replace:
            refuse_replacing(where, plan.changes)
        _refuse_bound(target, plan, where)
    return Preview(changes=tuple(plan.changes))


def _statements(lines: Sequence[str]) -> Iterator[bytes]:
    yield "".join(f"{line};\n" for line in lines).encode(errors="surrogateescape")
