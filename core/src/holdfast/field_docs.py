"""What the fields of a dataclass mean, in what `help()` shows of it: it knows nothing of comments, and editors do."""

import re
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)

_COMMENT = re.compile(r"    #: (.*)")
_FIELD = re.compile(r"    (\w+)(?:: | = ).*?(?:  #: (.*))?")
#: What stands between the docstring of a class and its fields.
FIELDS = "Fields:"


def explain_fields(kind: _Class) -> _Class:
    """Let the docstring of a dataclass go on with the comments (`#:`) of its fields, read when it is asked for."""
    kind.__doc__ = _Explained(kind.__doc__)  # type: ignore[assignment]
    return kind


class _Explained:
    """A docstring that is put together from the source of its class; without the source it is the one of the class."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __get__(self, _: object, kind: type) -> str | None:
        lines = [f"    {name}: {meaning}" for name, meaning in meanings_of(kind).items()]
        return "\n".join([f"{self._text}", "", f"    {FIELDS}", "", *lines]) if lines else self._text


def meanings_of(kind: type) -> dict[str, str]:
    """The comments of the fields of a class, or of the members of an enumeration, by name."""
    import inspect

    try:
        lines = inspect.getsource(kind).splitlines()
    except (OSError, TypeError):
        return {}
    meanings: dict[str, str] = {}
    above: list[str] = []
    for line in lines:
        if comment := _COMMENT.fullmatch(line):
            above.append(comment[1])
            continue
        if (field := _FIELD.fullmatch(line)) and (above or field[2]):
            meanings[field[1]] = " ".join(above) or field[2]
        above = []
    return meanings
