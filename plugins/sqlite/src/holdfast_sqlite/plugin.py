"""What the plugin offers, as data, and its hooks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from holdfast.api import (
    Capability,
    Component,
    DumpRequest,
    DumpSession,
    Kind,
    RestoreRequest,
    RestoreSession,
    Scratch,
    ScratchRequest,
    hookimpl,
)


@dataclass(frozen=True, kw_only=True)
class SqliteOptions:
    """Options of the engine."""

    busy_timeout: float = field(
        default=10.0, metadata={"help": "seconds to wait for a lock that another process holds"}
    )
    method: Literal["auto", "raw", "backup"] = field(
        default="auto",
        metadata={"help": "raw copies pages as they lie, backup asks SQLite for them, auto is raw wherever it is safe"},
    )
    format: Literal["image", "sql"] = field(
        default="image", metadata={"help": "image is the database file, sql a script for the sqlite3 shell"}
    )

    def __post_init__(self) -> None:
        """Refuse times that SQLite could not wait for."""
        if not 0 <= self.busy_timeout <= 86400:
            raise ValueError(f"busy_timeout is {self.busy_timeout}, expected 0 to 86400 seconds")


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the engine."""
    yield Component(
        kind=Kind.ENGINE,
        name="sqlite",
        aliases=("sqlite3",),
        summary="SQLite database files, also while others write",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.ATOMIC_RESTORE,
                Capability.CHECK,
                Capability.SELECT,
                Capability.LIVE,
                Capability.PROOF,
            }
        ),
        options=SqliteOptions,
    )


@hookimpl
def holdfast_dump(scheme: str, request: DumpRequest) -> AbstractContextManager[DumpSession] | None:
    """Open a dump."""
    if scheme != "sqlite":
        return None
    from holdfast_sqlite.dump import open_dump

    return open_dump(request)


@hookimpl
def holdfast_restore(scheme: str, request: RestoreRequest) -> AbstractContextManager[RestoreSession] | None:
    """Open a restore."""
    if scheme != "sqlite":
        return None
    from holdfast_sqlite.restore import open_restore

    return open_restore(request)


@hookimpl
def holdfast_scratch(scheme: str, request: ScratchRequest) -> AbstractContextManager[Scratch] | None:
    """Make the place of a drill."""
    if scheme != "sqlite":
        return None
    from holdfast_sqlite.scratch import open_scratch

    return open_scratch(request)
