"""Metrics: what is told of the sources of a store, and how, whatever is in it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.many_backups import NOW, entry, write_store

import holdfast
from holdfast.api import Stat, Storage
from holdfast.operations.metrics import measure
from holdfast.plugins.registry import Registry
from holdfast.rendering.exposition import exposition
from holdfast.store.entry import Entry
from holdfast.store.folder import FolderStorage


def told(folder: Path, *entries: Entry, **limits: timedelta) -> dict[str, float]:
    """What is told of a store of these entries at `NOW`: by name and state the value, of the source `app`."""
    write_store(folder, entries)
    measured = measure([str(folder)], registry=Registry(), now=NOW)
    values: dict[str, float] = {}
    for line in exposition(measured, version="0", **limits).splitlines():
        if not line.startswith("#"):
            metric, _, value = line.rpartition(" ")
            name, _, labels = metric.removeprefix("holdfast_").partition("{")
            state = labels.partition('state="')[2].partition('"')[0]
            values[f"{name} {state}".strip()] = float(value)
    return values


def at(days: float) -> float:
    return (NOW - timedelta(days=days)).timestamp()


SUCCESS, PROVEN = "backup_last_success_timestamp_seconds", "backup_last_proven_timestamp_seconds"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry(days=3, state="proven"), entry(days=1)], {SUCCESS: at(1), PROVEN: at(3 - 1 / 24)}),
        ([entry(days=3), entry(days=1, state="damaged")], {SUCCESS: at(3), PROVEN: 0, "backups damaged": 1}),
        ([entry(days=1, state="damaged")], {SUCCESS: 0, PROVEN: 0, "backups complete": 0}),
        # of a wrong clock: neither it nor its proof counts, and by how much it is ahead is told
        ([entry(days=2), entry(days=-3)], {SUCCESS: at(2), "backup_ahead_seconds": 3 * 86400}),
        ([entry(days=-3, state="proven")], {SUCCESS: 0, PROVEN: 0, "backup_ahead_seconds": 3 * 86400 + 3600}),
        # of a selection: the whole ones count alone
        ([entry(days=9), entry(days=1, selection={"select": ["t"]})], {SUCCESS: at(9), "backups complete": 2}),
        # of two databases under a name: the one that is behind
        ([entry(days=9), entry(days=8, identity="b"), entry(days=3, identity="b"), entry(days=2)], {SUCCESS: at(3)}),
        ([entry(size=4_000_000, duration=1.25)], {"backup_size_bytes": 4e6, "backup_stored_bytes": 1e6}),
        ([entry(size=1 << 42)], {"backup_size_bytes": 1 << 42}),
        ([entry(duration=1.25)], {"backup_duration_seconds": 1.25, "store_sources": 1, "backup_ahead_seconds": 0}),
    ],
)
def test_times_and_sizes_are_of_the_newest_good_backup_that_counts(
    entries: list[Entry], expected: dict[str, float], tmp_path: Path
) -> None:
    values = told(tmp_path / "store", *entries)
    assert {name: values.get(name) for name in expected} == pytest.approx(expected, abs=0.001)


def test_a_source_without_any_good_backup_is_told_as_never_backed_up_and_has_no_size(tmp_path: Path) -> None:
    values = told(tmp_path / "store", entry(state="damaged"), max_age=timedelta(hours=26), max_unproven=timedelta(8))
    assert values[SUCCESS] == 0
    assert "backup_size_bytes" not in values
    assert values["job_max_age_seconds"] == 26 * 3600
    assert values["job_max_unproven_seconds"] == 8 * 86400


def test_a_source_of_which_only_the_claim_is_left_is_told_of(tmp_path: Path) -> None:
    (write_store(tmp_path / "store", []) / "gone").mkdir()
    (tmp_path / "store/gone/source.json").write_text('{"identity": "x"}')
    (told_of,) = measure([str(tmp_path / "store")], registry=Registry(), now=NOW)[0].sources
    assert (told_of.name, told_of.last_success, sum(told_of.backups.values())) == ("gone", None, 0)


def test_nothing_of_what_was_never_recorded_is_told(tmp_path: Path) -> None:
    """A store knows of no attempt that failed: a time or exit code of it would be made up."""
    text = "".join(told(tmp_path / "store", entry()))
    assert "last_attempt" not in text
    assert "last_exit_code" not in text


HOSTILE = 'e"x\\y\nz\r\x00\x1b[31m\u202e{}' + "ü" * 100


def test_names_cannot_add_lines_or_labels_and_are_of_a_bounded_length(tmp_path: Path) -> None:
    write_store(tmp_path / 'a "store"\\\n', [entry(engine=HOSTILE), entry("other")])
    text = holdfast.metrics(tmp_path / 'a "store"\\\n')
    lines = text.splitlines()
    assert all(line.startswith(("# HELP holdfast_", "# TYPE holdfast_", "holdfast_")) for line in lines)
    assert text.isascii() or text.replace("\n", "").isprintable()
    line = next(line for line in lines if line.startswith(f"holdfast_{SUCCESS}"))
    assert 'engine="e\\"x\\\\y\\\\nz\\\\r\\\\x00\\\\x1b[31m\\\\u202e{}ü' in line
    assert f'store="{tmp_path}/a \\"store\\"\\\\\\\\n"' in line
    assert len(line) < 600
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines)


def test_the_measures_of_several_stores_stand_under_one_head_each(tmp_path: Path) -> None:
    stores = [write_store(tmp_path / name, [entry()]) for name in ("a", "b")]
    lines = holdfast.metrics(*stores).splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(heads)) == len(heads)
    assert sum(line.startswith(f"holdfast_{SUCCESS}") for line in lines) == 2


def hide_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    original = FolderStorage.walk

    def walk(self: FolderStorage, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
        yield from original(self, prefix, enter)
        yield Stat(path="secret/", size=0, regular=False, problem="permission denied")

    monkeypatch.setattr(FolderStorage, "walk", walk)


def test_nothing_is_told_of_a_store_of_which_not_all_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out could not be told from what is deleted, and alarms about it would end."""
    stores = [write_store(tmp_path / name, [entry()]) for name in ("a", "b")]
    with pytest.raises(holdfast.HoldfastError, match="no store at") as missing:
        holdfast.metrics(stores[0], tmp_path / "missing")
    assert missing.value.exit_code == 10
    with pytest.raises(holdfast.UsageError, match="is named twice"):
        holdfast.metrics(stores[0], tmp_path / "b/../a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/source.json").write_text("{}")
    (stores[1] / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(holdfast.PartialError, match="the folder linked cannot be read"):
        holdfast.metrics(*stores)
    hide_a_source(monkeypatch)
    with pytest.raises(holdfast.PartialError, match=r"the folder secret cannot be read.*permission denied"):
        holdfast.metrics(stores[0])


def test_periods_are_durations(tmp_path: Path) -> None:
    store: str | Storage = str(write_store(tmp_path / "a", [entry()]))
    assert "holdfast_job_max_age_seconds{" in holdfast.metrics(store, older_than=timedelta(hours=1))
    with pytest.raises(holdfast.UsageError, match="not a duration"):
        holdfast.metrics(store, older_than="soon")
    with pytest.raises(holdfast.UsageError, match="unproven_for is 3, expected a duration"):
        holdfast.metrics(store, unproven_for=3)  # type: ignore[arg-type]
