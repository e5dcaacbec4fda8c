"""Which backups of a source a retention policy keeps: pure decisions over plain data, without a clock or a store.

Only good backups count. A good one goes if it exceeds a maximum, or if there are keep-rules and none keeps it.
Pinned ones, those with a kept tag, the newest good and the newest proven one always stay. A damaged one goes once
it is older than the newest good one and the policy would not keep it if it were good; one of which nothing can be
said stays. All of it in UTC.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import InitVar, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from holdfast.duration import parse_duration
from holdfast.errors import UsageError

# Callers may give a list of texts, what holds them has a tuple. A single text, a sequence of texts as well, is neither.
if TYPE_CHECKING:
    Texts: TypeAlias = list[str] | tuple[str, ...]
else:
    Texts = tuple[str, ...]

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

    Periods without a backup do not count. All of them are in UTC.
    """

    max_age_days: float | None = None  #: delete what is older than so many days
    max_age: InitVar[str | timedelta | None] = None  #: another way to write `max_age_days`, such as `30d` or `36h`
    max_backups: int | None = None  #: delete all but the newest N
    keep_last: int | None = None  #: keep the newest N
    keep_hourly: int | None = None  #: keep the newest of each of the newest N hours
    keep_daily: int | None = None  #: keep the newest of each of the newest N days
    keep_weekly: int | None = None  #: keep the newest of each of the newest N weeks of ISO 8601
    keep_monthly: int | None = None  #: keep the newest of each of the newest N months
    keep_yearly: int | None = None  #: keep the newest of each of the newest N years
    keep_tags: Texts = ()  #: keep what has one of these tags, whatever the other rules say

    def __post_init__(self, max_age: str | timedelta | None) -> None:
        """Refuse what no rule could mean."""
        if max_age is not None:
            object.__setattr__(self, "max_age_days", _days(max_age, self.max_age_days))
        object.__setattr__(self, "keep_tags", check_texts("keep_tags", self.keep_tags))
        for field in fields(Policy):
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


def _days(age: Any, days: float | None) -> float:
    """The maximal age in days, which can be given in one way only."""
    if days is not None:
        raise UsageError("max_age and max_age_days are the same rule: give one of them")
    if not isinstance(age, str | timedelta):
        raise UsageError(f"max_age is {age!r}, expected a duration such as 30d")
    return (parse_duration(age) if isinstance(age, str) else age) / timedelta(days=1)


def check_texts(what: str, texts: Any) -> tuple[str, ...]:
    """Return texts as a tuple; a single text, which Python would take for its letters, is a `UsageError`."""
    several = isinstance(texts, Iterable) and not isinstance(texts, str)
    checked = tuple(texts) if several else ()
    if not several or not all(isinstance(text, str) for text in checked):
        raise UsageError(f"{what} is {texts!r}, expected a list of texts")
    return checked


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
    good = [candidate for candidate in ordered if candidate.good]
    proven = [candidate for candidate in good if candidate.proven]
    kept_by = _kept_by(good, policy)
    newer = {candidate.id: count for count, candidate in enumerate(good)}
    decisions = []
    for candidate in ordered:
        always = _always(candidate, policy)
        newest = [
            text
            for text, group in (("the newest good backup", good), ("the newest proven backup", proven))
            if group and group[0].id == candidate.id
        ]
        if candidate.good:
            against = _against(candidate, newer[candidate.id], policy, now, kept_by[candidate.id])
            keeps = kept_by[candidate.id]
        else:
            against, keeps = _against_damaged(candidate, good, policy, now)
        protected = bool(newest and against and not always and not allow_last)
        keep = bool(always or not against or protected)
        # Kept in spite of something: say what keeps it; otherwise the rules that do, or that none is against it.
        why = [*always, *([] if allow_last else newest), *keeps] if keep else against
        reasons = why or ["within the policy" if candidate.good else "damaged, but newer than the policy reaches"]
        decisions.append(Decision(id=candidate.id, keep=keep, reasons=tuple(reasons), protected=protected))
    return decisions


def _order(candidate: Candidate) -> tuple[datetime, str]:
    return (candidate.at.astimezone(UTC), candidate.id)


def _always(candidate: Candidate, policy: Policy) -> list[str]:
    tags = [f"tag {tag}" for tag in policy.keep_tags if tag in candidate.tags]
    return [*(["pinned"] if candidate.pinned else []), *tags, *(["cannot be read"] if candidate.unknown else [])]


def _kept_by(good: Sequence[Candidate], policy: Policy) -> dict[str, list[str]]:
    """Which keep-rules keep each good backup, newest first."""
    kept: dict[str, list[str]] = {candidate.id: [] for candidate in good}
    for candidate in good[: policy.keep_last or 0]:
        kept[candidate.id].append("keep-last")
    for name, key in PERIODS.items():
        seen: set[tuple[int, ...]] = set()
        for candidate in good:
            period = key(candidate.at.astimezone(UTC))
            if period not in seen and len(seen) < (policy.period(name) or 0):
                seen.add(period)
                kept[candidate.id].append(f"keep-{name}")
    return kept


def _against(candidate: Candidate, newer: int, policy: Policy, now: datetime, keeps: Sequence[str]) -> list[str]:
    """What speaks against a backup that has `newer` good ones after it."""
    against = []
    if policy.max_age_days is not None and _older(candidate.at, now, policy.max_age_days):
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
    candidate: Candidate, good: Sequence[Candidate], policy: Policy, now: datetime
) -> tuple[list[str], list[str]]:
    """The same for a damaged backup: it counts for nothing, but is judged as if it alone were good."""
    newer = [other for other in good if _order(other) > _order(candidate)]
    if not newer:
        return [], []  # nothing good has taken its place yet
    keeps = _kept_by([*newer, candidate], policy)[candidate.id]
    against = _against(candidate, len(newer), policy, now, keeps)
    return [f"damaged, {reason}" for reason in against], keeps
