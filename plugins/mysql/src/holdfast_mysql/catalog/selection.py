"""What of a database is backed up or restored: by name, by kind, and as far as the account may read it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Self

from holdfast.api import CheckRequest, DumpRequest, ObjectKind, RestoreRequest, UsageError, quote_name
from holdfast_mysql.kinds import STATEMENTS


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What `--select`, `--exclude` and `--exclude-kind` leave.

    Patterns are of the shell, on the names of tables, views and sequences; `without` names those that are left out
    besides, `brought` sequences that come because a table needs them.
    """

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_kinds: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    brought: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: DumpRequest | RestoreRequest | CheckRequest) -> Self:
        """What a request asks for."""
        kinds = frozenset(request.exclude_kinds)
        return cls(select=request.select, exclude=request.exclude, exclude_kinds=kinds)

    def leaving(self, names: Sequence[str]) -> Self:
        """The same without some names."""
        return replace(self, without=self.without | set(names))

    @property
    def everything(self) -> bool:
        """Whether routines and events belong to it too."""
        return not self.select

    @property
    def routines(self) -> bool:
        """Whether it has routines."""
        return self.everything and self.has(ObjectKind.ROUTINE)

    @property
    def events(self) -> bool:
        """Whether it has events."""
        return self.everything and self.has(ObjectKind.EVENT)

    def has(self, kind: str) -> bool:
        """Whether objects of a kind belong to it, one of `ObjectKind`."""
        return kind not in self.exclude_kinds

    def leaves_out(self, kind: str) -> bool:
        """Whether it has no statements of a kind, such as `package body`."""
        return any(kind in STATEMENTS.get(excluded, ()) for excluded in self.exclude_kinds)

    def excludes(self, name: str) -> bool:
        """Whether a name is left out by one of the patterns that say so."""
        return any(fnmatchcase(name, pattern) for pattern in self.exclude)

    def __contains__(self, name: object) -> bool:
        text = str(name)
        if text in self.brought:
            return True
        chosen = not self.select or any(fnmatchcase(text, pattern) for pattern in self.select)
        return chosen and not self.excludes(text) and text not in self.without

    def check(self, names: Sequence[str]) -> None:
        """Refuse a pattern that chooses nothing: it was meant to choose something."""
        for pattern in (*self.select, *self.exclude):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(f"no table, view or sequence is called {quote_name(pattern)}")
