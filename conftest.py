"""Sweeps have a short form, in `make test`, and a long one, in `make sweeps`.

`@pytest.mark.sweep(2)` tells how many cases of a test the suite tries: evenly spread, as they are listed. With 0 the
test is in the long form alone. What is left out is deselected and not skipped: nothing is missing on this machine.
"""

from collections import defaultdict

import pytest
from support.sweeps import LONG


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "sweep(count): how many of its cases `make test` tries; `make sweeps` all")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the short form does not try, unless a test was named by its whole id."""
    if LONG:
        return
    named = {argument for argument in config.args if "::" in argument}
    sweeps: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sweep") and not named:
            sweeps[item.nodeid.partition("[")[0]].append(item)
    left_out = {item for cases in sweeps.values() for item in cases} - {
        item for cases in sweeps.values() for item in _spread(cases)
    }
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _spread(cases: list[pytest.Item]) -> list[pytest.Item]:
    """As many cases as the marker says, the first and the last among them."""
    marker = cases[0].get_closest_marker("sweep")
    count = min(marker.args[0], len(cases)) if marker else len(cases)
    if count < 2:
        return cases[:count]
    return [cases[number * (len(cases) - 1) // (count - 1)] for number in range(count)]
