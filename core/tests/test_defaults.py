"""What a run takes from its surroundings."""

import pytest

from holdfast.defaults import default_codec, default_jobs, default_store, scratch_root
from holdfast.errors import UsageError
from holdfast.testing.memory import memory_registry


def test_the_environment_names_store_codec_and_jobs() -> None:
    environ = {"HOLDFAST_STORE": "/srv/b", "HOLDFAST_CODEC": "x:3", "HOLDFAST_JOBS": "7"}
    assert default_store(environ) == "/srv/b"
    assert default_codec(memory_registry(), environ) == "x:3"
    assert default_jobs(environ) == 7


def test_without_it_the_store_is_a_folder_here_and_jobs_are_at_most_four() -> None:
    assert default_store({"HOLDFAST_STORE": ""}) == "./backups"
    assert default_codec(memory_registry(), {}) == "none"
    assert 1 <= default_jobs({}) <= 4


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "257", "9" * 5000, "²", " 3"])
def test_a_number_of_jobs_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"HOLDFAST_JOBS is .*, expected a whole number from 1 to 256"):
        default_jobs({"HOLDFAST_JOBS": value})


def test_scratch_space_is_where_tmpdir_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/somewhere")
    assert scratch_root({"TMPDIR": "/somewhere"}) == "/somewhere"
