"""The MySQL and MariaDB engine of Holdfast: exact, parallel backups without any client program."""

from collections.abc import Iterator, Sequence
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
class MysqlOptions:
    """Options of the engine; `backup`, `restore` and `drill` take the same ones."""

    format: Literal["wire", "sql"] = field(
        default="wire",
        metadata={"help": "wire: rows as the server sends them, fast; sql: one portable script for any client"},
    )
    definer: Literal["keep", "current", "strip"] = field(
        default="keep",
        metadata={
            "help": "definer of views, routines, triggers, events: keep it, make it the restoring user, leave it out"
        },
    )
    users: bool = field(
        default=False,
        metadata={"help": "at backup: store accounts and grants of the whole server; at restore: apply them"},
    )
    lock_wait: float = field(
        default=5.0, metadata={"help": "seconds that the short global lock at the start may wait for others"}
    )
    lock_nontransactional: bool = field(
        default=False,
        metadata={"help": "block writes to MyISAM, Aria and MEMORY tables during the backup, for one moment"},
    )
    incomplete: bool = field(
        default=False, metadata={"help": "back up without what the account may not see, instead of refusing to"}
    )
    local_infile: bool = field(
        default=True, metadata={"help": "restore by LOAD DATA LOCAL where the server allows it, else by INSERT"}
    )

    def __post_init__(self) -> None:
        """Refuse times that the server could not wait for."""
        if not 1 <= self.lock_wait <= 86400:
            raise ValueError(f"lock_wait is {self.lock_wait:g}, expected 1 to 86400 seconds")


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the engine: one for both, because a backup of either may be restored into the other."""
    yield Component(
        kind=Kind.ENGINE,
        name="mysql",
        aliases=("mariadb",),
        summary="MySQL and MariaDB databases, in one snapshot over several connections",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.PARALLEL_DUMP,
                Capability.PARALLEL_RESTORE,
                Capability.SELECT,
                Capability.PROOF,
            }
        ),
        options=MysqlOptions,
    )


@hookimpl
def holdfast_dump(scheme: str, request: DumpRequest) -> AbstractContextManager[DumpSession] | None:
    """Open a dump."""
    if scheme != "mysql":
        return None
    from holdfast_mysql.dump import open_dump

    return open_dump(request)


@hookimpl
def holdfast_restore(scheme: str, request: RestoreRequest) -> AbstractContextManager[RestoreSession] | None:
    """Open a restore."""
    if scheme != "mysql":
        return None
    from holdfast_mysql.restore import open_restore

    return open_restore(request)


@hookimpl
def holdfast_scratch(scheme: str, request: ScratchRequest) -> AbstractContextManager[Scratch] | None:
    """Make a database for a drill."""
    if scheme != "mysql":
        return None
    from holdfast_mysql.scratch import open_scratch

    return open_scratch(request)


@hookimpl
def holdfast_databases(scheme: str, url: str) -> Sequence[str] | None:
    """List the databases of a server."""
    if scheme != "mysql":
        return None
    from holdfast_mysql.databases import list_databases

    return list_databases(url)
