"""The interface of plugins as text: signatures and docstrings of `holdfast.api`, for whoever reads in a terminal."""

import functools
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from textwrap import indent, wrap
from typing import Any

from holdfast import api
from holdfast.field_docs import FIELDS, meanings_of

_WIDTH = 100
_MEMBERS = (property, classmethod, staticmethod)


def summary(name: str) -> str:
    """What a name of the interface is, in a sentence."""
    return " ".join(re.split(r"\n\n|(?<=\.) ", _text_of(name), maxsplit=1)[0].split())


def explain(name: str) -> str:
    """All that there is to say of a name of the interface."""
    thing = getattr(api, name)
    if not isinstance(thing, type):
        head = f"{name}{_signature(thing)}" if inspect.isfunction(thing) else _source()[_line_of(name)]
        return f"{head}\n{_shifted(_text_of(name))}"
    bases = [base.__name__ for base in thing.__bases__ if base is not object]
    parts = [_shifted(_text_of(name))]
    if issubclass(thing, Enum):
        meanings = meanings_of(thing)
        parts += [_shifted(f"{member.name} = {str(member)!r}: {meanings.get(member.name, '')}") for member in thing]
    elif is_dataclass(thing):
        parts += _fields(thing)
    elif issubclass(thing, Exception):
        parts += [f"    exit_code = {vars(thing)['exit_code']}"] if "exit_code" in vars(thing) else []
    elif "__init__" in vars(thing) and "Protocol" not in bases:
        parts.append(f"    {name}{_signature(thing)}")
    parts += _members(thing)
    head = f"class {name}({', '.join(bases)})".replace("()", "")
    return "\n\n".join([f"{head}\n{parts[0]}", *parts[1:]])


def _fields(kind: Any) -> Iterator[str]:
    meanings = meanings_of(kind)
    for field in fields(kind):
        yield f"    {field.name}: {_bare(field.type)}{_default(field)}\n{_shifted(meanings.get(field.name, ''), 8)}"


def _default(field: "Field[Any]") -> str:
    if field.default is not MISSING:
        return f" = {_bare(field.default) if inspect.isfunction(field.default) else repr(field.default)}"
    return "" if field.default_factory is MISSING else f" = {_bare(field.default_factory)}()"


def _members(kind: type) -> Iterator[str]:
    """The public methods and properties that a class has itself."""
    for name, value in vars(kind).items():
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, _MEMBERS)):
            continue
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        head = f"{name}: {_bare(function.__annotations__.get('return', ''))}" if isinstance(value, property) else ""
        yield f"    {head or name + _signature(function)}\n{_shifted(inspect.getdoc(value) or '', 8)}"


class _Bare:
    """An annotation that is shown as its source has it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _bare(annotation: Any) -> Any:
    if annotation in (inspect.Parameter.empty, None):
        return annotation
    text = annotation.__name__ if isinstance(annotation, type) or inspect.isfunction(annotation) else str(annotation)
    return _Bare(re.sub(r"[\w.]+\.(?=\w)", "", text).strip("\"'"))


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [
        each.replace(annotation=_bare(each.annotation)) for each in signature.parameters.values() if each.name != "self"
    ]
    return str(signature.replace(parameters=parameters, return_annotation=_bare(signature.return_annotation)))


def _text_of(name: str) -> str:
    """The docstring of a name, or the comment above it; what follows of its fields is told with them."""
    thing = getattr(api, name)
    if isinstance(thing, type) or inspect.isfunction(thing):
        text = inspect.getdoc(thing) or ""
        return text.partition(f"\n{FIELDS}\n")[0].rstrip()
    source, at = _source(), _line_of(name)
    above: list[str] = []
    while source[at - 1].startswith("#: "):
        at -= 1
        above.insert(0, source[at].removeprefix("#: "))
    return " ".join(above)


@functools.cache
def _source() -> list[str]:
    modules = (module for name, module in [*sys.modules.items()] if name.startswith("holdfast.api."))
    return "\n".join(map(inspect.getsource, modules)).splitlines()


def _line_of(name: str) -> int:
    return next(number for number, line in enumerate(_source()) if line.startswith(f"{name} = "))


def _shifted(text: str, by: int = 4) -> str:
    """A text below its head; a line that is too long, as a comment is, goes on below."""
    lines = [part for line in text.splitlines() for part in (wrap(line, _WIDTH) if len(line) > 120 else [line])]
    return indent("\n".join(lines), " " * by)
