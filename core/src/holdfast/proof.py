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


def compare(recorded: Proof, restored: Proof) -> list[Difference]:
    """Name every object that is missing, that was not there, or that differs in rows or content.

    Objects of kind `stream` may be missing in `restored`: the restore has compared their digests already.
    """
    expected = {(record.kind, record.name): record for record in recorded.objects}
    actual = {(record.kind, record.name): record for record in restored.objects}
    missing = [key for key in expected if key not in actual and key[0] != "stream"]
    added = [key for key in actual if key not in expected]
    pairs = [(record, actual[key]) for key, record in expected.items() if key in actual]
    return [
        *(Difference(kind=kind, name=name, what="is missing") for kind, name in missing),
        *(_difference(before, after) for before, after in pairs if _differs(before, after)),
        *(Difference(kind=kind, name=name, what="was not in the source") for kind, name in added),
    ]


def _differs(recorded: ObjectProof, restored: ObjectProof) -> bool:
    return (recorded.rows, recorded.digest) != (restored.rows, restored.digest)


def _difference(recorded: ObjectProof, restored: ObjectProof) -> Difference:
    counts = f"{_rows(recorded)} recorded, {_rows(restored)} found"
    what = counts if recorded.rows != restored.rows else "differs from what was recorded"
    return Difference(kind=recorded.kind, name=recorded.name, what=what)


def _rows(record: ObjectProof) -> str:
    return "no count of rows" if record.rows is None else f"{record.rows} row{'' if record.rows == 1 else 's'}"


def summary(problems: Iterable[str], limit: int = 3) -> str:
    """The first few problems on one line."""
    lines = list(problems)
    more = f" (and {len(lines) - limit} more)" if len(lines) > limit else ""
    return "; ".join(lines[:limit]) + more
