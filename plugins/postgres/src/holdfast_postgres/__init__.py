"""The PostgreSQL engine of Holdfast: one snapshot read in parallel, exact, and restorable anywhere."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

from holdfast.api import (
    Capability,
    Component,
    DumpRequest,
    DumpSession,
    Kind,
    RestoreRequest,
    RestoreSession,
    hookimpl,
)
from holdfast_postgres.options import PostgresOptions

__all__ = ["PostgresOptions", "holdfast_components", "holdfast_dump", "holdfast_restore"]

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
