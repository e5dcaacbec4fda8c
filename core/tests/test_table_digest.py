"""The digest of a table: of its rows in any order, each with its values and their types."""

import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import combinations
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from holdfast.api import ObjectProof, TableDigest, table_proof

ROWS: list[tuple[Any, ...]] = [(1, "one", None), (2, "two", b"bytes"), (2, "two", b"bytes"), (3, "", 1.5)]


def digest(rows: Iterable[Sequence[Any]], columns: Sequence[str] = ("id", "name", "more")) -> str:
    table = TableDigest(columns)
    for row in rows:
        table.add(row)
    return table.hexdigest()


def test_the_order_of_rows_does_not_count_and_everything_else_does() -> None:
    rows = list(ROWS)
    random.Random(1).shuffle(rows)
    assert digest(rows) == digest(ROWS)
    others = [ROWS[1:], [*ROWS, ROWS[0]], [*ROWS, ROWS[1], ROWS[1]], [(1, "one", ""), *ROWS[1:]], []]
    changed = [
        digest(ROWS),
        *map(digest, others),
        digest(ROWS, ("id", "name", "less")),
        digest(ROWS, ("name", "id", "more")),
    ]
    assert len(set(changed)) == len(changed)


def test_rows_that_are_twice_there_do_not_cancel_each_other() -> None:
    assert digest(ROWS[1:3]) != digest([])
    assert digest([*ROWS, *ROWS]) != digest(ROWS)


NOW = datetime(2026, 11, 30, tzinfo=UTC)
VALUES = [
    None, True, False, 0, 1, -1, 10**5000, 0.0, -0.0, 1.0, 0.1, float("inf"), "", "1", "n", "\ud800", b"", b"1",
    Decimal("1.0"), Decimal("1.00"), date(2026, 11, 30), NOW, NOW.replace(tzinfo=None),
    time(1), timedelta(1), timedelta(0, 0, 1), UUID(int=1), [], [1], [[1]], [1, 2], {}, {"a": 1}, {"b": 1},
]  # fmt: skip


def test_no_two_values_are_alike() -> None:
    """Of whatever types, and however they are put together."""
    digests = [digest([(value,)], ("a",)) for value in VALUES]
    assert [(VALUES[a], VALUES[b]) for a, b in combinations(range(len(VALUES)), 2) if digests[a] == digests[b]] == []
    assert digest([("a", "bc")], "xy") != digest([("ab", "c")], "xy")
    assert digest([("1:s", "")], "xy") != digest([("", "1:s")], "xy")


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (float("nan"), -float("nan")),
        (b"x", bytearray(b"x")),
        (b"x", memoryview(b"x")),
        ([1], (1,)),
        ({"a": 1}, OrderedDict(a=1)),
        ({"a": 1}, MappingProxyType({"a": 1})),
    ],
)
def test_what_drivers_return_in_two_ways_is_alike(value: Any, same: Any) -> None:
    assert digest([(value,)], ("a",)) == digest([(same,)], ("a",))


def test_what_cannot_be_digested_says_so() -> None:
    table = TableDigest(["a", "b"])
    with pytest.raises(TypeError, match=r"a value of type builtins\.object cannot be digested"):
        table.add((1, object()))
    with pytest.raises(ValueError, match=r"a row has 1 values, expected 2: a, b"):
        table.add((1,))


def test_digests_stay_what_they_were() -> None:
    """They are recorded in backups: if this fails, the proofs of all of them do."""
    assert digest([(value, str(type(value)), None) for value in VALUES]) == DIGEST
    assert TableDigest.METHOD == "table-digest-1"
    assert digest([]) == EMPTY


DIGEST = "26a798737af82ee9a5a8ac1d07639c47a58ef60bc260ecf859d13f24e1412c86"
EMPTY = "37fe87bbde6a00f4a4422ba37232050bc3f78de468a47493f9423cddfe6d26a7"


def test_a_proof_is_made_of_the_digests_of_tables() -> None:
    columns = ("id", "name", "more")
    books, sales = TableDigest(columns, ROWS), TableDigest(columns)
    assert list(sales.through(iter(ROWS[:1]))) == ROWS[:1]
    proof = table_proof({"sales": sales, "books": books})
    assert proof.method == TableDigest.METHOD
    assert proof.objects == (
        ObjectProof(kind="table", name="books", rows=4, digest=digest(ROWS)),
        ObjectProof(kind="table", name="sales", rows=1, digest=digest(ROWS[:1])),
    )
