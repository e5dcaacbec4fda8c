"""The error tree: exit codes, messages on one line, and what survives a pickle."""

import errno
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.errors import HoldfastError, lower_first, os_error_text, quote_name

CODES = {
    "HoldfastError": 1,
    "UsageError": 2,
    "PartialError": 3,
    "NotFoundError": 10,
    "LockedError": 11,
    "CredentialsError": 12,
    "IntegrityError": 13,
    "PluginError": 14,
    "UnreachableError": 15,
    "UnsafeError": 16,
    "OverdueError": 17,
}


def test_every_class_has_the_exit_code_that_scripts_rely_on() -> None:
    codes = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, HoldfastError)
    }
    assert codes == CODES


@pytest.mark.parametrize("name", CODES)
def test_an_error_pickles_with_its_hint(name: str) -> None:
    error = getattr(errors, name)("no such thing", hint="look elsewhere")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.message, again.hint, str(again)) == (
        type(error),
        "no such thing",
        "look elsewhere",
        "no such thing",
    )


@given(st.text() | st.binary())
def test_a_shown_name_is_printable_and_on_one_line(name: str | bytes) -> None:
    text = quote_name(name)
    assert text
    assert text.isprintable()


@given(st.text(), st.text())
def test_two_names_are_never_shown_alike(name: str, other: str) -> None:
    assert (quote_name(name) == quote_name(other)) == (name == other)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "x", "/p"), "no space left on the device"),
        (PermissionError(errno.EACCES, "x"), "permission denied"),
        (OSError(errno.ENOTCONN, "Transport endpoint is not connected"), "transport endpoint is not connected"),
        (OSError("the plugin says why"), "the plugin says why"),
        (OSError(), "oserror"),
        (FileNotFoundError("a/path and nothing else"), "it does not exist"),
        (FileExistsError("a/path"), "it exists already"),
    ],
)
def test_the_reason_of_a_system_error_is_a_few_words(error: OSError, text: str) -> None:
    assert os_error_text(error) == text


def test_a_foreign_message_begins_in_lowercase_but_for_acronyms() -> None:
    assert lower_first("Expected `int`") == "expected `int`"
    assert lower_first("JSON is malformed") == "JSON is malformed"
    assert lower_first("") == ""
