"""Comparing what was recorded inside a dump's snapshot with what came out of a restore."""

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.api import ObjectProof, Proof
from holdfast.errors import quote_name


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One object that is not as recorded."""

    kind: str  #: what it is, such as `table`
    name: str  #: which it is, such as `public.orders`
    what: str  #: in what way it differs

    def __str__(self) -> str:
        return f"{self.kind} {quote_name(self.name)}: {self.what}"


def compare(recorded: Proof, found: Proof) -> list[Difference]:
    """Name every object that is missing, that was not there, or that differs in rows or content.

    Objects of kind `stream` may be missing in `found`: the restore has compared their digests already.
    """
    expected = {(one.kind, one.name): one for one in recorded.objects}
    actual = {(one.kind, one.name): one for one in found.objects}
    return [
        *(
            Difference(kind=kind, name=name, what="is missing")
            for kind, name in expected
            if (kind, name) not in actual and kind != "stream"
        ),
        *(_between(one, actual[key]) for key, one in expected.items() if key in actual and _differs(one, actual[key])),
        *(
            Difference(kind=kind, name=name, what="was not in the source")
            for kind, name in actual
            if (kind, name) not in expected
        ),
    ]


def _differs(recorded: ObjectProof, found: ObjectProof) -> bool:
    return (recorded.rows, recorded.digest) != (found.rows, found.digest)


def _between(recorded: ObjectProof, found: ObjectProof) -> Difference:
    counts = f"{_rows(recorded)} recorded, {_rows(found)} found"
    what = counts if recorded.rows != found.rows else "differs from what was recorded"
    return Difference(kind=recorded.kind, name=recorded.name, what=what)


def _rows(one: ObjectProof) -> str:
    return "no count of rows" if one.rows is None else f"{one.rows} row{'' if one.rows == 1 else 's'}"


def summary(problems: Iterable[str], limit: int = 3) -> str:
    """The first few problems on one line."""
    lines = list(problems)
    more = f" (and {len(lines) - limit} more)" if len(lines) > limit else ""
    return "; ".join(lines[:limit]) + more
