"""The short way in Python for whoever watches stores: metrics, and a report for people."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from holdfast.api import Storage
from holdfast.defaults import installed
from holdfast.duration import parse_duration
from holdfast.errors import UsageError
from holdfast.operations import report as report_operation
from holdfast.operations.metrics import measure
from holdfast.operations.report import Report
from holdfast.plugins.registry import Registry
from holdfast.policy import Policy
from holdfast.rendering.exposition import exposition
from holdfast.rendering.page import page
from holdfast.setup import StoreAddress

OLDER_THAN, UNPROVEN_FOR = "26h", "8d"
"""When a report calls a source overdue if nobody says it: of nightly backups, and of weekly drills."""

__all__ = ["metrics", "report"]


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
    measured = measure(
        [StoreAddress(store, store_options) for store in stores or (None,)], registry=registry or installed()
    )
    return exposition(
        measured,
        version=version("holdfast"),
        max_age=_period("older_than", older_than),
        max_unproven=_period("unproven_for", unproven_for),
    )


def report(
    *stores: str | os.PathLike[str] | Storage,
    store_options: Mapping[str, Any] | None = None,
    older_than: str | timedelta = OLDER_THAN,
    unproven_for: str | timedelta = UNPROVEN_FOR,
    policy: Policy | None = None,
    registry: Registry | None = None,
) -> str:
    """One page of HTML on stores, for people; without a store on that of `HOLDFAST_STORE`.

    What is overdue by `older_than` and `unproven_for` comes first; with a `policy` it says what `prune` would delete.
    What cannot be read is told on the page, and is no error: a page without it would say that all is well.

    Example::

        Path("backups.html").write_text(holdfast.report("./backups", policy=holdfast.Policy(keep_daily=14)))
    """
    return page(
        made_report(
            *stores,
            store_options=store_options,
            older_than=older_than,
            unproven_for=unproven_for,
            policy=policy,
            registry=registry,
        )
    )


def made_report(
    *stores: str | os.PathLike[str] | Storage,
    store_options: Mapping[str, Any] | None = None,
    older_than: str | timedelta = OLDER_THAN,
    unproven_for: str | timedelta = UNPROVEN_FOR,
    policy: Policy | None = None,
    registry: Registry | None = None,
) -> Report:
    """What `report` writes a page of."""
    if policy is not None and not isinstance(policy, Policy):
        raise UsageError(f"policy is of type {type(policy).__name__}, expected a holdfast.Policy")
    return report_operation.report(
        [StoreAddress(store, store_options) for store in stores or (None,)],
        registry=registry or installed(),
        older_than=_period("older_than", older_than) or timedelta(0),
        unproven_for=_period("unproven_for", unproven_for) or timedelta(0),
        policy=policy,
        now=datetime.now(UTC),
    )


def _period(what: str, period: str | timedelta | None) -> timedelta | None:
    if period is None or isinstance(period, timedelta):
        return period
    if not isinstance(period, str):
        raise UsageError(f"{what} is {period!r}, expected a duration such as 26h")
    return parse_duration(period)
