"""What plugins hand out, guarded: what goes wrong at a call of it names the plugin, what it returns is looked at.

A part of a plugin (a codec, a storage, a dump session) is replaced by an object that passes everything on. Errors that
the plugin did not foresee become ours; what it returns is of the type that the contract says, or is its failure; and a
context of a plugin never swallows an error of the core.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from inspect import getattr_static, isfunction
from types import TracebackType
from typing import Any, NoReturn

from holdfast.api import Requirement
from holdfast.endings import ENDINGS, Stopped, describe_ending, is_failure
from holdfast.errors import HoldfastError, PluginError
from holdfast.plugins.blame import Blame
from holdfast.plugins.loading import Owned, describe_error
from holdfast.plugins.returned_values import is_plain, problem_of
from holdfast.plugins.roles import CHUNK, ROLES, Rule
from holdfast.plugins.waiting import Called, note_call

_HEX = re.compile(r"[0-9a-f]+")


class _Calls:
    """Calls of one part: what they raise and return is the plugin's."""

    def __init__(self, blame: Blame, role: str) -> None:
        self.blame = blame
        self.role = role

    def fail(self, what: str, error: BaseException) -> NoReturn:
        """Raise what came out of a call: what the plugin foresaw, and the core's own, as it is, all else as its."""
        if isinstance(error, HoldfastError | MemoryError | Stopped):
            raise error
        if not is_failure(error):
            note_call(error, what, self.blame.culprit(error))
            raise error
        if isinstance(error, OSError) and self.blame.touches_files:
            raise error
        if isinstance(error, RuntimeError) and str(error) == "can't start new thread":  # there is no room for one
            raise error
        about = f"{self.blame.culprit(error)} failed in {what}"
        failure = (
            PluginError(f"{about}: {describe_ending(error)}")
            if isinstance(error, ENDINGS)
            else HoldfastError(f"{about}: {describe_error(error)}")
        )
        failure.unforeseen = True
        raise failure from error

    def called(self, what: str) -> Called:
        """The block of a call."""
        return Called(self.blame, what)

    def returned(self, what: str, value: object, rule: Rule) -> Any:
        """What a call returned, as the rest of the core takes it; `PluginError` where it is nothing of the kind."""
        if rule.shape == "each":
            return self._iterated(what, value, rule)
        if rule.shape == "context":
            if not hasattr(value, "__enter__") or not hasattr(value, "__exit__"):
                raise self._wrong(what, value, "a context manager")
            return Context(value, self.blame, rule.role, what)
        if rule.shape == "all":
            if isinstance(value, str | bytes) or not isinstance(value, Collection):
                raise self._wrong(what, value, f"a sequence of {_names(rule)}")
            for item in value:
                self._check(what, item, rule)
        elif rule.role:
            return guarded(value, self.blame, rule.role)
        elif rule.types:
            self._check(what, value, rule)
            if what == "hexdigest()" and not _HEX.fullmatch(str(value)):
                raise self._wrong(what, value, "lowercase hexadecimal")
        return None if rule.shape == "none" else value

    def _check(self, what: str, value: object, rule: Rule) -> None:
        if not isinstance(value, rule.types):
            raise self._wrong(what, value, _names(rule))
        if problem := problem_of(value):
            raise PluginError(f"{self.blame.culprit()} breaks its contract: {what} has {problem}")

    def _wrong(self, what: str, value: object, expected: str) -> PluginError:
        got = f"{what} {'returned' if what.endswith('()') else 'is'} {type(value).__name__}"
        return PluginError(f"{self.blame.culprit()} breaks its contract: {got}, expected {expected}")

    def _iterated(self, what: str, value: object, rule: Rule) -> Iterator[Any]:
        if isinstance(value, str | bytes):  # whose items would be of the right type
            raise self._wrong(what, value, f"an iterable of {_names(rule)}")
        try:
            with self.called(what):
                items = iter(value)  # type: ignore[call-overload]
        except BaseException as error:
            if isinstance(error, TypeError):
                raise self._wrong(what, value, f"an iterable of {_names(rule)}") from error
            self.fail(what, error)
        return self._items(what, items, rule)

    def _items(self, what: str, items: Iterator[Any], rule: Rule) -> Iterator[Any]:
        try:
            while True:
                try:
                    with Called(self.blame, what):
                        item = next(items)
                except StopIteration:
                    return
                except BaseException as error:  # noqa: BLE001 (raised again, as whose it is)
                    self.fail(what, error)
                if type(item) not in rule.types or not is_plain(item):
                    self._check(what, item, rule)
                yield item
        finally:
            self._close(what, items)

    def _close(self, what: str, items: Iterator[Any]) -> None:
        close = getattr(items, "close", None)
        if close is None:
            return
        try:
            with self.called(what):
                close()
        except BaseException as error:  # noqa: BLE001 (raised again, as whose it is)
            self.fail(what, error)


def _names(rule: Rule) -> str:
    names = ["None" if kind is type(None) else kind.__name__ for kind in rule.types]
    return "bytes" if rule.types == CHUNK else " or ".join(names)


class _Guard:
    """Stands for a part of a plugin, and has its attributes and class, so that `isinstance` says what it says of it."""

    __slots__ = ("__dict__", "_guarded")

    def __init__(self, part: Any, calls: _Calls) -> None:
        object.__setattr__(self, "_guarded", (part, calls))
        if hasattr(part, "__dict__") and isinstance(part.__dict__, dict):
            object.__setattr__(self, "__dict__", part.__dict__)  # the same, also of what is set later

    def __dir__(self) -> list[str]:
        return dir(object.__getattribute__(self, "_guarded")[0])  # what `Forwarding` goes by

    def __getattribute__(self, name: str) -> Any:
        part, calls = object.__getattribute__(self, "_guarded")
        if name == "__class__":
            return part.__class__
        rule = ROLES[calls.role].get(name)
        if rule is None:
            return getattr(part, name)
        return _member(part, name, rule, calls)


def _member(part: Any, name: str, rule: Rule, calls: _Calls) -> Any:
    """An attribute of a part, or a function that calls its method."""
    try:
        with calls.called(name):
            value = getattr(part, name)
    except BaseException as error:
        if isinstance(error, AttributeError) and rule.optional:
            raise
        calls.fail(name, error)
    if not callable(value):
        if rule.shape in ("context", "none", "each") or rule.role:
            raise PluginError(f"{calls.blame.culprit()} breaks its contract: {name} is no method")
        return calls.returned(name, value, rule)

    def call(*arguments: Any, **more: Any) -> Any:
        what = f"{name}()"
        try:
            with calls.called(what):
                result = value(*arguments, **more)
        except BaseException as error:  # noqa: BLE001 (raised again, as whose it is)
            calls.fail(what, error)
        return calls.returned(what, result, rule)

    return call


class Context(AbstractContextManager[Any]):
    """A context of a plugin: what is entered is a guarded part of that role, and no error of its block is swallowed."""

    def __init__(self, context: Any, blame: Blame, role: str, what: str) -> None:
        self.context = context
        self._calls = _Calls(blame, role)
        self._what = what

    def __enter__(self) -> Any:
        try:
            with self._calls.called(self._what):
                value = self.context.__enter__()
        except BaseException as error:  # noqa: BLE001 (raised again, as whose it is)
            self._calls.fail(self._what, error)
        role = self._calls.role
        return guarded(value, self._calls.blame, role) if role else value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._calls.called(f"the end of {self._what}"):
                self.context.__exit__(kind, error, trace)
        except BaseException as raised:  # noqa: BLE001 (raised again, as whose it is)
            if raised is error:
                return  # it goes on from where it came
            self._calls.fail(f"the end of {self._what}", raised)


def guarded(part: Any, blame: Blame, role: str) -> Any:
    """Guard a part of a plugin; one that lacks what its role needs is a `PluginError`."""
    try:
        with Called(blame, f"its {role}"):
            missing = [name for name, rule in ROLES[role].items() if not rule.optional and not _has(part, name)]
    except BaseException as error:  # noqa: BLE001 (raised again, as whose it is)
        _Calls(blame, role).fail(f"its {role}", error)
    if isinstance(part, type) and any(isfunction(getattr_static(part, name, None)) for name in ROLES[role]):
        raise PluginError(  # one of class and static methods is as good as an object
            f"{blame.culprit()} breaks its contract: its {role} is the class {part.__name__}, expected an object"
        )
    if missing:
        raise PluginError(
            f"{blame.culprit()} breaks its contract: its {role} is {type(part).__name__}, which has no "
            f"{' and no '.join(missing)}"
        )
    return _Guard(part, _Calls(blame, role))


def _has(part: Any, name: str) -> bool:
    """Whether there is a member, without the value of a property, which may be costly or not to be had yet."""
    return hasattr(type(part), name) or name in getattr(part, "__dict__", ()) or hasattr(part, name)


# What hooks return: a part of a role, a context whose value is one, or, without a role, what `_RESULTS` has.
_HOOKS: Mapping[str, str] = {
    "holdfast_compress": "codec",
    "holdfast_checksum": "checksum",
    "holdfast_encrypt": "cipher",
    "holdfast_storage": "storage",
    "holdfast_dump": "dump",
    "holdfast_restore": "restore",
    "holdfast_scratch": "scratch",
    "holdfast_moment": "moment",
    "holdfast_databases": "",
    "holdfast_executor": "executor",
    "holdfast_check": "",
}
_RESULTS: Mapping[str, Rule] = {
    "holdfast_databases": Rule((str,), "all"),
    "holdfast_check": Rule((Requirement,), "each"),
}
_ENTERED = frozenset({"dump", "restore", "scratch", "moment"})


def guarded_result(hook: str, value: Any, blame: Blame) -> Any:
    """Guard what a hook returned, unless a wrapper has handed on what is guarded; `PluginError` for anything else."""
    role = _HOOKS[hook]
    if type(value) in (_Guard, Context):
        return value
    if role in _ENTERED:
        if not hasattr(value, "__enter__"):
            raise PluginError(f"{blame.culprit()} breaks its contract: {hook} returned no context manager")
        return Context(value, blame, role, hook)
    if role:
        return guarded(value, blame, role)
    return _Calls(blame, "").returned(f"{hook}()", value, _RESULTS[hook])


def provider(part: Any) -> str:
    """What to call a part by: the component and its distribution, or the class of an object that a program brought."""
    if type(part) is _Guard:
        calls: _Calls = object.__getattribute__(part, "_guarded")[1]
        return calls.blame.title
    if isinstance(owned := getattr(part, "owned", None), Owned):  # an engine that is installed
        return Blame(owned=owned).title
    return f"engine '{part.name}'" if hasattr(part, "dump") else f"the {type(part).__name__} of this program"


def check_fields(part: Any, what: str, value: object) -> None:
    """Refuse a value with fields that are not of the contract's types; what is installed has been looked at already."""
    if isinstance(getattr(part, "owned", None), Owned):
        return
    if problem := problem_of(value):
        raise PluginError(f"{provider(part)} breaks its contract: {what} has {problem}")


def offered_by(part: Any) -> tuple[str, str]:
    """The distribution of a part and its version, both empty for an object that a program brought."""
    if type(part) is not _Guard:
        return "", ""
    calls: _Calls = object.__getattribute__(part, "_guarded")[1]
    plugin = calls.blame.owned.plugin
    return plugin.distribution, plugin.version


def wrappers_of(part: Any) -> dict[str, str]:
    """The versions of the plugins whose wrappers made something else of a part, by distribution."""
    if type(part) is not _Guard:
        return {}
    calls: _Calls = object.__getattribute__(part, "_guarded")[1]
    titles = (title.rpartition(" of ")[2].rpartition(" ") for title in calls.blame.around if title)
    return {distribution or version: version if distribution else "" for distribution, _, version in titles}


def unguarded(part: Any) -> Any:
    """The part that the plugin handed out, for the plugin itself."""
    return object.__getattribute__(part, "_guarded")[0] if type(part) is _Guard else part
