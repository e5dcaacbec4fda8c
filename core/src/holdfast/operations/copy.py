"""Copy: backups of one store into another, byte for byte, each published there only once all of it has arrived.

No key and no codec is needed, since only stored bytes are read. What is there already is left alone, so that a copy may
be repeated, and goes on where the one before was ended.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from holdfast.api import Operation, RetentionMode, Watcher
from holdfast.defaults import default_jobs
from holdfast.duration import parse_duration
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, PartialError, UsageError, quote_name
from holdfast.operations._copied import Outcome, Task, copy_backup, holding
from holdfast.operations._copied_names import SourceNames
from holdfast.patience import Patience
from holdfast.plan import check_jobs
from holdfast.plugins.registry import Registry
from holdfast.record import Backup, reference
from holdfast.retention_period import check_retention
from holdfast.run import Run
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog, open_catalog, unopened_catalog
from holdfast.store.entry import Entry, hidden_source
from holdfast.store.names import MANIFEST, is_source_name
from holdfast.store.overlap import linked_source, share_a_place
from holdfast.store.ownership import check_owner
from holdfast.store.published import check_published
from holdfast.store.renames import renamed_to
from holdfast.store.retention import new_retention

log = logging.getLogger("holdfast.copy")


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """What became of one backup in the other store."""

    id: str  #: the id of the backup, which it keeps
    name: str  #: the name of its source, which it keeps
    copied: bool  #: whether it is new there; False where it was there already
    stored_bytes: int  #: the stored bytes that were written
    notes: int  #: how many findings and labels were added
    duration_seconds: float  #: how long it took
    warnings: tuple[str, ...] = ()  #: what to know besides, a line each

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class FailedCopy:
    """A backup that could not be copied."""

    id: str  #: its id, empty for a whole source that cannot be read
    name: str  #: the name of its source
    error: HoldfastError  #: why


@dataclass(frozen=True, kw_only=True)
class CopySet:
    """What came of a run of copies."""

    copies: tuple[CopyResult, ...]  #: the backups that the target has now
    failed: tuple[FailedCopy, ...]  #: those that it has not

    def raise_for_failures(self) -> None:
        """Raise the error of the one that was to be copied, else `IntegrityError` or `PartialError` for several."""
        total = len(self.copies) + len(self.failed)
        if not self.failed:
            return
        if total == 1:
            raise self.failed[0].error
        damaged = [failure for failure in self.failed if isinstance(failure.error, IntegrityError)]
        first = self.failed[0]
        text = f"{len(self.failed)} of {total} backups could not be copied"
        if damaged:
            ids = ", ".join(failure.id for failure in damaged[:5]) + (", …" if len(damaged) > 5 else "")
            raise IntegrityError(f"{text}; damaged: {ids}", hint=damaged[0].error.hint)
        kinds = {type(failure.error) for failure in self.failed}
        kind = PartialError if self.copies or len(kinds) > 1 else kinds.pop()
        raise kind(f"{text}: {first.error.message}", hint=first.error.hint)


class Copying:
    """Copies of several backups, one after another; each is made when it is asked for.

    `since`, such as `30d`, leaves out what was begun longer ago. Without names all of the store is copied: then what is
    deleted in the meantime is left out, and what is damaged, or cannot be read, is told of and stops no other. What is
    new there is kept for `retain`, if it is given; what is there already is not kept for longer.
    """

    def __init__(
        self,
        backups: Sequence[str | Backup],
        *,
        store: StoreLike,
        to: StoreLike,
        registry: Registry,
        since: str | None = None,
        jobs: int | None = None,
        create: bool = True,
        foreign_store: bool = False,
        on_event: Watcher | None = None,
        patience: Patience | None = None,
        retain: str | None = None,
        retain_mode: RetentionMode | None = None,
    ) -> None:
        self._registry, self._on_event, self._patience = registry, on_event, patience
        self._named = bool(backups)
        with Run(Operation.COPY, registry=registry, on_event=on_event) as run:
            run.action = "cannot copy"
            check_jobs(jobs)
            check_retention(retain, retain_mode)
            self._retention = (retain, retain_mode)
            period = parse_duration(since) if since is not None else None
            self._jobs = jobs or default_jobs()
            self._source = open_catalog(store, registry)
            self._target = unopened_catalog(to, registry)
            if share_a_place(self._source.storage, self._target.storage):
                raise UsageError(
                    f"{quote_name(self._target.storage.location)} and {quote_name(self._source.storage.location)} are "
                    "the same store, or lie within each other",
                    hint="name another place as the second store",
                )
            self.entries, self._hidden = _select(self._source, [reference(backup) for backup in backups], period)
            new_retention(self._target.storage, *self._retention)  # what cannot be kept there is refused at once
            self._open_target(create=create, foreign_store=foreign_store)
        self._names = SourceNames(self._source, self._target)

    def _open_target(self, *, create: bool, foreign_store: bool) -> None:
        if not self._target.usable() and not create:
            raise NotFoundError(
                f"no store at {quote_name(self._target.storage.location)}, and it is not to be made",
                hint="see whether its disk is mounted; without --no-create a copy makes a new store",
            )
        self._may_create = create
        if not foreign_store:
            check_owner(self._target.storage)

    @property
    def count(self) -> int:
        """How many results come: one a backup, and one a source that cannot be read."""
        return len(self.entries) + len(self._hidden)

    def lacking(self) -> list[Entry]:
        """Those of the backups that the target does not list; writes nothing."""
        if not self._target.usable():
            return self.entries
        there = {stat.path for stat in self._target.walk() if stat.path.endswith(f"/{MANIFEST}")}
        return [entry for entry in self.entries if f"{entry.folder}/{MANIFEST}" not in there]

    def raise_for_hidden(self) -> None:
        """Raise `PartialError` if there are sources that cannot be read: what was listed is not all that there is."""
        if self._hidden:
            raise PartialError(f"{len(self._hidden)} sources could not be read: {', '.join(sorted(self._hidden))}")

    def __iter__(self) -> Iterator[CopyResult | FailedCopy]:
        for entry in self.entries:
            try:
                yield self._copy(entry)
            except NotFoundError as error:
                if self._named or not self._is_gone(entry):
                    yield FailedCopy(id=entry.id, name=entry.name, error=error)
                else:
                    log.warning("%s", error.message, extra={"id": entry.id})
            except HoldfastError as error:
                yield FailedCopy(id=entry.id, name=entry.name, error=error)
        for source in self._hidden.items():
            yield FailedCopy(id="", name=source[0], error=NotFoundError(hidden_source(source)))

    def _is_gone(self, entry: Entry) -> bool:
        """Whether a backup has been deleted since it was listed, in a store that is there and under its name still."""
        try:
            self._source.open()
        except HoldfastError:
            return False
        try:
            check_published(self._source.storage, entry.folder)
        except NotFoundError:
            return not renamed_to(self._source.storage, entry.name)
        except OSError:
            return False
        return False

    def results(self) -> CopySet:
        """Make all of the copies."""
        outcomes = [*self]
        return CopySet(
            copies=tuple(outcome for outcome in outcomes if isinstance(outcome, CopyResult)),
            failed=tuple(outcome for outcome in outcomes if isinstance(outcome, FailedCopy)),
        )

    def _copy(self, entry: Entry) -> CopyResult:
        if self._patience is None:
            return self._try(entry)
        return self._patience.until_free(lambda: self._try(entry))

    def _try(self, entry: Entry) -> CopyResult:
        with Run(Operation.COPY, registry=self._registry, on_event=self._on_event) as run:
            run.identify(entry.id, entry.name)
            run.action = f"cannot copy {entry.id}"
            entry.check_readable()
            if entry.doubt:
                run.warn(f"pins, tags or findings of {entry.id} may be missing in the copy: {entry.doubt}")
            retention = new_retention(self._target.storage, *self._retention)
            task = Task(entry=entry, source=self._source, target=self._target, retention=retention)
            if self._may_create:
                self._target.open_or_create()
                self._may_create = False  # what goes away from now on is not made anew
            self._source.open()  # a lease would make the folder anew that is gone
            self._target.open()
            with holding(task):
                outcome = copy_backup(task, run, self._jobs, partial(self._names.settle, entry))
                run.settled = f"{entry.folder} is copied all the same"
            result = _result(entry, outcome, run)
            run.finish(**result.as_data())
            return result


def _result(entry: Entry, outcome: Outcome, run: Run) -> CopyResult:
    return CopyResult(
        id=entry.id,
        name=entry.name,
        copied=outcome.copied,
        stored_bytes=outcome.stored_bytes,
        notes=outcome.notes,
        duration_seconds=round(run.seconds, 3),
        warnings=tuple(run.warnings),
    )


def _select(catalog: Catalog, references: Sequence[str], since: timedelta | None) -> tuple[list[Entry], dict[str, str]]:
    """The backups to copy, oldest first, each once; and the sources that cannot be read, where all are meant."""
    hidden: dict[str, str] = {}
    entries: dict[str, Entry] = {}
    if not references:
        listing = catalog.listing()
        hidden = dict(listing.hidden)
        hidden |= {path: why for path in listing.foreign if (why := linked_source(catalog.storage, path))}
        for path in listing.foreign:
            if path in hidden:
                continue
            log.warning("%s is a link or no folder, and is not followed: nothing in it is copied", quote_name(path))
        entries = {entry.folder: entry for entry in listing.entries}
    for name in references:
        every = catalog.listing(name).entries if is_source_name(name) else ()
        entries |= {entry.folder: entry for entry in every or [catalog.find(name)]}
    first = datetime.now(UTC) - since if since is not None else None
    chosen = [entry for entry in entries.values() if first is None or entry.created_at >= first]
    return sorted(chosen, key=lambda entry: (entry.created_at, entry.id)), hidden
