"""What runs in a worker."""

from collections.abc import Callable
from typing import Any

_OVER = frozenset({"closing", "closed", "failed"})


def call(function: Callable[[bytes, Callable[[], bool]], Any], plan: bytes) -> Any:
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
