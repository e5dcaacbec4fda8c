"""Views above what has a definer that is not there, or that has no rights in this database, as under another name.

No server makes them (errors 1449, 1356, 1370), though it keeps those it has. For the moment whoever restores is the
definer of all that they may read or call; then it gets its own one back.
"""

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import pymysql

from holdfast.api import quote_name
from holdfast_mysql.catalog.definitions import BROKEN_VIEW
from holdfast_mysql.catalog.view_collations import is_of_view
from holdfast_mysql.definitions.rewrite import definer_clause, dropped, stripped
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import error_number
from holdfast_mysql.restore.server_warnings import NO_DEFINER
from holdfast_mysql.session import quoted

log = logging.getLogger("holdfast.mysql")

_INVALID = 1356  # also of a view that reads a view whose definer may not read what that reads
# A table, a column or a routine that the definer may not use.
_RIGHTLESS = frozenset({1142, 1143, 1370})


def is_rightless(error: pymysql.MySQLError) -> bool:
    """Whether somebody lacks a right: the definer of a view, or whoever restores."""
    return error_number(error) in _RIGHTLESS


def can_be_of_definer(view: Statement, error: pymysql.MySQLError) -> bool:
    """Whether a view that was sound could be made if others had another definer."""
    return view.extra != BROKEN_VIEW and error_number(error) in (NO_DEFINER, _INVALID, *_RIGHTLESS)


def is_of_broken(view: Statement, error: pymysql.MySQLError) -> bool:
    """Whether a view cannot be made because of what it was like when it was backed up."""
    return view.extra == BROKEN_VIEW and is_of_view(error)


def rights_hint(statement: Statement, database: str) -> str:
    """What lets the definer of an object use what it reads and calls."""
    definer = definer_clause(statement).partition("=")[2].strip() or "its definer"
    return f"GRANT SELECT, EXECUTE ON {quoted(database)}.* TO {definer}, as in the database that was backed up, or "


def tell_of_rights(views: Sequence[Statement], database: str) -> None:
    """Say that views cannot be read before their definers get rights in a database of another name."""
    names = sorted({view.name for view in views})
    clauses = {definer_clause(view).partition("=")[2].strip() for view in views}
    definers = ", ".join(sorted(clause for clause in clauses if clause))
    log.warning(
        "%s %s cannot be read before their definers (%s) have rights in database %s, as in that of the backup",
        "view" if len(names) == 1 else "views",
        ", ".join(map(quote_name, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else ""),
        definers, quote_name(database),
    )  # fmt: skip


class OwnDefiners:
    """While entered, `statements` are ours: functions and views that are there, in the order of their making.

    `refused` is told of each view that its own definer may not have here, which then stays ours.
    """

    def __init__(
        self, execute: Callable[[Statement], None], statements: Sequence[Statement],
        refused: Callable[[Statement, pymysql.MySQLError], None],
    ) -> None:  # fmt: skip
        self._execute = execute
        self._refused = refused
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
            try:
                self._again(statement)
            except pymysql.MySQLError as refusal:
                if not is_rightless(refusal):
                    raise
                self._execute(stripped(statement))
                self._refused(statement, refusal)

    def _again(self, statement: Statement) -> None:
        self._execute(dropped(statement))
        self._execute(statement)
