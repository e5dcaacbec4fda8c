"""The PostgreSQL engine of Holdfast: one snapshot read in parallel, exact, and restorable anywhere."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

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
from holdfast_postgres.options import PostgresOptions

__all__ = [
    "PostgresOptions",
    "holdfast_components",
    "holdfast_databases",
    "holdfast_dump",
    "holdfast_restore",
    "holdfast_scratch",
]

NAME = "postgresql"


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the engine."""
    yield Component(
        kind=Kind.ENGINE,
        name=NAME,
        aliases=("postgres",),
        summary="PostgreSQL 12 and newer, by pg_dump and parallel COPY in one snapshot",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.PARALLEL_DUMP,
                Capability.PARALLEL_RESTORE,
                Capability.SELECT,
                Capability.PROOF,
            }
        ),
        options=PostgresOptions,
    )


@hookimpl
def holdfast_dump(scheme: str, request: DumpRequest) -> AbstractContextManager[DumpSession] | None:
    """Open a dump."""
    if scheme != NAME:
        return None
    from holdfast_postgres.dump import open_dump

    return open_dump(request)


@hookimpl
def holdfast_restore(scheme: str, request: RestoreRequest) -> AbstractContextManager[RestoreSession] | None:
    """Open a restore."""
    if scheme != NAME:
        return None
    from holdfast_postgres.restore import open_restore

    return open_restore(request)


@hookimpl
def holdfast_scratch(scheme: str, request: ScratchRequest) -> AbstractContextManager[Scratch] | None:
    """Make a database for a drill."""
    if scheme != NAME:
        return None
    from holdfast_postgres.scratch import open_scratch

    return open_scratch(request)


@hookimpl
def holdfast_databases(scheme: str, url: str) -> Sequence[str] | None:
    """List the databases of a server."""
    if scheme != NAME:
        return None
    from holdfast_postgres.scratch import list_databases

    return list_databases(url)
