"""A URL names a file or folder, or says what was meant; patterns choose among names."""

import pytest

from holdfast.api import DatabaseURL, UsageError, choose_names, file_path, file_url


@pytest.mark.parametrize("path", ["a", "a/b.csv", "/abs/a b", "/ü?%#", "x@y"])
def test_a_path_comes_back_as_it_was_written(path: str) -> None:
    assert file_path(file_url("csvdir", path), title="CSV") == path


@pytest.mark.parametrize(
    ("url", "words", "hint"),
    [
        ("csvdir://", "the CSV URL names no folder", "csvdir:///relative.d, csvdir:////absolute/path.d"),
        ("csvdir:///", "the CSV URL names no folder", None),
        ("csvdir:///a%00b", "the CSV URL names no folder", None),
        ("csvdir://shop/books", "names a host, and CSV has folders", "write it as csvdir:///shop/books"),
        ("csvdir://localhost/a%20b", "names a host, and CSV has folders", "write it as csvdir:////a%20b"),
        ("csvdir://u:secret@shop", r"u:\*\*\*@shop names a host", "csvdir:///relative.d has three slashes"),
    ],
)
def test_a_url_that_names_none_says_what_was_meant(url: str, words: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        file_path(url, title="CSV", what="folder", suffix=".d")
    assert hint is None or hint in str(caught.value.hint)
    with pytest.raises(UsageError, match=words):
        file_path(DatabaseURL.parse(url), title="CSV", what="folder", suffix=".d")


NAMES = ["books", "orders", "orders_2026", "o*", "Sales"]


@pytest.mark.parametrize(
    ("select", "exclude", "chosen"),
    [
        ((), (), NAMES),
        (("orders*",), (), ["orders", "orders_2026"]),
        (("o*",), (), ["o*"]),  # the very name
        (("Sales", "books"), (), ["books", "Sales"]),
        ((), ("orders*", "books"), ["o*", "Sales"]),
        (("orders*",), ("orders",), ["orders_2026"]),
    ],
)
def test_patterns_choose(select: tuple[str, ...], exclude: tuple[str, ...], chosen: list[str]) -> None:
    assert choose_names(NAMES, select, exclude, what="file") == chosen


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no file matches nothing \(there are: books, orders"):
        choose_names(NAMES, ("nothing",), (), what="file")
    with pytest.raises(UsageError, match="no file matches sales") as caught:
        choose_names(NAMES, (), ("sales",), what="file")
    assert caught.value.hint == "case counts, as there is Sales"
    with pytest.raises(UsageError, match=r"there are: none\)"):
        choose_names([], ("x",), (), what="file")


def test_what_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="every file that is selected is excluded"):
        choose_names(NAMES, ("books",), ("b*",), what="file")
    assert choose_names([], (), (), what="file") == []
