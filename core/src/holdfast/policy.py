"""Which backups of a source a retention policy keeps: pure decisions over plain data, without a clock or a store.

Only good backups count. A good one goes if it exceeds a maximum, or if there are keep-rules and none keeps it.
Pinned ones, those with a kept tag, the newest good and the newest proven one always stay. A damaged one goes once
it is older than the newest good one and the policy would not keep it if it were good; one of which nothing can be
said stays. All of it in UTC.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.errors import UsageError

# Name of the rule: what two backups have in common of which it keeps the newer.
PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda at: (at.year, at.month, at.day, at.hour),
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: tuple(at.isocalendar()[:2]),
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: (at.year,),
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What to keep of each source; None means that there is no such rule.

    `max_age_days` and `max_backups` are maxima. `keep_last` keeps the newest N; `keep_daily` the newest backup of
    each of the N newest days (UTC) that have one, and so on (weeks are those of ISO 8601). `keep_tags` protects
    the backups that bear one of these tags.
    """

    max_age_days: float | None = None
    max_backups: int | None = None
    keep_last: int | None = None
    keep_hourly: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_yearly: int | None = None
    keep_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no rule could mean."""
        object.__setattr__(self, "keep_tags", check_texts("keep_tags", self.keep_tags))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "keep_tags" or value is None:
                continue
            least = 0 if field.name.startswith("max_") else 1
            whole = field.name != "max_age_days"
            fits = type(value) is int or (type(value) is float and not whole and math.isfinite(value))
            if not fits or value < least:
                raise UsageError(f"{field.name} is {value!r}, expected a {'whole ' * whole}number from {least}")

    @property
    def empty(self) -> bool:
        """Whether nothing would ever go: there is neither a maximum nor a keep-rule."""
        return not self.has_keep_rules and self.max_age_days is None and self.max_backups is None

    @property
    def has_keep_rules(self) -> bool:
        """Whether there is any rule that keeps by number or period; kept tags only protect."""
        return self.keep_last is not None or any(self.period(name) is not None for name in PERIODS)

    def period(self, name: str) -> int | None:
        """How many hours, days, … the rule of that name covers."""
        value: int | None = getattr(self, f"keep_{name}")
        return value


def check_texts(what: str, texts: Any) -> tuple[str, ...]:
    """Return texts as a tuple; a single text, which Python would take for its letters, is a `UsageError`."""
    several = isinstance(texts, Iterable) and not isinstance(texts, str)
    found = tuple(texts) if several else ()
    if not several or not all(isinstance(text, str) for text in found):
        raise UsageError(f"{what} is {texts!r}, expected a list of texts")
    return found


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A backup as a policy sees it; `at` is when it was begun, with a time zone.

    `unknown` says that it could not be read, so that it is not `good`, and may well be.
    """

    id: str
    at: datetime
    good: bool = True
    proven: bool = False
    pinned: bool = False
    tags: tuple[str, ...] = ()
    unknown: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a backup and why.

    `protected` says that the policy alone would delete it, and only its being the newest good or the newest
    proven one keeps it.
    """

    id: str
    keep: bool
    reasons: tuple[str, ...]
    protected: bool = False


def decide(
    candidates: Iterable[Candidate], policy: Policy, *, now: datetime, allow_last: bool = False
) -> list[Decision]:
    """Decide on the backups of one source, newest first; `allow_last` lifts the protection of the newest ones."""
    ordered = sorted(candidates, key=_order, reverse=True)
    good = [one for one in ordered if one.good]
    proven = [one for one in good if one.proven]
    kept_by = _kept_by(good, policy)
    newer = {one.id: count for count, one in enumerate(good)}
    decisions = []
    for one in ordered:
        always = _always(one, policy)
        newest = [
            text
            for text, group in (("the newest good backup", good), ("the newest proven backup", proven))
            if group and group[0].id == one.id
        ]
        if one.good:
            against = _against(one, newer[one.id], policy, now, kept_by[one.id])
            keeps = kept_by[one.id]
        else:
            against, keeps = _against_damaged(one, good, policy, now)
        protected = bool(newest and against and not always and not allow_last)
        keep = bool(always or not against or protected)
        # Kept in spite of something: say what keeps it; otherwise the rules that do, or that none is against it.
        why = [*always, *([] if allow_last else newest), *keeps] if keep else against
        reasons = why or ["within the policy" if one.good else "damaged, but newer than the policy reaches"]
        decisions.append(Decision(id=one.id, keep=keep, reasons=tuple(reasons), protected=protected))
    return decisions


def _order(one: Candidate) -> tuple[datetime, str]:
    return (one.at.astimezone(UTC), one.id)


def _always(one: Candidate, policy: Policy) -> list[str]:
    tags = [f"tag {tag}" for tag in policy.keep_tags if tag in one.tags]
    return [*(["pinned"] if one.pinned else []), *tags, *(["cannot be read"] if one.unknown else [])]


def _kept_by(good: Sequence[Candidate], policy: Policy) -> dict[str, list[str]]:
    """Which keep-rules keep each good backup, newest first."""
    kept: dict[str, list[str]] = {one.id: [] for one in good}
    for one in good[: policy.keep_last or 0]:
        kept[one.id].append("keep-last")
    for name, key in PERIODS.items():
        seen: set[tuple[int, ...]] = set()
        for one in good:
            period = key(one.at.astimezone(UTC))
            if period not in seen and len(seen) < (policy.period(name) or 0):
                seen.add(period)
                kept[one.id].append(f"keep-{name}")
    return kept


def _against(one: Candidate, newer: int, policy: Policy, now: datetime, keeps: Sequence[str]) -> list[str]:
    """What speaks against a backup that has `newer` good ones after it."""
    against = []
    if policy.max_age_days is not None and _older(one.at, now, policy.max_age_days):
        against.append(f"older than {policy.max_age_days:g} days")
    if policy.max_backups is not None and newer >= policy.max_backups:
        against.append(f"beyond the newest {policy.max_backups}")
    if policy.has_keep_rules and not keeps:
        against.append("kept by no rule")
    return against


def _older(at: datetime, now: datetime, days: float) -> bool:
    # Not now - timedelta(days): a huge number of days would leave the calendar, and means that nothing is older.
    return now.astimezone(UTC) - at.astimezone(UTC) > timedelta(days=min(days, 999_999_999))


def _against_damaged(
    one: Candidate, good: Sequence[Candidate], policy: Policy, now: datetime
) -> tuple[list[str], list[str]]:
    """The same for a damaged backup: it counts for nothing, but is judged as if it alone were good."""
    newer = [other for other in good if _order(other) > _order(one)]
    if not newer:
        return [], []  # nothing good has taken its place yet
    keeps = _kept_by([*newer, one], policy)[one.id]
    against = _against(one, len(newer), policy, now, keeps)
    return [f"damaged, {reason}" for reason in against], keeps
