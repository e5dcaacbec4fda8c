"""The report as a file, and as people see it: in a browser, light and dark, narrow and on paper."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.browser import Browser, running_browser
from support.commandline import Shell
from support.many_backups import NOW, daily, entry, write_store

import holdfast
from holdfast.operations.report import report
from holdfast.rendering.page import page

HOSTILE = "\"'><script>document.title='run'</script><img src=//x.invalid/y onerror=document.title='run'>\x1b[31m\u202e"
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"width": 1100},
    "dark": {"width": 1100, "scheme": "dark"},
    "narrow": {"width": 320},
    "narrow and dark": {"width": 320, "scheme": "dark"},
    "paper": {"width": 720, "media": "print"},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that shows a report on two stores with all that a report can say, and with names that are hostile."""
    folder = tmp_path_factory.mktemp("report")
    entries = [
        *daily(3, 40),
        entry("a-name-of-a-source-that-is-as-long-as-such-a-name-can-be-in-all", 3, engine=HOSTILE),
        entry("ahead", -300, state="proven"),
        entry("proven", 0.1, state="proven", size=123_456_789_012, duration=4000),
    ]
    first = write_store(folder / HOSTILE.replace("/", "\\"), entries)
    (first / "shop-000" / "20261101T000000Z-unfini").mkdir()
    second = write_store(folder / "second", [entry(identity="a", days=2), entry(identity="b", days=1)])
    path = folder / "report.html"
    made = report(
        [first, second, folder / "missing"],
        registry=holdfast.Registry(),
        older_than=timedelta(hours=26),
        unproven_for=timedelta(days=8),
        policy=holdfast.Policy(keep_daily=3, keep_weekly=2),
        now=NOW,
    )
    path.write_text(page(made))
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.open(path)
        yield browser


def test_it_runs_nothing_asks_nobody_and_has_nothing_that_a_browser_would_complain_of(browser: Browser) -> None:
    assert len(browser.asked) == 1
    assert browser.complaints == []
    assert browser.evaluate("document.title").startswith("Backups: ")
    assert browser.evaluate("document.querySelectorAll('script,img,iframe,link,object').length") == 0
    assert browser.evaluate("document.compatMode") == "CSS1Compat"


def test_its_policy_keeps_a_script_from_running_that_would_have_got_in_all_the_same(browser: Browser) -> None:
    inserted = "const made = document.createElement('script'); made.textContent = \"document.title='run'\"; "
    browser.evaluate(f"{inserted}document.body.append(made); made.remove()")
    assert browser.evaluate("document.title") != "run"


@pytest.mark.parametrize("view", VIEWS)
def test_anybody_can_read_it_in_every_view(view: str, browser: Browser) -> None:
    browser.view(**VIEWS[view])
    width = VIEWS[view]["width"]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.violations() == []
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light is ("dark" not in view)
    cut = "[...document.querySelectorAll('main *')].filter(each => each.getBoundingClientRect().right > innerWidth + 1)"
    lost = browser.evaluate(f"{cut}.filter(each => !each.closest('.scroll, .hidden')).map(each => each.outerHTML)")
    assert lost == []


def test_each_picture_is_told_in_words_and_has_a_table(browser: Browser) -> None:
    pictures = "[...document.querySelectorAll('svg[role=img]')]"
    told = browser.evaluate(
        f"{pictures}.map(each => each.getAttribute('aria-labelledby').split(' ')"
        ".map(id => document.getElementById(id).textContent).join(' '))"
    )
    assert len(told) > 9
    assert all(len(text) > 40 for text in told)
    articles = browser.evaluate("document.querySelectorAll('article').length")
    assert browser.evaluate("document.querySelectorAll('article:has(svg):has(table)').length") == articles == 7
    headings = browser.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(each => each.tagName).join('')")
    assert headings.startswith("H1H2")


def test_what_is_drawn_has_another_shade_for_each_state_in_light_and_in_dark(browser: Browser) -> None:
    shades = "['d', 'g', 'p', 'b'].map(kind => getComputedStyle(document.querySelector(`.key .${kind}`)).stroke)"
    for scheme in ("light", "dark"):
        browser.view(scheme=scheme)
        assert len(set(browser.evaluate(shades))) == 4


def test_violations_are_noticed(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<p style='color:#ccc'>text</p><svg role=img></svg>")
    browser.open(tmp_path / "bad.html")
    assert {line.partition(":")[0] for line in browser.violations()} >= {
        "color-contrast",
        "html-has-lang",
        "svg-img-alt",
    }


def test_the_command_writes_the_page_and_ends_as_what_could_not_be_read_does(kept: Shell) -> None:
    assert kept.run("report", "backups.html", "--keep-last", "1").stderr == "wrote backups.html\n"
    file = kept.folder / "backups.html"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert "it would delete 1 backup of 1 source, keep 1" in " ".join(file.read_text().split())
    kept.run("report", "-q", "backups.html")
    assert "What prune would do" not in file.read_text()
    assert "no store at" in kept.fails(10, "report", "backups.html", "--store", "backups", "--store", "gone").error
    assert "store not read" in file.read_text()
    kept.fails(2, "report", "backups.html", "--older-than", "soon")
    kept.fails(2, "report", "backups.html", "--keep-tag", "gold")
    kept.fails(2, "report", "/dev/null")
    assert "store not read" in file.read_text()
