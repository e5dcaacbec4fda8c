"""Connections of a dump: as many as it would like, or as few as the account may have."""

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.api import HoldfastError
from holdfast_mysql.errors import is_full
from holdfast_mysql.session.connection import Session


@dataclass(frozen=True, kw_only=True)
class DumpConnections:
    """One that keeps tables from being altered, one for the lock of the first moment, and those that read rows.

    Where the account may have only one, that keeps and reads; the second reads, the third is for the lock.
    """

    keeper: Session
    readers: tuple[Session, ...]
    locker: Session | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def open(cls, connect: Callable[[], Session], *, jobs: int) -> "DumpConnections":
        """Open up to `jobs` and two; `connect` opens one and sees to its end."""
        keeper = connect()
        others: list[Session] = []
        try:
            while len(others) < jobs + 1:
                others.append(connect())
        except HoldfastError as error:
            if not is_full(error):
                raise
            told = f"the server takes no more than {len(others) + 1} connections of the account: fewer read at once"
        else:
            return cls(keeper=keeper, readers=(others[0], *others[2:]), locker=others[1])
        locker = others.pop(1) if len(others) > 1 else None
        return cls(keeper=keeper, readers=tuple(others) or (keeper,), locker=locker, warnings=(told,))
