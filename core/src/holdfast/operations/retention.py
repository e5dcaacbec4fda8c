"""Retention: delete by a policy or one by one, never the last good backup of a source by accident.

The manifest goes first, so that whatever interrupts a deletion leaves no backup that cannot be restored; what is
then left of it belongs to nobody and is removed by the next prune, or the next backup of the source.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.errors import NotFoundError, UnsafeError, UsageError, os_error_text
from holdfast.plan import check_tag
from holdfast.policy import Candidate, Decision, Policy, decide
from holdfast.store import labels
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry, Listing
from holdfast.store.findings import State, proven_at
from holdfast.store.labels import Act

log = logging.getLogger("holdfast.retention")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a prune decided about one backup, and whether it was deleted (or would be, in a dry run)."""

    id: str  #: the id of the backup
    name: str  #: the name of its source
    keep: bool  #: whether it stays
    reasons: tuple[str, ...]  #: why, a few words each
    protected: bool = False  #: whether the policy would delete it and it stays as the newest good or proven one
    unknown: str = ""  #: why nothing can be said of a backup that is kept, otherwise empty
    failure: str = ""  #: why it could not be deleted, otherwise empty

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """What a prune did, or would do."""

    choices: tuple[Choice, ...]  #: what was decided about each backup, newest first within a source
    leftovers: tuple[str, ...]  #: the folders of unfinished backups that were removed
    dry_run: bool  #: whether nothing was deleted

    @property
    def deleted(self) -> tuple[Choice, ...]:
        """The backups that are gone."""
        return tuple(one for one in self.choices if not one.keep and not one.failure)

    @property
    def failed(self) -> tuple[Choice, ...]:
        """The backups that should be gone."""
        return tuple(one for one in self.choices if one.failure)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the policy wanted to delete and protection kept, and what nothing is known of."""
        protected = [
            f"kept {one.name}/{one.id}, {' and '.join(one.reasons)}, which the policy would delete"
            for one in self.choices
            if one.protected
        ]
        unknown = [f"kept {one.name}/{one.id}: {one.unknown}" for one in self.choices if one.unknown]
        return (*protected, *unknown)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "dry_run": self.dry_run,
            "deleted": [one.id for one in self.deleted],
            "kept": [one.id for one in self.choices if one.keep],
            "failed": [one.id for one in self.failed],
            "leftovers": list(self.leftovers),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The backups of one source by id, with what is decided about them."""

    name: str
    entries: dict[str, Entry] = field(repr=False)
    decisions: list[Decision]


def prune(
    catalog: Catalog,
    policy: Policy,
    *,
    names: Sequence[str] = (),
    dry_run: bool = False,
    allow_last: bool = False,
    now: datetime | None = None,
) -> PruneResult:
    """Delete what the policy does not keep, of all sources or of those in `names`, and remove leftovers.

    An empty policy is a `UsageError`. The newest good and the newest proven backup of a source stay, unless
    `allow_last`. A deletion that fails is reported in the result and stops no other one.
    """
    if policy.empty:
        raise UsageError(
            "the policy is empty: it would keep everything"
            + (", because kept tags only protect" if policy.keep_tags else ""),
            hint="give a maximum (--max-age-days, --max-backups) or a rule such as --keep-last or --keep-daily",
        )
    listing = catalog.listing()
    choices: list[Choice] = []
    leftovers: list[str] = []
    for name in _names(listing, names):
        source = _decide(name, listing, policy, now=now or datetime.now(UTC), allow_last=allow_last)
        choices += _carry_out(catalog, source, policy, dry_run=dry_run)
        unfinished = tuple(folder for folder in listing.leftovers if folder.startswith(f"{name}/"))
        leftovers += catalog.abandoned(unfinished) if dry_run else catalog.sweep(name)
    if not dry_run:
        catalog.tidy()
    return PruneResult(choices=tuple(choices), leftovers=tuple(leftovers), dry_run=dry_run)


def _names(listing: Listing, wanted: Sequence[str]) -> list[str]:
    """The sources to prune; one that is not there is a `NotFoundError`."""
    there = sorted({entry.name for entry in listing.entries} | {left.partition("/")[0] for left in listing.leftovers})
    for name in wanted:
        if name not in there:
            raise NotFoundError(f"no backups of '{name}' (there are: {', '.join(there) or 'none'})")
    return [name for name in there if not wanted or name in wanted]


def _decide(name: str, listing: Listing, policy: Policy, *, now: datetime, allow_last: bool) -> _Source:
    entries = {entry.id: entry for entry in listing.entries if entry.name == name}
    candidates = [
        Candidate(
            id=entry.id,
            at=entry.created_at,
            good=entry.good,
            proven=entry.state is State.PROVEN,
            pinned=entry.pinned,
            tags=entry.tags,
            unknown=entry.unknown,
        )
        for entry in entries.values()
    ]
    return _Source(name=name, entries=entries, decisions=decide(candidates, policy, now=now, allow_last=allow_last))


def _carry_out(catalog: Catalog, source: _Source, policy: Policy, *, dry_run: bool) -> list[Choice]:
    """Delete what goes, the oldest first, and tell about all."""
    choices = []
    for decision in reversed(source.decisions):
        failure = ""
        keep, reasons = decision.keep, decision.reasons
        if not keep and not dry_run:
            keep, failure = _remove(catalog, source.entries[decision.id], policy)
            reasons = ("pinned or tagged meanwhile",) if keep else reasons
        choices.append(
            Choice(
                id=decision.id,
                name=source.name,
                keep=keep,
                reasons=reasons,
                protected=decision.protected,
                unknown=source.entries[decision.id].problem if source.entries[decision.id].unknown else "",
                failure=failure,
            )
        )
    return choices[::-1]


def _remove(catalog: Catalog, entry: Entry, policy: Policy) -> tuple[bool, str]:
    """Delete one backup; returns whether it has to stay after all, and why a deletion failed."""
    try:
        current = catalog.again(entry)
        if current is None:
            return False, ""
        if current.pinned or set(current.tags) & set(policy.keep_tags):
            return True, ""
        catalog.delete(current)
    except OSError as error:
        return False, os_error_text(error)
    log.info("deleted %s", entry.folder, extra={"id": entry.id, "source_name": entry.name})
    return False, ""


def delete(catalog: Catalog, entry: Entry, *, allow_last: bool = False) -> None:
    """Delete one backup; the newest good and the newest proven one of a source, or a pinned one, is refused.

    `allow_last` lifts the first two; a pin has to be taken off.
    """
    if entry.pinned:
        raise UnsafeError(f"{entry.id} is pinned and is kept", hint=f"holdfast unpin {entry.id} takes the pin off")
    if entry.unknown and not allow_last:
        raise UnsafeError(
            f"{entry.id} is kept, since it cannot be told whether it is good: {entry.problem}",
            hint=entry.hint or "--allow-last deletes it all the same",
        )
    why = protection(catalog, entry)
    if why and not allow_last:
        raise UnsafeError(
            f"{entry.id} is {why} of '{entry.name}' and is kept", hint="--allow-last deletes it all the same"
        )
    catalog.delete(entry)
    log.info("deleted %s", entry.folder, extra={"id": entry.id, "source_name": entry.name})


def protection(catalog: Catalog, entry: Entry) -> str:
    """Say why a backup must stay, or nothing."""
    siblings = catalog.listing(entry.name).entries
    good = [sibling for sibling in siblings if sibling.good]
    proven = [sibling for sibling in siblings if sibling.state is State.PROVEN]
    if good and good[-1].id == entry.id:
        return "the newest good backup"
    if proven and proven[-1].id == entry.id:
        return "the newest proven backup"
    return ""


def pin(catalog: Catalog, entry: Entry, *, pinned: bool = True) -> bool:
    """Pin a backup, so that retention leaves it alone, or take the pin off; returns whether that changed anything."""
    if entry.pinned == pinned:
        return False
    labels.record(catalog.storage, entry.folder, Act.PIN if pinned else Act.UNPIN)
    return True


def tag(catalog: Catalog, entry: Entry, tags: Iterable[str], *, remove: bool = False) -> tuple[str, ...]:
    """Give a backup tags, or take them off, and return those that it has afterwards."""
    wanted = [check_tag(one) for one in tags]
    known = list(entry.labels)
    for one in wanted:
        if (one in entry.tags) == remove:
            act = Act.UNTAG if remove else Act.TAG
            known.append(labels.record(catalog.storage, entry.folder, act, tag=one))
    return labels.tags_of(known, entry.manifest.tags if entry.manifest else ())


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """A source of which no backup was proven in time: its newest good backup, and when one was last proven."""

    newest: Entry
    proven_at: datetime | None

    def __str__(self) -> str:
        if self.proven_at is None:
            return f"{self.newest.name} (never)"
        return f"{self.newest.name} (last {self.proven_at:%Y-%m-%d %H:%M} UTC)"


def overdue(entries: Iterable[Entry], period: timedelta, *, now: datetime | None = None) -> tuple[Overdue, ...]:
    """The sources of which no backup that is still proven passed a drill within `period`; never proven counts."""
    since = (now or datetime.now(UTC)) - period
    sources: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        sources[entry.name].append(entry)
    late = []
    for _, backups in sorted(sources.items()):
        times = [proven_at(entry.findings) for entry in backups if entry.state is State.PROVEN]
        last = max((time for time in times if time is not None), default=None)
        if last is None or last < since:
            good = [entry for entry in backups if entry.good]
            late.append(Overdue(newest=(good or backups)[-1], proven_at=last))
    return tuple(late)
