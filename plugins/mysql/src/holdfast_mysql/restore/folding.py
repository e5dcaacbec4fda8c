"""A restore into a server that folds names: tables, views and sequences are in lower case there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from holdfast.api import RestoreRequest, UnsafeError, quote_name
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.definitions.script import Statement

_FOLDED = frozenset({"table", "view", "sequence", "sequence state", "rows"})


def folded_request(request: RestoreRequest) -> RestoreRequest:
    """The request with names as the server has them; refuses names that are one to it."""
    facts = dict(request.facts)
    _refuse_alike(facts.get("names", {}), request)
    rows = {stream: [str(table).lower(), count] for stream, (table, count) in facts["rows"].items()}
    names = {kind: sorted(name.lower() for name in listed) for kind, listed in facts.get("names", {}).items()}
    by_name = {
        fact: {name.lower(): value for name, value in facts.get(fact, {}).items()}
        for fact in ("recomputed", "computed_under")
    }
    return replace(
        request,
        facts={**facts, "rows": rows, **({"names": names} if names else {}), **by_name},
        select=tuple(pattern.lower() for pattern in request.select),
        exclude=tuple(pattern.lower() for pattern in request.exclude),
    )


def folded(statement: Statement) -> Statement:
    """A statement under the name that its object gets."""
    name = statement.name.lower() if statement.kind in _FOLDED else statement.name
    return replace(statement, name=name, table=statement.table.lower())


def _refuse_alike(names: Mapping[str, Any], request: RestoreRequest) -> None:
    selection = Selection(select=request.select, exclude=request.exclude)
    seen: dict[str, str] = {}
    for name in sorted(name for listed in names.values() for name in listed if name in selection):
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UnsafeError(
                f"{quote_name(other)} and {quote_name(name)} are one name to the server, which does not tell names "
                "apart by case (lower_case_table_names)",
                hint="use --exclude to leave one of them out, or restore into a server with lower_case_table_names=0",
            )
