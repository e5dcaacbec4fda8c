"""A suite that fails says what went wrong, and not what followed from that."""

import errno
import pkgutil
import sys
import threading
from typing import Any, cast

import pytest
from support.contract.sound_storage import Memory, Place

import holdfast.testing
from holdfast.api import HoldfastError
from holdfast.testing import StorageSuite
from holdfast.testing.threads import run_threads


class Unfit(Memory):
    def writer(self, path: str) -> Any:
        if path == "a/3":
            raise HoldfastError("MKCOL of 'a' answered 500")
        return super().writer(path)


def test_an_error_of_a_storage_in_a_thread_is_what_its_suite_says() -> None:
    test = StorageSuite.test_several_objects_may_be_written_and_read_at_once
    with pytest.raises(HoldfastError, match="answered 500"):
        test(StorageSuite(), cast("Any", Unfit)(cast("Any", Place)()))


def test_a_barrier_that_broke_is_not_what_went_wrong() -> None:
    barrier = threading.Barrier(3)

    def work(number: int) -> None:
        if number == 1:
            barrier.abort()
            raise OSError(errno.EIO, "broken")
        barrier.wait()

    with pytest.raises(OSError, match="broken"):
        run_threads(work, range(3))


def test_threads_that_do_not_end_are_counted() -> None:
    end = threading.Event()
    try:
        with pytest.raises(AssertionError, match="1 of 2 threads have not ended"):
            run_threads(lambda number: number or end.wait(20), range(2), patience=0.1)
    finally:
        end.set()


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(holdfast.testing.__path__)])
def test_the_assertions_of_every_module_of_the_suites_show_values(name: str) -> None:
    loader = sys.modules[f"holdfast.testing.{name}"].__loader__
    assert type(loader).__name__ == "AssertionRewritingHook"
