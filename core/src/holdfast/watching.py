"""The short way in Python for whoever watches stores: metrics, and a report for people."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from holdfast.api import Storage
from holdfast.defaults import installed
from holdfast.duration import parse_duration
from holdfast.errors import UsageError
from holdfast.operations.metrics import measure
from holdfast.plugins.registry import Registry
from holdfast.rendering.exposition import exposition
from holdfast.setup import StoreAddress

__all__ = ["metrics"]


def metrics(
    *stores: str | os.PathLike[str] | Storage,
    store_options: Mapping[str, Any] | None = None,
    older_than: str | timedelta | None = None,
    unproven_for: str | timedelta | None = None,
    registry: Registry | None = None,
) -> str:
    """What stores tell of their sources, as the text that Prometheus reads; without a store that of `HOLDFAST_STORE`.

    `older_than` and `unproven_for`, such as `"26h"`, are told along, so that alerts know when a source is overdue.
    Where a store or a source of it cannot be read it is an error, and nothing is told of the others.

    Example::

        Path("holdfast.prom").write_text(holdfast.metrics("./backups", older_than="26h", unproven_for="8d"))
    """
    from importlib.metadata import version

    measured = measure(
        [StoreAddress(store, store_options) for store in stores or (None,)], registry=registry or installed()
    )
    return exposition(
        measured,
        version=version("holdfast"),
        max_age=_period("older_than", older_than),
        max_unproven=_period("unproven_for", unproven_for),
    )


def _period(what: str, period: str | timedelta | None) -> timedelta | None:
    if period is None or isinstance(period, timedelta):
        return period
    if not isinstance(period, str):
        raise UsageError(f"{what} is {period!r}, expected a duration such as 26h")
    return parse_duration(period)
