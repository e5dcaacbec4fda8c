"""What the suite tries of a sweep, and what `make sweeps` does."""

import itertools

import pytest
from support import sweeps

FIRST, SECOND = ["a", "b", "c"], [1, 2]


def test_the_suite_tries_each_value_and_the_long_form_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "LONG", False)
    assert sweeps.paired(FIRST, SECOND) == [("a", 1), ("b", 2), ("c", 1)]
    assert sweeps.paired(SECOND, FIRST) == [(1, "a"), (2, "b"), (1, "c")]
    assert (sweeps.swept("a", "b", long=["c"]), sweeps.tries(5, long=50)) == (["a", "b"], 5)
    monkeypatch.setattr(sweeps, "LONG", True)
    assert sweeps.paired(FIRST, SECOND) == list(itertools.product(FIRST, SECOND))
    assert (sweeps.swept("a", "b", long=["c"]), sweeps.tries(5, long=50)) == (["a", "b", "c"], 50)
