"""Whose fault it is: errors that come out of a plugin name its component, its distribution and what wraps it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType

from holdfast.api import Kind
from holdfast.endings import ENDINGS, describe_ending, is_failure
from holdfast.errors import HoldfastError, PluginError, note_waiting
from holdfast.plugins.loading import Owned, describe_error
from holdfast.plugins.waiting import Called
from holdfast.plugins.wrapping import WrapperError


@dataclass(frozen=True, kw_only=True)
class Blame:
    """The owner of a part, and what is around it.

    `authors` tells of the functions that a hook's call runs which are those of wrappers, by code. `wrapper` is the
    title of the one that made the part itself, `around` those of all that made something of what the hook returned: it
    is filled while the hook runs.
    """

    owned: Owned
    authors: Mapping[CodeType, str] = field(default_factory=dict)
    wrapper: str = ""
    around: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The component, its distribution and its wrappers, with nobody blamed."""
        around = ", ".join(sorted({*filter(None, (*self.authors.values(), *self.around))}))
        return f"{self._component} (wrapped by {around})" if around else self._component

    def culprit(self, error: BaseException | None = None) -> str:
        """Whose fault an error is, or a value without one: where it comes out of, the innermost that was called."""
        wrapper, trace = self.wrapper, error.__traceback__ if error else None
        while trace is not None:
            wrapper = self.authors.get(trace.tb_frame.f_code, wrapper)
            trace = trace.tb_next
        if isinstance(error, WrapperError) and error.code:
            wrapper = self.authors.get(error.code, wrapper)
        return f"{wrapper}, which wraps {self._component}," if wrapper else self.title

    @property
    def touches_files(self) -> bool:
        """Whether the system may refuse something to the part; then whoever has called says what could not be done.

        A codec, checksum or cipher is called while something is written elsewhere, of which its error would seem to be.
        """
        return self.owned.component.kind not in (Kind.CODEC, Kind.CHECKSUM, Kind.CIPHER)

    @property
    def _component(self) -> str:
        component, plugin = self.owned.component, self.owned.plugin
        what = f"{component.kind} '{component.name}' of {plugin.title}"
        return what if plugin.name in (component.name, plugin.distribution) else f"{what} (plugin '{plugin.name}')"


@contextmanager
def attribute_errors(blame: Blame, hook: str) -> Iterator[None]:
    """Name the plugin in errors that it did not foresee.

    Its own `HoldfastError`s pass, and `OSError`s where they may be; so does a signal, with what was waited for.
    """
    try:
        with Called(blame, hook):
            yield
    except HoldfastError:
        raise
    except BaseException as error:
        if not is_failure(error):
            note_waiting(error, f"{hook} of {blame.culprit(error).rstrip(',')}")
            raise
        if isinstance(error, OSError) and blame.touches_files:
            raise
        if isinstance(error, WrapperError):
            raise PluginError(f"{blame.culprit(error)} breaks its contract: {error}") from error
        if isinstance(error, ENDINGS):
            raise PluginError(f"{blame.culprit(error)} failed: {describe_ending(error)}") from error
        raise HoldfastError(f"{blame.culprit(error)} failed: {describe_error(error)}") from error
