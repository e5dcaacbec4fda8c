"""Functions that take the fields of a class as their keywords, without a second list of them.

A type checker reads the keywords of the decorated function from the constructor of that class, so that it refuses a
misspelt one or one of a wrong type, and `inspect.signature`, editors and the documentation show them. What the
function itself gets is `**arguments`.

`Unpack[TypedDict]` would do the same with a list of its own beside that of the class, which each new option would
have to enter as well.
"""

import inspect
from collections.abc import Callable, Collection
from typing import Any, Concatenate, ParamSpec, TypeVar

from holdfast.errors import UsageError

P = ParamSpec("P")
First = TypeVar("First")
Result = TypeVar("Result")


def signature_of(arguments: Callable[P, object], /) -> Callable[[Callable[..., Result]], Callable[P, Result]]:
    """Let a function have the parameters of a class."""

    def decorate(function: Callable[..., Result]) -> Callable[P, Result]:
        _show(function, arguments, own=0)
        return function

    return decorate


def keywords_of(
    arguments: Callable[P, object], /
) -> Callable[[Callable[Concatenate[First, ...], Result]], Callable[Concatenate[First, P], Result]]:
    """Let a function or method have the parameters of a class after its own first one."""

    def decorate(function: Callable[Concatenate[First, ...], Result]) -> Callable[Concatenate[First, P], Result]:
        _show(function, arguments, own=1)
        return function

    return decorate


def check_names(names: Collection[str], known: Collection[str]) -> None:
    """Refuse keywords that are none, as a `UsageError` that lists what there is."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"there is no option '{unknown[0]}' (there are: {', '.join(known)})")


def _show(function: Callable[..., Any], arguments: Callable[..., object], *, own: int) -> None:
    written = inspect.signature(function)
    first = [*written.parameters.values()][:own]
    names = {parameter.name for parameter in first}
    taken = [parameter for parameter in inspect.signature(arguments).parameters.values() if parameter.name not in names]
    function.__dict__["__signature__"] = written.replace(parameters=[*first, *taken])
