"""Sweeps: the suite tries some cases of each, `make sweeps`, which sets HOLDFAST_TEST_SWEEPS=all, every one.

What the suite leaves out goes the same ways as what it tries, as far as anybody knows: archives that one program reads,
another number of random cases, or each value together with each of another list.
"""

import os
from collections.abc import Sequence
from typing import Any

LONG = os.environ.get("HOLDFAST_TEST_SWEEPS") == "all"


def swept(*short: Any, long: Sequence[Any]) -> list[Any]:
    """The values of a parameter: those of the suite, and in the long form the others too."""
    return [*short, *(long if LONG else ())]


def paired(first: Sequence[Any], second: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The values of two parameters: each value of both occurs, and in the long form each together with each."""
    if LONG:
        return [(value, other) for value in first for other in second]
    count = max(len(first), len(second))
    return [(first[number % len(first)], second[number % len(second)]) for number in range(count)]


def tries(short: int, *, long: int) -> int:
    """How many random cases to try."""
    return long if LONG else short
