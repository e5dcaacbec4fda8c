"""An object that stands for another and can all that it can, for wrappers that change a little of it."""

import functools
from typing import TYPE_CHECKING, Any


class _Forwarded:
    """An attribute of the wrapped object; what is set on the object around it comes first."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, around: Any, kind: type) -> Any:
        if around is None:
            return self
        return getattr(around.wrapped, self._name)


class Forwarding:
    """Stands for a part of another plugin, and has all that it has; a class that inherits does some of it otherwise.

    Every public method, attribute and property that the class does not have itself is that of `wrapped`, each time that
    it is asked for. So are the optional ones: `isinstance(…, SupportsWalk)` says of both the same, which it would not
    with a `__getattr__`. Whoever has an `__init__` calls that of this class.

    Example::

        class Loud(Forwarding):
            def delete(self, path):
                log.info("deleting %s", path)
                self.wrapped.delete(path)
    """

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped  #: what it stands for
        own = set(dir(self))
        kind: Any = type(self)
        self.__class__ = _with(kind, tuple(name for name in dir(wrapped) if name[0] != "_" and name not in own))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


@functools.cache
def _with(kind: Any, names: tuple[str, ...]) -> Any:
    """A class like this that has these attributes besides, those of what its objects stand for."""
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **{name: _Forwarded(name) for name in names}})
