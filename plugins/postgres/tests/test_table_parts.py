"""How large tables are split into parts."""

import itertools

import pytest
from msgspec.structs import replace

from holdfast_postgres.catalog import Table
from holdfast_postgres.dump.table_parts import large_tables, split_tables


def _table(blocks: int, size: int, name: str = "t") -> Table:
    return Table(
        oid=hash(name) & 0xFFFF, schema="s", name=name, kind="r", persistence="p", heap=True, member=False,
        config=False, columns=("a",), types=("int4",), size=size, blocks=blocks,
    )  # fmt: skip


@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 8, 100, 12345])
@pytest.mark.parametrize("size", [1, 1 << 20, 100 << 20, 1 << 40])
def test_parts_cover_every_block_once_and_are_open_at_both_ends(blocks: int, size: int) -> None:
    """Rows may lie behind the last block that was counted."""
    tables = [_table(blocks, size)]
    parts = sorted(split_tables(tables, part_size=1 << 20, jobs=2, major=15), key=lambda part: part.first or 0)
    assert parts[0].first is None
    assert parts[-1].last is None
    assert all(before.last == after.first for before, after in itertools.pairwise(parts))
    assert len(parts) <= 256
    assert len(split_tables([_table(blocks, size)], part_size=1 << 20, jobs=2, major=13)) == 1


@pytest.mark.parametrize(("megabytes", "expected"), [(20, 1), (100, 3), (200, 4), (1000, 4), (8000, 16)])
def test_large_tables_have_parts_enough_to_keep_jobs_busy_to_the_end(megabytes: int, expected: int) -> None:
    table = _table(megabytes * 128, megabytes << 20)
    assert len(split_tables([table], part_size=512 << 20, jobs=2, major=15)) == expected
    assert len(split_tables([table], part_size=512 << 20, jobs=1, major=15)) <= expected


def test_two_tables_whose_names_are_simplified_alike_keep_streams_of_their_own() -> None:
    tables = [_table(1, 1, name) for name in ("a b", "a}b", "a_b")]
    parts = split_tables(tables, part_size=1 << 20, jobs=2, major=15)
    assert {part.stream for part in parts} == {"data/s.a_b", "data/s.a_b-2", "data/s.a_b-3"}


@pytest.mark.parametrize(
    ("types", "binary"),
    [
        (("bytea", "int4", "enum", "_text", "inet", "tstzrange"), True),
        (("int4", "text"), False),
        (("bytea", ""), False),
        (("bytea", "_enum"), False),
        (("bytea", "money"), False),
        (("bytea", "xml"), False),
    ],
)
def test_tables_of_bytea_are_read_in_binary_unless_a_type_has_no_lasting_binary_form(
    types: tuple[str, ...], binary: bool
) -> None:
    table = replace(_table(500, 4 << 20), types=types, columns=types)
    assert table.binary is binary
    assert large_tables([table], threshold=8 << 20, standby=False) == ([table] if binary else [])
