"""What a policy decides about the backups of a store, of each database by itself, and by which clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from holdfast.api import Storage
from holdfast.errors import UsageError
from holdfast.policy import SKEW, Candidate, Decision, Policy, decide, has_stood_still, is_ahead
from holdfast.store.entry import Entry, Listing
from holdfast.store.findings import State
from holdfast.store.lineage import lineages, mixture
from holdfast.store.store_clock import store_time


def check_policy(policy: Policy) -> None:
    """Refuse a policy by which nothing would ever go."""
    if policy.empty:
        raise UsageError(
            "the policy is empty: it would keep everything"
            + (", because kept tags only protect" if policy.keep_tags else ""),
            hint="give a maximum (--max-age, --max-backups) or a rule such as --keep-last or --keep-daily",
        )


@dataclass(frozen=True, kw_only=True)
class DecidedSource:
    """The backups of one source by id, with what is decided about them."""

    name: str
    entries: dict[str, Entry] = field(repr=False)
    decisions: list[Decision]
    mixture: str  # what to say where they are of several databases


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The time it is, the time that ages are counted to, and what to say where that is not the time of this host."""

    now: datetime
    reach: datetime
    text: str = ""


def clock_of(
    storage: Storage, listing: Listing, policy: Policy, now: datetime | None, *, dry_run: bool, allow_last: bool
) -> Clock:
    """By a clock that is ahead every backup is too old.

    The server of a share has a clock of its own, and the earlier of the two is taken. By no clock does anything become
    too old while no backup is made at all.
    """
    time, texts = now or datetime.now(UTC), []
    stores = None if now is not None or dry_run else store_time(storage)
    if stores is not None and abs(stores - time) > SKEW:
        texts.append(
            f"the clock of this host says {time:%Y-%m-%d %H:%M} (UTC), and that of the store {stores:%Y-%m-%d %H:%M}: "
            "see which is wrong; ages are counted to the earlier"
        )
        time = min(stores, time)
    begun = (entry.created_at for entry in listing.entries if entry.manifest and not is_ahead(entry.created_at, time))
    newest = max(begun, default=time)
    if allow_last or not has_stood_still(newest, policy, time):
        return Clock(now=time, reach=time, text="; ".join(texts))
    days = (time - newest) / timedelta(days=1)
    texts.append(
        f"the newest backup of all is {days:.1f} days old: either no backup has been made since, or the clock of this "
        "host is wrong; ages are counted to that backup, and --allow-last counts them to now"
    )
    return Clock(now=time, reach=newest, text="; ".join(texts))


def decide_source(
    name: str, storage: Storage, entries: Sequence[Entry], policy: Policy, clock: Clock, *, allow_last: bool
) -> DecidedSource:
    """Decide on the backups of a source, oldest first, and where they are of several databases on those of each."""
    groups = lineages(storage, name, entries)
    decisions = [
        decision
        for group in groups
        for decision in _decide_group([*map(_candidate, group)], policy, clock, allow_last=allow_last)
    ]
    by_id = {entry.id: entry for entry in entries}
    order = {backup_id: position for position, backup_id in enumerate(by_id)}
    decisions.sort(key=lambda decision: order[decision.id], reverse=True)
    return DecidedSource(name=name, entries=by_id, decisions=decisions, mixture=mixture(name, groups))


def _decide_group(group: Sequence[Candidate], policy: Policy, clock: Clock, *, allow_last: bool) -> Sequence[Decision]:
    decisions = decide(group, policy, now=clock.reach, allow_last=allow_last)
    if clock.reach == clock.now:
        return decisions
    # What is kept against the policy as the newest is told as ever.
    by_now = {decision.id: decision for decision in decide(group, policy, now=clock.now, allow_last=allow_last)}
    return [by_now[each.id] if each.keep and by_now[each.id].protected else each for each in decisions]


def _candidate(entry: Entry) -> Candidate:
    state, document = entry.state, entry.manifest
    # Most have no labels, and a store may have a hundred thousand backups.
    tags = entry.tags if entry.labels else tuple(document.tags) if document else ()
    return Candidate(
        id=entry.id,
        at=entry.created_at,
        good=state not in (State.DAMAGED, State.UNKNOWN),
        proven=state is State.PROVEN,
        pinned=bool(entry.labels) and entry.pinned,
        tags=tags,
        unknown=bool(entry.doubt),
        size=document.size if document else None,
        content=document.content if document else "",
        part=document.part if document else "",
    )
