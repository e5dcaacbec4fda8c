"""Parts that each break a sentence of `docs/contract.md`, and the suites of `holdfast.testing` that must fail on them.

Each module but this one is a test module that only `core/tests/test_contract.py` runs.
"""

from collections.abc import Callable
from typing import Any

SOUND = "sound"


def breaks(sentence: str) -> Callable[[type], type]:
    """Say which sentence a class breaks; its docstring says how."""

    def mark(mutant: type) -> type:
        assert mutant.__doc__, f"{mutant.__name__} does not say what it does"
        mutant.breaks = sentence  # type: ignore[attr-defined]
        return mutant

    return mark


def add_suites(names: dict[str, Any], suite_of: Callable[[Any], type], *sound: Any) -> None:
    """Add to a module a suite for what is sound, and for each of its mutants."""
    for part in sound:
        _add(names, suite_of(part), f"TestSound{getattr(part, '__name__', 'Part')}", SOUND)
    for part in list(names.values()):
        if isinstance(part, type) and "breaks" in vars(part):
            _add(names, suite_of(part), f"Test{part.__name__}", vars(part)["breaks"])


def _add(names: dict[str, Any], suite: type, name: str, sentence: str) -> None:
    names[name] = type(name, (suite,), {"sentence": sentence, "__module__": names["__name__"]})
