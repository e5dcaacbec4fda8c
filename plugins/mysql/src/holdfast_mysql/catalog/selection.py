"""What `--select` and `--exclude` choose of a database."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from holdfast.api import UsageError, quote_name


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What `--select` and `--exclude` leave: shell patterns on the names of tables, views and sequences."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether routines and events belong to it too."""
        return not self.select

    def __contains__(self, name: object) -> bool:
        text = str(name)
        chosen = not self.select or any(fnmatchcase(text, pattern) for pattern in self.select)
        return chosen and not any(fnmatchcase(text, pattern) for pattern in self.exclude)

    def check(self, names: Sequence[str]) -> None:
        """Refuse a pattern that chooses nothing: it was meant to choose something."""
        for pattern in (*self.select, *self.exclude):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(f"no table, view or sequence is called {quote_name(pattern)}")
