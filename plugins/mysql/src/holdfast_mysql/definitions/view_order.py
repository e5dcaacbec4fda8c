"""Views in an order in which they can be made."""

from collections.abc import Collection, Mapping, Sequence

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code


def order_views(views: Sequence[Statement], broken: Collection[str]) -> list[Statement]:
    """Views behind those that they read, as far as their text tells; broken ones last."""
    by_name = {view.name: view for view in views}
    alike: dict[str, list[str]] = {}
    for view in views:
        alike.setdefault(view.name.casefold(), []).append(view.name)
    uses = {view.name: _used(view, by_name, alike) for view in views}
    ordered: list[Statement] = []
    done: set[str] = set()

    def add(view: Statement, above: frozenset[str]) -> None:
        if view.name in done or view.name in above:
            return
        for other in sorted(uses[view.name]):
            add(by_name[other], above | {view.name})
        done.add(view.name)
        ordered.append(view)

    for view in sorted(views, key=lambda view: (view.name in broken, view.name)):
        add(view, frozenset())
    return ordered


def named_in(view: Statement) -> set[str]:
    """All names in a view, in one case."""
    return {name.casefold() for name in _names(view)}


def _names(view: Statement) -> set[str]:
    tokens = code(view.body, view.sql_mode, charset=view.character_set_client)
    return {token.name or "" for token in tokens if token.kind == "name"}


def _used(view: Statement, names: Collection[str], alike: Mapping[str, Sequence[str]]) -> set[str]:
    """The other views that a view names: by all of its letters, or where there is none, in whatever case."""
    used = {name for word in _names(view) for name in ([word] if word in names else alike.get(word.casefold(), ()))}
    return used - {view.name}
