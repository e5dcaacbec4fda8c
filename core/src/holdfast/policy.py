"""Which backups of a source a retention policy keeps: pure decisions over plain data, without a clock or a store.

Only good backups count. A good one goes if it exceeds a maximum, or if there are keep-rules and none keeps it.
Pinned ones, those with a kept tag, the newest good and the newest proven one always stay. A damaged one goes once
it is older than the newest good one and the policy would not keep it if it were good; one of which nothing can be
said stays. One that has shrunk to a fraction is good and replaces no other until somebody confirms it, and so does one
that is later than the clock until that is there. One of a selection replaces only those of the same selection. All of
it in UTC.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import InitVar, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from holdfast.duration import parse_duration
from holdfast.errors import UsageError

# Callers may give a list of texts, what holds them has a tuple. A single text, a sequence of texts as well, is neither.
if TYPE_CHECKING:
    Texts: TypeAlias = list[str] | tuple[str, ...]
else:
    Texts = tuple[str, ...]

CONFIRMED = "confirmed"  # the tag of a backup that has shrunk, as it should have
MAX_SHRINK = 90.0  # percent
NEWEST_GOOD = "the newest good backup"  # why it is kept
AHEAD = "later than this clock"  # the same of one that only a wrong clock can have made
SKEW = timedelta(minutes=10)  # by which the clocks of two hosts may differ
_USUAL_DAYS = 1.0  # a policy may reach back less far, as one that keeps nothing but the newest
_FRACTIONS = {"max_age_days", "keep_within_days", "max_shrink"}  # rules whose numbers need not be whole

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
    keep_within_days: float | None = None  #: keep all of so many days before the newest
    keep_within: InitVar[str | timedelta | None] = None  #: another way to write `keep_within_days`
    keep_tags: Texts = ()  #: keep what has one of these tags, whatever the other rules say
    #: what is smaller by more than so many percent than the one before replaces none until it has the tag `confirmed`
    max_shrink: float | None = MAX_SHRINK

    def __post_init__(self, max_age: str | timedelta | None, keep_within: str | timedelta | None) -> None:
        """Refuse what no rule could mean."""
        if max_age is not None:
            object.__setattr__(self, "max_age_days", _days("max_age", max_age, self.max_age_days))
        if keep_within is not None:
            days = _days("keep_within", keep_within, self.keep_within_days)
            object.__setattr__(self, "keep_within_days", days)
        object.__setattr__(self, "keep_tags", check_texts("keep_tags", self.keep_tags))
        for field in fields(Policy):
            value = getattr(self, field.name)
            if field.name == "keep_tags" or value is None:
                continue
            least = 0 if field.name.startswith("max_") or field.name in _FRACTIONS else 1
            whole = field.name not in _FRACTIONS
            fits = type(value) is int or (type(value) is float and not whole and math.isfinite(value))
            if not fits or value < least:
                raise UsageError(f"{field.name} is {value!r}, expected a {'whole ' * whole}number from {least}")
        check_percent("max_shrink", self.max_shrink)

    @property
    def empty(self) -> bool:
        """Whether nothing would ever go: there is neither a maximum nor a keep-rule."""
        return not self.has_keep_rules and self.max_age_days is None and self.max_backups is None

    @property
    def has_keep_rules(self) -> bool:
        """Whether there is any rule that keeps by number or period; kept tags only protect."""
        return self._has_keep_rules

    @cached_property
    def _has_keep_rules(self) -> bool:
        rules = (self.keep_last, self.keep_within_days, *map(self.period, PERIODS))
        return any(rule is not None for rule in rules)

    def period(self, name: str) -> int | None:
        """How many hours, days, … the rule of that name covers."""
        value: int | None = getattr(self, f"keep_{name}")
        return value


def check_percent(what: str, value: float | None) -> None:
    """Refuse a percentage that is none with a `UsageError`."""
    if value is not None and not 0 <= value <= 100:
        raise UsageError(f"{what} is {value!r}, expected a percentage from 0 to 100")


def _days(what: str, age: Any, days: float | None) -> float:
    """An age in days, which can be given in one way only."""
    if days is not None:
        raise UsageError(f"{what} and {what}_days are the same rule: give one of them")
    if not isinstance(age, str | timedelta):
        raise UsageError(f"{what} is {age!r}, expected a duration such as 30d")
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

    `unknown` says that it could not be read, so that it is not `good`, and may well be. `size` in bytes, None where it
    is not known, can be compared with that of others with the same `content`, which says what was taken and how. `part`
    says which part of its source it holds; empty for all of it.
    """

    id: str
    at: datetime
    good: bool = True
    proven: bool = False
    pinned: bool = False
    tags: tuple[str, ...] = ()
    unknown: bool = False
    size: int | None = None
    content: str = ""
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a backup and why.

    `protected` says that the policy alone would delete it, and only its being the newest good or the newest
    proven one keeps it. `shrunk` says since which one it has shrunk so that it replaces none.
    """

    id: str
    keep: bool
    reasons: tuple[str, ...]
    protected: bool = False
    shrunk: str = ""


def decide(
    candidates: Iterable[Candidate], policy: Policy, *, now: datetime, allow_last: bool = False
) -> list[Decision]:
    """Decide on the backups of one source, newest first; `allow_last` lifts the protection of the newest ones."""
    ordered = sorted(candidates, key=_order, reverse=True)
    latest = now + SKEW
    ahead = {candidate.id for candidate in ordered if candidate.good and candidate.at > latest}
    every_good = [candidate for candidate in ordered if candidate.good and candidate.id not in ahead]
    shrunk = find_shrunk(every_good[::-1], policy.max_shrink)
    rivals = {
        part: _Rivals([other for other in every_good if other.part in ("", part)], shrunk, policy, now)
        for part in {candidate.part for candidate in ordered}
    }
    decisions = []
    for candidate in ordered:
        always = _always(candidate, policy)
        group = rivals[candidate.part]
        newest = group.newest(candidate)
        base = shrunk.get(candidate.id)
        if candidate.id in ahead:
            against, keeps = list[str](), [AHEAD]
        elif not candidate.good:
            against, keeps = _against_damaged(candidate, group.good, policy, now)
        else:
            against, keeps = group.judge(candidate, shrunk=base is not None)
        protected = bool(newest and against and not always and not allow_last)
        keep = bool(always or not against or protected)
        # Kept in spite of something: say what keeps it; otherwise the rules that do, or that none is against it.
        why = [*always, *([] if allow_last else newest), *keeps] if keep else against
        reasons = why or ["within the policy" if candidate.good else "damaged, but newer than the policy reaches"]
        if base is not None and keep:
            reasons = [*reasons, f"replaces none: {_shrinkage(candidate, base)}"]
        decisions.append(
            Decision(
                id=candidate.id,
                keep=keep,
                reasons=tuple(reasons),
                protected=protected,
                shrunk="" if base is None else base.id,
            )
        )
    return decisions


def is_ahead(at: datetime, now: datetime | None = None) -> bool:
    """Whether a time is later than the clock, by more than clocks may differ: one of the two is wrong."""
    return at.astimezone(UTC) - (now or datetime.now(UTC)).astimezone(UTC) > SKEW


def has_stood_still(newest: datetime, policy: Policy, now: datetime) -> bool:
    """Whether even the newest backup of all is older than the policy reaches: ages say nothing about the others then.

    Either none has been made for so long, or the clock is ahead. What is younger than a day is neither.
    """
    days = policy.max_age_days
    return days is not None and _older(newest, now, max(days, _USUAL_DAYS))


def find_shrunk(good: Iterable[Candidate], percent: float | None) -> dict[str, Candidate]:
    """Of good backups, oldest first, those that shrank by more than `percent`, each with the one that it shrank from.

    Each is compared with the last one of the same content that has not shrunk, or was confirmed.
    """
    bases: dict[str, Candidate] = {}
    shrunk = {}
    for candidate in good:
        if candidate.size is None or percent is None:
            continue
        base = bases.get(candidate.content)
        if base is not None and CONFIRMED not in candidate.tags and has_shrunk(candidate.size, base.size or 0, percent):
            shrunk[candidate.id] = base
        else:
            bases[candidate.content] = candidate
    return shrunk


def has_shrunk(size: int, before: int, percent: float) -> bool:
    """Whether a size in bytes is smaller than one before by more than so many percent."""
    return size < before * (1 - percent / 100)


def _shrinkage(candidate: Candidate, base: Candidate) -> str:
    return f"{candidate.size} bytes after {base.size} in {base.id}, not tagged '{CONFIRMED}'"


class _Rivals:
    """The good backups, newest first, that hold what one of a part holds, and so can take its place.

    They hold the same part or the whole, and of the whole only the whole takes the place.
    """

    def __init__(self, every: Sequence[Candidate], shrunk: Collection[str], policy: Policy, now: datetime) -> None:
        self.good = [candidate for candidate in every if candidate.id not in shrunk]
        groups = ((NEWEST_GOOD, self.good), ("the newest proven backup", [each for each in self.good if each.proven]))
        self._newest = [(text, group[0].id) for text, group in groups if group]
        self._alone, self._together = _Ranking(self.good, policy, now), _Ranking(every, policy, now)

    def newest(self, candidate: Candidate) -> list[str]:
        """What a backup is the newest of."""
        return [text for text, newest in self._newest if newest == candidate.id]

    def judge(self, candidate: Candidate, *, shrunk: bool) -> tuple[list[str], list[str]]:
        """What speaks against one of them, and which rules keep it; one that has shrunk is judged beside the others."""
        return (self._together if shrunk else self._alone).judge(candidate)


class _Ranking:
    """How good backups, newest first, stand to each other under a policy."""

    def __init__(self, good: Sequence[Candidate], policy: Policy, now: datetime) -> None:
        self._policy = policy
        self._now = now
        self._kept_by = _kept_by(good, policy)
        self._newer = {candidate.id: count for count, candidate in enumerate(good)}

    def judge(self, candidate: Candidate) -> tuple[list[str], list[str]]:
        """What speaks against one of them, and which rules keep it."""
        keeps = self._kept_by[candidate.id]
        return _against(candidate, self._newer[candidate.id], self._policy, self._now, keeps), keeps


def _order(candidate: Candidate) -> tuple[datetime, str]:
    return (candidate.at, candidate.id)


def _always(candidate: Candidate, policy: Policy) -> list[str]:
    tags = [f"tag {tag}" for tag in policy.keep_tags if tag in candidate.tags]
    return [*(["pinned"] if candidate.pinned else []), *tags, *(["cannot be read"] if candidate.unknown else [])]


def _kept_by(good: Sequence[Candidate], policy: Policy) -> dict[str, list[str]]:
    """Which keep-rules keep each good backup, newest first."""
    kept: dict[str, list[str]] = {candidate.id: [] for candidate in good}
    for candidate in good[: policy.keep_last or 0]:
        kept[candidate.id].append("keep-last")
    for candidate in good if policy.keep_within_days is not None else ():
        if _older(candidate.at, good[0].at, policy.keep_within_days or 0):
            break
        kept[candidate.id].append("keep-within")
    for name, key in PERIODS.items():
        most = policy.period(name) or 0
        seen: set[tuple[int, ...]] = set()
        for candidate in good if most else ():
            period = key(candidate.at.astimezone(UTC))
            if period in seen:
                continue
            if len(seen) == most:  # all that follow are older
                break
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
    own = _order(candidate)
    newer = [*takewhile(lambda other: _order(other) > own, good)]
    if not newer:
        return [], []  # nothing good has taken its place yet
    keeps = _kept_by([*newer, candidate], policy)[candidate.id]
    against = _against(candidate, len(newer), policy, now, keeps)
    return [f"damaged, {reason}" for reason in against], keeps
