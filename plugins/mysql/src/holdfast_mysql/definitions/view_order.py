"""Views in an order in which they can be made."""

from collections.abc import Collection, Sequence

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code


def order_views(views: Sequence[Statement], broken: Collection[str]) -> list[Statement]:
    """Views behind those that they read, as far as their text tells; broken ones last."""
    by_name = {view.name.casefold(): view for view in views}
    uses = {view.name: _used(view, by_name) for view in views}
    ordered: list[Statement] = []
    done: set[str] = set()

    def add(view: Statement, above: frozenset[str]) -> None:
        key = view.name.casefold()
        if key in done or key in above:
            return
        for other in sorted(uses[view.name]):
            add(by_name[other], above | {key})
        done.add(key)
        ordered.append(view)

    for view in sorted(views, key=lambda view: (view.name in broken, view.name)):
        add(view, frozenset())
    return ordered


def _used(view: Statement, names: Collection[str]) -> set[str]:
    """The other views that a view names."""
    tokens = code(view.body, view.sql_mode)
    named = {(token.name or "").casefold() for token in tokens if token.kind == "name"}
    return {name for name in named if name in names and name != view.name.casefold()}
