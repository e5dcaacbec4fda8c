"""What runs in a worker."""

from collections.abc import Callable
from typing import Any

_OVER = frozenset({"closing", "closed", "failed"})


Function = Callable[[bytes, Callable[[], bool]], Any]


class Call:
    """A call that is made where it is unpickled."""

    def __init__(self, function: Function, plan: bytes) -> None:
        self._function = function
        self._plan = plan

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what is to be called, by its name."""
        return (call, (self._function, self._plan))


def call(function: Function, plan: bytes) -> Any:
    """Call a function with a plan, and with what tells it that nobody wants its result any more.

    Dask cannot end a task that is at work: it forgets it, and lets its thread go on.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_over() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name in _OVER or task is None or task.state == "cancelled"

    return function(plan, is_over)
