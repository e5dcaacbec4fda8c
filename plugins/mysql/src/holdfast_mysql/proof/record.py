"""A proof as a manifest records it: its method, the digests, and the settings that repeating it takes."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from holdfast.api import IntegrityError, ObjectProof, Proof, quote_name
from holdfast_mysql.catalog.columns import UNLIKE_LABELS
from holdfast_mysql.proof.rows import DigestPlan
from holdfast_mysql.rows.key_ranges import KeyRange

METHOD = "mysql-rows-1"
# What a recorded bound may be: it comes from a manifest and goes into SQL.
_LITERAL = re.compile(r"-?\d+|'[0-9A-Za-z:. +-]*'|(?:_\w+ )?(?:0x[0-9a-f]+|'')(?: COLLATE \w+)?")


def settings_of(
    ranges: Mapping[str, Sequence[KeyRange]], plan: DigestPlan, *, uncounted: Collection[str], definers: bool
) -> dict[str, Any]:
    """What repeating a proof takes.

    That is how tables were divided, which were summed up, whose next number does not count, and whether definers do.
    """
    divided = {table: [[keys.low, keys.high] for keys in parts] for table, parts in ranges.items() if len(parts) > 1}
    return {
        "ranges": divided,
        "sums": sorted(plan.by_server),
        "sums_in_passing": sorted(plan.in_passing),
        "uncounted": sorted(uncounted),
        "labels": UNLIKE_LABELS,  # the oldest ones have none: see `row_kind`
        **({} if definers else {"definers": False}),
    }


def ranges_of(settings: Mapping[str, Any], table: str) -> list[KeyRange]:
    """The ranges that were recorded for a table; what cannot be one is an `IntegrityError`."""
    bounds = settings.get("ranges", {}).get(table)
    if bounds is None:
        return [KeyRange()]
    for bound in (bound for pair in bounds for bound in pair):
        if bound is not None and not _LITERAL.fullmatch(str(bound)):
            raise IntegrityError(f"the proof names a bound of table {quote_name(table)} that is no value")
    return [KeyRange(low=low, high=high) for low, high in bounds]


def proof_of(objects: Iterable[ObjectProof], settings: Mapping[str, Any]) -> Proof:
    """All of it together."""
    ordered = tuple(sorted(objects, key=lambda proof: (proof.kind, proof.name)))
    return Proof(method=METHOD, objects=ordered, settings=settings)
