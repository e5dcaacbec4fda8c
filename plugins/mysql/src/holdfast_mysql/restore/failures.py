"""What a restore could not bring back, where it goes on after errors; elsewhere the first one ends it."""

import threading
from collections.abc import Callable, Sequence

import pymysql

from holdfast.api import Failure, HoldfastError, LockedError, RestoreRequest, UnreachableError
from holdfast_mysql.errors import error_number

# Whatever is tried next would fail too: disk full, out of memory, killed.
_ENDING = frozenset({1021, 1037, 1038, 1041, 1114, 1317})


def continues(request: RestoreRequest) -> bool:
    """Whether what the server refuses is listed, and all else restored; a drill has to find it all."""
    return (request.options.on_error == "continue" or request.allow_damaged) and not request.drill


class Failures:
    """The list of what was not restored; any thread may add to it."""

    def __init__(self, *, going_on: bool = False) -> None:
        self.going_on = going_on
        self._listed: list[Failure] = []
        self._lock = threading.Lock()

    @property
    def listed(self) -> Sequence[Failure]:
        """What was not restored, or not as it was."""
        with self._lock:
            return list(self._listed)

    def attempt(self, kind: str, name: str, make: Callable[[], object]) -> None:
        """Make an object; its failure is listed, unless it ends the restore: then it is raised."""
        try:
            make()
        except HoldfastError as error:
            if not self.take(kind, name, error):
                raise

    def take(self, kind: str, name: str, error: HoldfastError) -> bool:
        """List what an error is about; False where it ends the restore."""
        cause = error.__cause__ if isinstance(error.__cause__, pymysql.MySQLError) else None
        code = error_number(cause) if cause else 0
        if not self.going_on or code in _ENDING or isinstance(error, UnreachableError | LockedError):
            return False
        message = str(cause.args[-1]) if cause else error.message
        with self._lock:
            self._listed.append(Failure(kind=kind, name=name, code=str(code or ""), message=message))
        return True
