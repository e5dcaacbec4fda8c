"""Views above what has a definer that is not there: no server makes them (error 1449), though it keeps those it has.

For the moment whoever restores is the definer of all that they may read or call; then it gets its own one back.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from holdfast_mysql.definitions.rewrite import dropped, stripped
from holdfast_mysql.definitions.script import Statement


class OwnDefiners:
    """While entered, `statements` are ours: functions and views that are there, in the order of their making."""

    def __init__(self, execute: Callable[[Statement], None], statements: Sequence[Statement]) -> None:
        self._execute = execute
        self._statements = [statement for statement in statements if statement.kind in ("function", "view")]
        self._made: list[Statement] = []

    def __enter__(self) -> Self:
        """Make them again without their definers."""
        for statement in self._statements:
            self._again(stripped(statement))
        return self

    def make(self, view: Statement) -> None:
        """Make one more view; it gets its definer at the end."""
        self._execute(stripped(view))
        self._made.append(view)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give all of them their definers: those above first, since what they read must not have one that is gone."""
        views = [statement for statement in [*self._statements, *self._made] if statement.kind == "view"]
        functions = [statement for statement in self._statements if statement.kind == "function"]
        for statement in [*reversed(views), *functions]:
            self._again(statement)

    def _again(self, statement: Statement) -> None:
        self._execute(dropped(statement))
        self._execute(statement)
