"""A database that is suddenly small, a store that is suddenly gone, a source that is no longer backed up."""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import NotFoundError, OverdueError, UnsafeError, UsageError
from holdfast.operations.listing import list_store
from holdfast.plugins.registry import Registry
from holdfast.policy import CONFIRMED, Candidate, Policy, decide
from holdfast.sizes import parse_size
from holdfast.testing import MemoryEngine, memory_registry

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def series(*sizes: int, **changes: Any) -> list[Candidate]:
    """Daily backups of these sizes, the last of them now."""
    return [
        Candidate(id=str(number), at=NOW - timedelta(days=len(sizes) - 1 - number), size=size, **changes)
        for number, size in enumerate(sizes)
    ]


def kept(candidates: list[Candidate], **rules: Any) -> list[str]:
    return sorted(choice.id for choice in decide(candidates, Policy(**rules), now=NOW) if choice.keep)


@pytest.mark.parametrize("rules", [{"keep_last": 2}, {"max_backups": 2}, {"keep_daily": 2}, {"keep_within": "36h"}])
def test_what_shrank_to_a_fraction_replaces_none_of_those_before(rules: dict[str, Any]) -> None:
    emptied = series(900, 1000, 1000, 99, 98, 98)
    assert kept(emptied, **rules) == ["1", "2", "4", "5"]  # two of those that count, two of those after
    assert kept(emptied, **rules, max_shrink=None) == ["4", "5"]
    assert kept(series(900, 1000, 1000, 100, 100, 100), **rules) == ["4", "5"]  # by 90 %, not by more


def test_what_is_kept_in_spite_says_why() -> None:
    last = decide(series(1000, 9), Policy(keep_last=5), now=NOW)[0]
    assert last.shrunk == "0"
    assert last.reasons == ("keep-last", "replaces none: 9 bytes after 1000 in 0, not tagged 'confirmed'")


def test_a_confirmed_backup_counts_and_is_what_later_ones_are_compared_with() -> None:
    backups = [*series(1000, 1000, 90, 80, 80)]
    backups[2] = Candidate(id="2", at=backups[2].at, size=90, tags=(CONFIRMED,))
    assert kept(backups, keep_last=2) == ["3", "4"]


def test_a_database_that_grows_back_counts_again() -> None:
    assert kept(series(1000, 1000, 5, 950, 1000), keep_last=2) == ["3", "4"]


def test_sizes_of_other_content_are_not_compared() -> None:
    whole, schema = series(1000, 1000), series(5, 5, content="schema only")
    both = [*whole, *(replace(candidate, id=f"s{candidate.id}") for candidate in schema)]
    assert not [choice for choice in decide(both, Policy(keep_last=1), now=NOW) if choice.shrunk]


def test_nothing_is_kept_for_ever_for_having_shrunk() -> None:
    assert kept(series(1000, *([1] * 30)), keep_last=3) == ["0", "28", "29", "30"]


@pytest.mark.parametrize("rule", [{"max_shrink": 101}, {"max_shrink": -1}, {"keep_within": "soon"}])
def test_what_no_rule_could_mean_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Policy(**rule)


def test_all_within_a_time_before_the_newest_are_kept() -> None:
    assert kept(series(1, 1, 1, 1), keep_within="2d") == ["1", "2", "3"]
    assert kept(series(1, 1, 1, 1)[:3], keep_within="1d") == ["1", "2"]  # the newest is a day old
    assert Policy(keep_within="36h") == Policy(keep_within_days=1.5)


@pytest.mark.parametrize(
    ("text", "size"), [("20MB", 20 << 20), ("1.5 GiB", 3 << 29), ("2k", 2048), ("100", 100), (7, 7), ("3 b", 3)]
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size("size", text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5", "1e9", "20 parsec", -1, True, None, 1.5])
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(UsageError, match="expected a size such as 20MB"):
        parse_size("min_size", text)


@dataclass
class Shop:
    """A database of one stream that can be emptied, and its store."""

    store: Path
    rows: bytes = b"row\n" * 1000

    def registry(self) -> Registry:
        return memory_registry(engine=MemoryEngine(contents={"shop": {"rows": lambda: iter([self.rows])}}))

    def back_up(self, **options: Any) -> holdfast.Backup:
        return holdfast.backup("memory://host/shop", store=self.store, registry=self.registry(), **options)

    def prune(self, **rules: Any) -> list[str]:
        holdfast.prune(self.store, registry=self.registry(), **rules)
        return [backup.id for backup in holdfast.list_backups(self.store, registry=self.registry())]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store")


def test_an_emptied_database_is_backed_up_with_a_warning_and_pushes_nothing_out(shop: Shop) -> None:
    full = shop.back_up()
    assert not full.warnings
    shop.rows = b"row\n"
    small = [shop.back_up() for _ in range(3)]
    for backup in small:
        assert f"has 4 bytes, and had 4000 in {full.id}" in backup.warnings[0]
        assert f"holdfast tag {backup.id} confirmed" in backup.warnings[0]
    assert shop.prune(keep_last=1) == [full.id, small[-1].id]
    holdfast.tag(small[-1].id, "confirmed", store=shop.store)
    assert not shop.back_up().warnings
    assert full.id not in shop.prune(keep_last=1)


def test_limits_of_a_plan_refuse_and_publish_nothing(shop: Shop) -> None:
    full = shop.back_up(min_size="3kB", max_shrink=50)
    shop.rows = b"row\n" * 400
    with pytest.raises(UnsafeError, match="shrunk by more than 50 %"):
        shop.back_up(max_shrink=50)
    with pytest.raises(UnsafeError, match="has 1600 bytes, expected at least 3072"):
        shop.back_up(min_size="3kB")
    with pytest.raises(UsageError, match="min_size"):
        shop.back_up(min_size="much")
    assert [backup.id for backup in holdfast.list_backups(shop.store, registry=shop.registry())] == [full.id]
    assert not shop.back_up(max_shrink=70).warnings


def test_what_a_plan_allows_is_not_confirmed_by_that(shop: Shop) -> None:
    """A limit stands in a job for good; a prune has its own."""
    full = shop.back_up()
    shop.rows = b"row\n"
    for _ in range(25):
        assert "replaces none" in shop.back_up(max_shrink=99.95).warnings[0]
    assert full.id in shop.prune(keep_last=2)


def test_a_store_that_is_gone_is_not_made_anew_where_that_is_not_wanted(shop: Shop) -> None:
    with pytest.raises(NotFoundError, match="it is not to be made") as failed:
        shop.back_up(create=False)
    assert "mounted" in str(failed.value.hint)
    assert not shop.store.exists()
    shop.back_up()
    shop.back_up(create=False)


def test_a_source_without_a_recent_backup_is_overdue_though_it_was_drilled_today(shop: Shop) -> None:
    backup = shop.back_up()

    def check(**period: Any) -> None:
        list_store(store=shop.store, registry=shop.registry(), **period).raise_for_overdue("a while")

    check(older_than=timedelta(hours=1))
    with pytest.raises(OverdueError, match=r"1 source not backed up within a while: shop \(last "):
        check(older_than=timedelta(0))
    with pytest.raises(UsageError):
        check(older_than=timedelta(1), unproven_for=timedelta(1))
    shop.back_up(name="other")
    shutil.rmtree(shop.store / "shop" / backup.id)  # by a hand that leaves its claim
    for period in ("older_than", "unproven_for"):
        with pytest.raises(OverdueError, match=r"shop \(no backup\)"):
            check(**{period: timedelta(days=1)})
