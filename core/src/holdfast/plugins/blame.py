"""Whose fault it is: errors that come out of a plugin name its component, its distribution and what wraps it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType

from holdfast.endings import ENDINGS, describe_ending, is_failure
from holdfast.errors import HoldfastError, PluginError
from holdfast.plugins.loading import Owned, describe_error
from holdfast.plugins.stray import SameProcess
from holdfast.plugins.wrapping import WrapperError


@dataclass(frozen=True, kw_only=True)
class Blame:
    """The owner of a part; `authors` tells of the functions that are called which are those of wrappers, by code."""

    owned: Owned
    authors: Mapping[CodeType, str] = field(default_factory=dict)

    def culprit(self, error: BaseException | None) -> str:
        """Whose function an error comes out of, the innermost of those that were called, and what is around it."""
        component, plugin = self.owned.component, self.owned.plugin
        what = f"{component.kind} '{component.name}' of {plugin.title}"
        if plugin.name not in (component.name, plugin.distribution):
            what += f" (plugin '{plugin.name}')"
        wrapper, trace = "", error.__traceback__ if error else None
        while trace is not None:
            wrapper = self.authors.get(trace.tb_frame.f_code, wrapper)
            trace = trace.tb_next
        if isinstance(error, WrapperError) and error.code:
            wrapper = self.authors.get(error.code, wrapper)
        if wrapper:
            return f"{wrapper}, which wraps {what},"
        around = ", ".join(sorted({title for title in self.authors.values() if title}))
        return f"{what} (wrapped by {around})" if around else what

    @property
    def returner(self) -> str:
        """Whose a value is that a hook returned: of the wrappers that did not hand it on as it was the outermost."""
        titles = [title for title in self.authors.values() if title]
        if not titles:
            return self.culprit(None)
        component, plugin = self.owned.component, self.owned.plugin
        return f"{titles[-1]}, which wraps {component.kind} '{component.name}' of {plugin.title},"


@contextmanager
def attribute_errors(blame: Blame) -> Iterator[None]:
    """Name the plugin in errors that it did not foresee; its own `HoldfastError`s and `OSError`s pass."""
    try:
        with SameProcess():
            yield
    except (HoldfastError, OSError):
        raise
    except (Exception, *ENDINGS) as error:
        if not is_failure(error):
            raise
        if isinstance(error, WrapperError):
            raise PluginError(f"{blame.culprit(error)} breaks its contract: {error}") from error
        if isinstance(error, ENDINGS):
            raise PluginError(f"{blame.culprit(error)} failed: {describe_ending(error)}") from error
        raise HoldfastError(f"{blame.culprit(error)} failed: {describe_error(error)}") from error
