"""Options that are out of range, and sizes with their units."""

import pytest

from holdfast.api import UsageError
from holdfast_postgres.options import PostgresOptions


def test_options_refuse_what_no_run_could_mean() -> None:
    for bad in (
        {"schema_only": True, "data_only": True},
        {"lock_timeout": 0},
        {"connect_timeout": 0},
        {"part_size": "0"},
        {"part_size": "1023kB"},
        {"maintenance_work_mem": "1MB; x"},
    ):
        with pytest.raises(ValueError, match=r"expected|exclude"):
            PostgresOptions(**bad)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4", 4 << 20), ("0MB", 0), ("1kB", 1 << 10), ("8MB", 8 << 20), ("3GB", 3 << 30), ("2TB", 2 << 40)],
)
def test_sizes_are_read_with_the_units_of_postgresql(text: str, size: int) -> None:
    assert PostgresOptions(large_table=text).large_table_bytes == size


@pytest.mark.parametrize("text", ["8 MB", "8mb", "8Mb", "8M", "8MiB", "8B", "1.5GB", "-1MB", "MB", "", "٨MB", "8MB "])
def test_a_size_with_another_unit_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError, match="expected a size such as 8MB") as caught:
        PostgresOptions(part_size=text)
    assert "kB, MB, GB or TB" in str(caught.value.hint)
