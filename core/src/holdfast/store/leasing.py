"""How the core holds a lease: its end neither hides a failure nor turns a success into one."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from holdfast.endings import ENDINGS, describe_ending, is_failure
from holdfast.errors import HoldfastError, add_cleanup_failure, os_error_text
from holdfast.scratch import run_unless_hung

log = logging.getLogger("holdfast.store")


@contextmanager
def held(lease: AbstractContextManager[None], name: str) -> Iterator[None]:
    """Hold a lease of that name; `OSError` and `HoldfastError` of its beginning pass.

    What goes wrong at its end is only told: a lease ends by itself, and what it was held for is done by then.
    """
    lease.__enter__()
    try:
        yield
    except BaseException as error:
        _release(lease, name, error)
        raise
    _release(lease, name, None)


def _release(lease: AbstractContextManager[None], name: str, error: BaseException | None) -> None:
    try:
        if error is None:
            lease.__exit__(None, None, None)
        elif is_failure(error):
            lease.__exit__(type(error), error, error.__traceback__)
        else:
            run_unless_hung(lambda: lease.__exit__(type(error), error, error.__traceback__))
    except (Exception, *ENDINGS) as failure:
        if failure is error:
            return
        if not is_failure(failure):
            raise
        text = f"could not release the lease of {name}: {_reason(failure)}"
        if error is None:
            log.warning(text, extra={"id": name})
        else:
            add_cleanup_failure(error, HoldfastError(text))
    except BaseException as failure:
        if failure is not error:
            raise


def _reason(failure: BaseException) -> str:
    if isinstance(failure, OSError):
        return os_error_text(failure)
    if isinstance(failure, HoldfastError):
        return failure.message
    if isinstance(failure, ENDINGS):
        return describe_ending(failure)
    return f"{type(failure).__name__}: {' '.join(str(failure).split())}".removesuffix(": ")
