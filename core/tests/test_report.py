"""The report: what it says of stores, in which order, and how large it gets; how it looks is tested in a browser."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.many_backups import NOW, daily, entry, write_store
from support.sweeps import tries

import holdfast
from holdfast.operations._survey import survey
from holdfast.operations.report import Report, report, report_of
from holdfast.plugins.registry import Registry
from holdfast.policy import Policy
from holdfast.rendering.attention import NumberedSource, attention
from holdfast.rendering.page import page
from holdfast.rendering.svg import line
from holdfast.store.entry import Entry, Listing
from holdfast.testing.memory import MemoryStorage


def report_on(*entries: Entry, policy: Policy | None = None, known: tuple[str, ...] = ()) -> Report:
    storage = MemoryStorage()
    ordered = tuple(sorted(entries, key=lambda each: each.created_at))
    store = survey(storage, Listing(entries=ordered, leftovers=()), known, NOW)
    limits = {"older_than": timedelta(hours=26), "unproven_for": timedelta(days=8)}
    return report_of([(storage, store)], **limits, policy=policy, now=NOW)


def problems(of: Report) -> list[tuple[str, str]]:
    sources = [
        NumberedSource(number=0, location=store.location, report=each) for store in of.stores for each in store.sources
    ]
    return [
        (problem.source.report.survey.name if problem.source else "", problem.what)
        for problem in attention(of, sources)
    ]


def rows(html: str, chapter: str) -> list[list[str]]:
    """The texts of the rows of the first table of a chapter."""
    part = html.partition(f"<section aria-labelledby={chapter}>")[2].partition("</table>")[0].partition("<tbody>")[2]
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.split(r"<t[hd][^>]*>", row)[1:]]
        for row in part.strip().split("<tr>")[1:]
    ]


def test_what_is_most_urgent_comes_first() -> None:
    entries = [
        entry("well", 0.5, state="proven"),
        entry("late", 2, state="proven"),
        entry("later", 3, state="proven"),
        entry("unproven", 0.5),
        entry("proven-once", 30, state="proven"),
        entry("proven-once", 0.5),
        entry("broken", 0.6, state="damaged"),
        entry("broken", 0.5, state="proven"),
        entry("ahead", -3, state="proven"),
    ]
    assert problems(report_on(*entries, known=("gone",))) == [
        ("ahead", "overdue"),
        ("gone", "overdue"),
        ("later", "overdue"),
        ("late", "overdue"),
        ("ahead", "wrong clock"),
        ("ahead", "unproven"),
        ("gone", "unproven"),
        ("unproven", "unproven"),
        ("proven-once", "unproven"),
        ("broken", "damaged"),
    ]
    assert problems(report_on(entry("well", 0.5, state="proven"))) == []
    assert "Nothing is overdue, unproven or damaged." in page(report_on(entry("well", 0.5, state="proven")))


def test_it_says_what_prune_would_delete_as_a_dry_run_of_prune_does(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [*daily(2, 20), entry("shop-000", 0.2, state="damaged")])
    planned = holdfast.prune(store, keep_daily=3, keep_weekly=2, dry_run=True)
    html = holdfast.report(store, policy=Policy(keep_daily=3, keep_weekly=2))
    for name, keeps, deletes, frees, *_ in rows(html, "prune"):
        assert int(keeps) == sum(choice.name == name for choice in planned.kept)
        assert int(deletes) == sum(choice.name == name for choice in planned.deleted)
        assert frees.endswith("MB")
    assert len(rows(html, "prune")) == 2
    assert "What prune would do" not in holdfast.report(store)
    with pytest.raises(holdfast.UsageError, match="the policy is empty"):
        holdfast.report(store, policy=Policy())
    with pytest.raises(holdfast.UsageError, match="policy is of type dict"):
        holdfast.report(store, policy={"keep_last": 1})  # type: ignore[arg-type]


def test_copies_are_counted_over_all_stores_and_a_store_that_cannot_be_read_comes_first(tmp_path: Path) -> None:
    both, here = entry("both", 0.5), entry("here", 0.5)
    stores = [
        write_store(tmp_path / "a", [both, here]),
        write_store(tmp_path / "b", [both, entry("here", 2)]),
        tmp_path / "missing",
    ]
    html = holdfast.report(*stores)
    assert [(cells[0], cells[-2]) for cells in rows(html, "sources")] == [
        ("both", "2"),
        ("here", "1"),
        ("both", "2"),
        ("here", "1"),
    ]
    first = rows(html, "attention")[0]
    assert first[1] == "store not read"
    assert "no store at" in first[2]
    assert rows(html, "stores")[2] == [str(tmp_path / "missing"), "not read", "-", "-"]
    made = report(stores, registry=Registry(), older_than=timedelta(1), unproven_for=timedelta(1), now=NOW)
    with pytest.raises(holdfast.HoldfastError, match="no store at") as error:
        made.raise_for_unread()
    assert error.value.exit_code == 10


def test_a_calendar_and_its_table_tell_of_the_same_days() -> None:
    html = page(report_on(*daily(1, 365)))
    days, good, proven = re.findall(r"<desc id=e1>Of (\d+) days (\d+) have a good backup, (\d+) of them", html)[0]
    months = re.findall(r"<tr><th scope=row>(\d{4}-\d\d)<td>(\d+)<td>(\d+)<td>(\d+)<td>(\d+)<td>", html)
    assert len(months) == 13
    assert (days, sum(int(row[1]) for row in months)) == ("365", 365)
    assert sum(int(row[2]) for row in months) == int(proven) == 52
    assert sum(int(row[4]) for row in months) == 365 - int(good) == sum(int(row[3]) for row in months) == 3
    calendar = html.partition("<svg class=cal")[2].partition("</svg>")[0]
    drawn = {kind: length(path) for kind, path in re.findall(r'<path class=(\w) d="([^"]*)"', calendar)}
    assert drawn == {"b": 3, "g": 365 - 52 - 3, "p": 52}


def length(path: str) -> int:
    """How many days a path of a calendar goes through."""
    return sum((int(run) + 2) // 10 for run in re.findall(r"[hv](\d+)", path))


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([0, 10, 10, 5], "M0 39h0l4-38 4 0 4 19"),
        ([None, 4, None, None, 4], "M4 1h0M16 1h0"),
        ([0, 0], "M0 39h0l4 0"),
        ([], ""),
    ],
)
def test_a_line_is_broken_where_there_is_no_value(values: list[float | None], path: str) -> None:
    assert f'<path d="{path}"/>' in line("x", "name", values, "about")


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\x00\x1b[31m\u202e</style></title>"


class Tags(HTMLParser):
    """The tags of a page, and the values of their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.values: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values |= {value or "" for _, value in attrs}


def hostile_page(folder: Path) -> str:
    """The report of stores of which everything that somebody else can choose is meant to break it."""
    entries = [entry(engine=HOSTILE, tags=[HOSTILE]), entry(days=3, engine=HOSTILE, identity=HOSTILE, url=HOSTILE)]
    store = write_store(folder / HOSTILE.replace("/", "\\").replace("\x00", ""), entries)
    (store / "app" / "20261101T000000Z-000000").mkdir()
    return holdfast.report(store, folder / "missing<b>", policy=Policy(keep_last=1))


def test_nothing_that_somebody_else_has_written_is_more_than_text(tmp_path: Path) -> None:
    html = hostile_page(tmp_path)
    tags = Tags(html)
    plain = Tags(page(report_on(*daily(2, 9), policy=Policy(keep_last=1))))
    assert tags.names - plain.names <= {"a", "h3", "ul", "li"}
    assert not {"script", "img", "b"} & (tags.names - plain.names)
    assert not [name for name in tags.attributes if name.startswith(("on", "src"))]
    assert {value for value in tags.values if ":" in value} <= {"default-src 'none'; style-src 'unsafe-inline'"}
    assert html.replace("\n", "").isprintable()
    assert "&lt;script&gt;alert(1)" in html


def test_a_page_asks_nobody_for_anything() -> None:
    html = page(report_on(*daily(2, 9)))
    assert "url(" not in html
    assert "@import" not in html
    assert set(re.findall(r'(?:href|src|action)="?([^ ">]*)', html)) <= {"#cal", "#h1", "#h2"} | {
        f"#{chapter}" for chapter in ("attention", "sources", "history", "prune", "stores")
    }


def test_two_hundred_sources_of_a_year_make_less_than_a_megabyte() -> None:
    """A tenth of them in a tenth of it, where the sweeps are short."""
    sources = tries(20, long=200)
    html = page(report_on(*daily(sources, 365), policy=Policy(keep_daily=14, keep_weekly=8, keep_monthly=12)))
    assert html.count("<svg class=cal") == sources
    assert len(html.encode()) < sources * 5000


def test_more_sources_than_anybody_looks_through_are_left_out_of_the_history_alone() -> None:
    entries = [entry(f"s{number}", 0.5, state="proven") for number in range(301)]
    html = page(report_on(*entries, entry("late", 3)))
    assert html.count("<svg class=cal") == 300
    assert "<p>2 further sources left out.</p>" in html
    assert len(rows(html, "sources")) == 302
    assert html.index("<h3>late") < html.index("<h3>s0")
