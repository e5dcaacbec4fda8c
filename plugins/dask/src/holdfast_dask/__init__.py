"""The jobs of Holdfast on the workers of a Dask cluster: `holdfast run --executor dask://HOST:PORT`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast.api import Component, Kind, hookimpl

if TYPE_CHECKING:
    from concurrent.futures import Executor

PARAMETERS = frozenset({"protocol", "timeout"})


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the executor."""
    yield Component(
        kind=Kind.EXECUTOR,
        name="dask",
        summary="the workers of a Dask cluster: dask://scheduler:8786",
        harmless_parameters=PARAMETERS,
    )


@hookimpl
def holdfast_executor(scheme: str, url: str) -> "Executor | None":
    """Connect to a scheduler."""
    if scheme != "dask":
        return None
    from holdfast_dask.executor import DaskExecutor
    from holdfast_dask.scheduler import Scheduler

    return DaskExecutor(Scheduler.parse(url))
