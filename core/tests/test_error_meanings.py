"""What a client raises becomes what it means: of the class with the right exit code, saying what was being done."""

import errno

import pytest

from holdfast.api import CredentialsError, ErrorMeaning, HoldfastError, LockedError, UnreachableError, map_errors


class ClientError(Exception):
    def __init__(self, status: int, text: str = "Told by the service") -> None:
        super().__init__(text)
        self.status = status


class MissingKeyError(ClientError):
    pass


def of_status(error: Exception) -> type[Exception] | Exception | None:
    status = error.status if isinstance(error, ClientError) else 0
    known: dict[int, type[Exception] | Exception]
    known = {403: CredentialsError, 409: LockedError("somebody else has it", hint="wait"), 416: EOFError}
    return known.get(status)


MEANINGS: dict[type[Exception], ErrorMeaning] = {
    ConnectionError: UnreachableError,
    MissingKeyError: FileNotFoundError,
    ClientError: of_status,
}


def raised(error: Exception) -> BaseException:
    with pytest.raises(Exception) as caught, map_errors("cannot read a/b", MEANINGS):
        raise error
    return caught.value


def test_the_first_class_that_is_known_decides() -> None:
    """Of an error's own and those that it inherits from."""
    reset = raised(ConnectionResetError(104, "Reset"))
    assert isinstance(reset, UnreachableError)
    assert str(reset) == "cannot read a/b: [Errno 104] Reset"
    missing = raised(MissingKeyError(404))
    assert isinstance(missing, FileNotFoundError)
    assert missing.errno == errno.ENOENT


def test_a_function_decides_by_what_the_error_says() -> None:
    refused = raised(ClientError(403))
    assert isinstance(refused, CredentialsError)
    assert refused.message == "cannot read a/b: told by the service"
    held = raised(ClientError(409))
    assert isinstance(held, LockedError)
    assert (held.message, held.hint) == ("somebody else has it", "wait")
    assert isinstance(held.__cause__, ClientError)
    assert isinstance(raised(ClientError(416)), EOFError)  # for the storage itself to catch


@pytest.mark.parametrize("error", [ClientError(500), KeyError("a"), HoldfastError("of ours")])
def test_what_is_not_known_stays_what_it_is(error: Exception) -> None:
    assert raised(error) is error
    assert error.__cause__ is None


def test_a_text_that_begins_with_a_title_keeps_its_capitals() -> None:
    assert str(raised(ClientError(403, "Catalog Error: no table"))) == "cannot read a/b: Catalog Error: no table"


def test_a_text_is_put_on_a_line_and_cut_where_it_is_long() -> None:
    with (
        pytest.raises(UnreachableError, match=r"^it failed: a b$"),
        map_errors("it failed", {OSError: UnreachableError}),
    ):
        raise OSError("a\n  b\n")
    with pytest.raises(UnreachableError) as caught, map_errors("it failed", {OSError: UnreachableError}):
        raise OSError("long " * 1000)
    assert len(caught.value.message) < 1100


def test_a_class_may_be_given_a_number_that_fits_none() -> None:
    with pytest.raises(OSError, match="it failed: 'x'") as caught, map_errors("it failed", {KeyError: OSError}):
        raise KeyError("x")
    assert caught.value.errno == errno.EIO
