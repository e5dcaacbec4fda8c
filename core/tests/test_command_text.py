"""Command lines in hints do what they say when they are copied into a shell."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.command_text import command_text


@pytest.mark.parametrize("path", ["/srv/backups", "s3://bucket/prefix?region=eu", "-x", "/srv/o'hara's", "é ü"])
def test_a_word_needs_no_more_quotes_than_a_shell_does(path: str) -> None:
    text = command_text("holdfast", "list", "--store", path)
    assert subprocess.check_output(["sh", "-c", f"printf %s {text.rpartition('--store ')[2]}"]).decode() == path
    assert command_text("holdfast", "verify", "20261123T201500Z-k3f9q2") == "holdfast verify 20261123T201500Z-k3f9q2"


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), max_size=4))
def test_a_shell_reads_the_same_words_on_one_line(words: list[str]) -> None:
    text = command_text(*words)
    assert text.isprintable()
    said = subprocess.check_output(["bash", "-c", f"printf '%s\\0' . {text}"]).split(b"\0")
    assert [word.decode() for word in said[1:-1]] == words


def test_undecodable_bytes_of_a_path_come_through() -> None:
    assert command_text("holdfast", "list", "--store", "/a\udcff\n") == "holdfast list --store $'/a\\377\\012'"
