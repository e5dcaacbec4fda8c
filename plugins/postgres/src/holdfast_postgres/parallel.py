"""The same work on many things, in several sessions."""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from psycopg import Connection
from psycopg.rows import TupleRow

Item = TypeVar("Item")
Result = TypeVar("Result")
# Of one statement for many small things: their number, and their bytes, so that large ones are spread over sessions.
_MOST, _WEIGHT = 100, 8 << 20


def in_batches(items: Iterable[tuple[Item, int]]) -> list[list[Item]]:
    """Neighbours put together, each with its bytes, for work that is one statement for many of them."""
    batches: list[list[Item]] = []
    weight = 0
    for item, size in items:
        if not batches or len(batches[-1]) == _MOST or weight + size > _WEIGHT:
            batches.append([])
            weight = 0
        batches[-1].append(item)
        weight += size
    return batches


@dataclass(frozen=True)
class Sessions:
    """Up to `jobs` sessions for the same work: `first` is open already, and stays so."""

    first: "Connection[TupleRow]"
    open_another: "Callable[[], AbstractContextManager[Connection[TupleRow]]]"
    jobs: int

    def each(self, items: Sequence[Item], work: "Callable[[Connection[TupleRow], Item], Result]") -> list[Result]:
        """Do it for each item; the results in the order of the items, or the first error."""
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(items)):
            todo.put(number)
        results: dict[int, Result] = {}
        errors: list[BaseException] = []

        def run(session: "Callable[[], AbstractContextManager[Connection[TupleRow]]]") -> None:
            try:
                with session() as connection:
                    while not errors:
                        number = todo.get_nowait()
                        results[number] = work(connection, items[number])
            except queue.Empty:
                return
            except Exception as error:  # noqa: BLE001 (raised by the thread that waits)
                errors.append(error)
            except BaseException as error:  # of the handler of a signal: nobody waits for the others
                errors.append(error)
                raise

        threads = [
            threading.Thread(target=run, args=(self.open_another,), name="holdfast-session", daemon=True)
            for _ in range(min(self.jobs, len(items)) - 1)
        ]
        for thread in threads:
            thread.start()
        run(lambda: nullcontext(self.first))
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return [results[number] for number in range(len(items))]
