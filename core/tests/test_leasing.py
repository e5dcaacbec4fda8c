"""The end of a lease: told, never in the place of what happened while it was held."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.errors import HoldfastError, cleanup_notes
from holdfast.store.leasing import held


@contextmanager
def stuck() -> Iterator[None]:
    try:
        yield
    finally:
        raise OSError(errno.EIO, "")


def test_a_failure_is_told_before_that_of_the_lease() -> None:
    with pytest.raises(OSError, match="full") as caught, held(stuck(), "x"):
        raise OSError(errno.ENOSPC, "full")
    assert caught.value.errno == errno.ENOSPC
    assert "could not release the lease of x: the device reports" in cleanup_notes(caught.value)


def test_an_error_of_ours_gets_the_other_added_to_its_message() -> None:
    with pytest.raises(HoldfastError, match="broken; could not release the lease of x"), held(stuck(), "x"):
        raise HoldfastError("broken")


def test_a_success_stays_one(caplog: pytest.LogCaptureFixture) -> None:
    with held(stuck(), "x"):
        pass
    assert "could not release the lease of x" in caplog.text


def test_a_signal_passes() -> None:
    with pytest.raises(KeyboardInterrupt), held(stuck(), "x"):
        raise KeyboardInterrupt
