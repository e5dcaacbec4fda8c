"""Retention decides as DESIGN says, for any series of backups, failures, time zones, clock jumps and rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sweeps import tries

from holdfast.errors import UsageError
from holdfast.policy import AHEAD, Candidate, Decision, Policy, decide, is_ahead

BASE = datetime(2024, 12, 30, 12, tzinfo=UTC)  # a Monday in ISO week 1 of the next year
NOW = BASE + timedelta(days=1)
FORMATS = {"hourly": "%Y%m%d%H", "daily": "%Y%m%d", "weekly": "%G-%V", "monthly": "%Y%m", "yearly": "%Y"}
CASES = settings(max_examples=tries(200, long=2_000), deadline=None)

# Numbers are taken apart by hand: one draw a backup instead of eight makes 10 000 cases take seconds, not minutes.
SPANS = (240, 6000, 1_200_000)  # minutes: within hours, within days, over two years


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("keep_tags", "nightly"), ("keep_tags", 5), ("keep_tags", [5]), ("max_age_days", "30"), ("max_backups", 1.5),
        ("max_age", "30"), ("max_age", "soon"), ("max_age", 30),
        ("keep_last", "2"), ("keep_daily", True), ("max_age_days", float("nan")), ("keep_last", 0), ("max_backups", -1),
    ],
)  # fmt: skip
def test_a_rule_that_means_nothing_is_a_usage_error(rule: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{rule}|not a duration"):
        Policy(**{rule: value})
    assert Policy(keep_tags=["a"]).keep_tags == ("a",)


def test_the_maximal_age_is_a_duration_or_a_number_of_days_but_not_both() -> None:
    assert Policy(max_age="36h") == Policy(max_age=timedelta(hours=36)) == Policy(max_age_days=1.5)
    assert replace(Policy(max_age="2w"), keep_last=3) == Policy(max_age_days=14, keep_last=3)
    with pytest.raises(UsageError, match="max_age and max_age_days are the same rule"):
        Policy(max_age="1d", max_age_days=1)
    with pytest.raises(UsageError, match=r"max_age_days is -1\.0, expected a number from 0"):
        Policy(max_age=timedelta(days=-1))


def step_of(number: int) -> timedelta:
    """How far the clock goes between two backups, backwards as well: a clock that was set, or lost its battery."""
    number, which = divmod(number, 3)
    return timedelta(minutes=number % SPANS[which] - SPANS[which] // 2)


def series_of(numbers: list[int]) -> list[Candidate]:
    """Backups in the order in which they were made, by clocks that jump, in any time zone."""
    at, candidates = BASE, []
    for position, number in enumerate(numbers):
        rest, flags = divmod(number, 256)
        rest, quarters = divmod(rest, 113)
        at += step_of(rest)
        good = flags % 4 > 0
        candidates.append(
            Candidate(
                id=f"{position:02}",
                at=at.astimezone(timezone(timedelta(minutes=15 * (quarters - 56)))),
                good=good,
                proven=good and flags % 8 > 4,
                pinned=flags > 230,
                tags=(("a",), ("b",), ("a", "b"), (), (), (), (), ())[flags // 32],
            )
        )
    return candidates


def policy_of(numbers: list[int]) -> Policy:
    """A policy with any of the rules; zero stands for a rule that is not there."""
    age, most, *keeps, tags = numbers
    rules = ("last", *FORMATS)
    periods: dict[str, Any] = {
        f"keep_{rule}": keep % 13 - 6 if keep % 13 > 6 else None for rule, keep in zip(rules, keeps, strict=True)
    }
    return Policy(
        max_age_days=None if age % 3 else (age * 7.3) % 500 if age % 2 else 1e300,
        max_backups=None if most % 3 else most // 3 % 9,
        keep_tags=("a",) if tags % 4 == 0 else (),
        **periods,
    )


numbers = st.integers(0, 2**48)
series = st.lists(numbers, max_size=14).map(series_of)
policies = (
    st.lists(st.integers(0, 2**16), min_size=9, max_size=9).map(policy_of).filter(lambda policy: not policy.empty)
)
moments = numbers.map(lambda number: NOW + step_of(number))


def order(backup: Candidate) -> tuple[float, str]:
    return (backup.at.timestamp(), backup.id)


def left(candidates: list[Candidate], decisions: list[Decision]) -> list[Candidate]:
    kept = {decision.id for decision in decisions if decision.keep}
    return [backup for backup in candidates if backup.id in kept]


@CASES
@given(series, policies, moments)
def test_the_newest_good_and_the_newest_proven_backup_survive(
    candidates: list[Candidate], policy: Policy, now: datetime
) -> None:
    kept = {backup.id for backup in left(candidates, decide(candidates, policy, now=now))}
    good = [backup for backup in candidates if backup.good]
    for group in (good, [backup for backup in good if backup.proven]):
        if group:
            assert max(group, key=order).id in kept
    for backup in candidates:
        if backup.pinned or set(backup.tags) & set(policy.keep_tags):
            assert backup.id in kept


@CASES
@given(series, policies, moments)
def test_pruning_twice_does_nothing_more(candidates: list[Candidate], policy: Policy, now: datetime) -> None:
    once = left(candidates, decide(candidates, policy, now=now))
    assert left(once, decide(once, policy, now=now)) == once


@CASES
@given(series, policies, moments)
def test_keep_rules_keep_what_they_say_and_maxima_take_what_they_say(
    candidates: list[Candidate], policy: Policy, now: datetime
) -> None:
    decisions = {decision.id: decision for decision in decide(candidates, policy, now=now)}
    sound = sorted((backup for backup in candidates if backup.good), key=order, reverse=True)
    good = [backup for backup in sound if not is_ahead(backup.at, now)]
    assert all(decisions[backup.id].keep for backup in sound if backup not in good)
    ruled: set[str] = {backup.id for backup in good[: policy.keep_last or 0]}
    for name, form in FORMATS.items():
        newest: dict[str, str] = {}
        for backup in good:
            newest.setdefault(backup.at.astimezone(UTC).strftime(form), backup.id)
        ruled |= set(list(newest.values())[: policy.period(name) or 0])
    stays = {backup.id for backup in good[:1]} | {
        backup.id for backup in [backup for backup in good if backup.proven][:1]
    }
    for rank, backup in enumerate(good):
        too_old = policy.max_age_days is not None and (
            now.timestamp() - backup.at.timestamp() > policy.max_age_days * 86400
        )
        exceeds = too_old or (policy.max_backups is not None and rank >= policy.max_backups)
        wanted = not exceeds and (backup.id in ruled or not policy.has_keep_rules)
        always = backup.pinned or bool(set(backup.tags) & set(policy.keep_tags)) or backup.id in stays
        assert decisions[backup.id].keep == (wanted or always)
        assert decisions[backup.id].protected == (
            not wanted and backup.id in stays and not (backup.pinned or set(backup.tags) & set(policy.keep_tags))
        )


@CASES
@given(series, policies, moments)
def test_a_damaged_backup_counts_for_nothing_and_goes_only_after_a_newer_good_one(
    candidates: list[Candidate], policy: Policy, now: datetime
) -> None:
    decisions = {decision.id: decision for decision in decide(candidates, policy, now=now)}
    sound = [backup for backup in candidates if backup.good]
    without = {decision.id: decision.keep for decision in decide(sound, policy, now=now)}
    assert {key: decisions[key].keep for key in without} == without
    newest = max(sound, key=order) if sound else None
    for backup in candidates:
        if not backup.good and (newest is None or order(backup) > order(newest)):
            assert decisions[backup.id].keep
        elif not backup.good and not decisions[backup.id].keep:
            # It would not have stayed as a good one either.
            assert not backup.pinned
            alone = [
                *(other for other in sound if order(other) > order(backup)),
                replace(backup, good=True, proven=False),
            ]
            assert not {decision.id: decision.keep for decision in decide(alone, policy, now=now)}[backup.id]


@CASES
@given(st.lists(numbers, max_size=25), policies)
def test_a_life_of_backups_failures_drills_and_prunes_never_loses_the_newest_good_or_proven_one(
    events: list[int], policy: Policy
) -> None:
    clock, store = BASE, []
    for number, event in enumerate(events):
        step, kind = divmod(event, 8)
        what = ("good", "good", "good", "failed", "drill", "damage", "prune", "pin")[kind]
        clock += step_of(step)
        if what in ("good", "failed"):
            store.append(Candidate(id=f"{number:02}", at=clock, good=what == "good"))
        elif what in ("drill", "damage", "pin") and store:
            which = max(store, key=order) if what == "drill" else store[step % len(store)]
            changed = {
                "drill": replace(which, proven=which.good),
                "damage": replace(which, good=False, proven=False),
                "pin": replace(which, pinned=True),
            }[what]
            store[store.index(which)] = changed
        elif what == "prune":
            good = [backup for backup in store if backup.good]
            newest = [max(group, key=order) for group in (good, [backup for backup in good if backup.proven]) if group]
            pinned = [backup for backup in store if backup.pinned]
            store = left(store, decide(store, policy, now=clock))
            assert set(newest) | set(pinned) <= set(store)
            assert store == left(store, decide(store, policy, now=clock))


def test_allow_last_lifts_the_protection_of_the_newest_ones_but_not_a_pin() -> None:
    candidates = [
        Candidate(id="1", at=BASE, proven=True),
        Candidate(id="2", at=BASE + timedelta(hours=1), pinned=True),
        Candidate(id="3", at=BASE + timedelta(hours=2)),
    ]
    policy = Policy(max_age_days=0)
    assert [decision.keep for decision in decide(candidates, policy, now=NOW)] == [True, True, True]
    assert [decision.keep for decision in decide(candidates, policy, now=NOW, allow_last=True)] == [False, True, False]


def test_a_backup_of_a_part_takes_the_place_of_none_of_the_whole() -> None:
    """It holds less, however new it is; of the same part the newer ones and the whole ones do."""
    hours = [timedelta(hours=hour) for hour in range(6)]
    parts = ["select a", "", "", "select b", "select a", "select a"]
    candidates = [
        Candidate(id=str(number), at=BASE + hours[number], part=part, proven=number in (1, 4))
        for number, part in enumerate(parts)
    ]
    decisions = {choice.id: choice for choice in decide(candidates, Policy(keep_daily=1), now=BASE + timedelta(days=1))}
    assert {number for number, choice in decisions.items() if choice.keep} == {"1", "2", "3", "4", "5"}
    assert decisions["2"].reasons == ("the newest good backup", "keep-daily")
    assert decisions["1"].reasons == ("the newest proven backup",)  # 4 proves a part
    assert decisions["3"].reasons == ("the newest good backup", "keep-daily")


def test_periods_are_those_of_utc_whatever_zone_a_time_is_written_in() -> None:
    east = timezone(timedelta(hours=14))
    first = Candidate(id="1", at=datetime(2025, 1, 1, 1, tzinfo=east))  # 11:00 of the day before in UTC
    second = Candidate(id="2", at=datetime(2024, 12, 31, 23, tzinfo=UTC))
    decisions = decide([first, second], Policy(keep_daily=5, keep_yearly=5), now=second.at)
    assert [(decision.id, decision.keep) for decision in decisions] == [("2", True), ("1", False)]


def test_a_week_is_that_of_iso_8601_and_may_belong_to_two_years() -> None:
    days = (datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 12, 31, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC))
    candidates = [Candidate(id=str(number), at=day) for number, day in enumerate(days)]
    decisions = decide(candidates, Policy(keep_weekly=5), now=days[-1])
    assert [(decision.id, decision.keep) for decision in decisions] == [("2", True), ("1", False), ("0", True)]


def test_every_decision_says_why() -> None:
    candidates = [Candidate(id=str(day), at=BASE - timedelta(days=day)) for day in range(4)]
    decisions = decide(candidates, Policy(max_backups=2, keep_last=1), now=NOW)
    assert [decision.reasons for decision in decisions] == [
        ("the newest good backup", "keep-last"),
        ("kept by no rule",),
        ("beyond the newest 2", "kept by no rule"),
        ("beyond the newest 2", "kept by no rule"),
    ]


@pytest.mark.parametrize("rules", [{"keep_last": 0}, {"max_backups": -1}, {"max_age_days": float("nan")}])
def test_numbers_that_no_rule_could_mean_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(rules))):
        Policy(**rules)  # type: ignore[arg-type]


def test_a_policy_that_only_protects_is_empty() -> None:
    assert Policy().empty
    assert Policy(keep_tags=("gold",)).empty
    assert not Policy(max_age_days=0).empty


@pytest.mark.parametrize("rules", [{"keep_within": "30d"}, {"keep_last": 1}, {"max_backups": 1}, {"keep_yearly": 1}])
def test_what_a_clock_that_was_ahead_has_made_takes_the_place_of_none(rules: dict[str, Any]) -> None:
    later = Candidate(id="ahead", at=NOW.replace(year=2099))
    made = [Candidate(id=str(day), at=NOW - timedelta(days=day)) for day in range(3)]
    decisions = {decision.id: decision for decision in decide([later, *made], Policy(**rules), now=NOW)}
    without = {decision.id: decision for decision in decide(made, Policy(**rules), now=NOW)}
    assert {key: decisions[key] for key in without} == without
    assert decisions["ahead"].keep
    assert decisions["ahead"].reasons == (AHEAD,)
    # When the clock has come there, or is one of two that differ a little, it is one like all others.
    for now in (later.at, later.at - timedelta(minutes=9)):
        assert AHEAD not in {
            reason for each in decide([later, *made], Policy(**rules), now=now) for reason in each.reasons
        }
