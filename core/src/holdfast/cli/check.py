"""holdfast check."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli._check_jobs import find_jobs, job_checks
from holdfast.cli.console import Console
from holdfast.cli.options import (
    assign_option,
    config_option,
    engine_options,
    exclude_kind_option,
    exclude_option,
    extension_option,
    json_option,
    output_options,
    select_option,
    store_fields_option,
    timeout_option,
)
from holdfast.cli.text import table

if TYPE_CHECKING:
    from holdfast.api import Requirement
    from holdfast.operations.source_check import SourceCheck
    from holdfast.operations.store_check import StoreCheck

Check = Callable[[], object]
"""Looks at one thing and prints what it saw; raises what a backup would fail with."""


@click.command("check")
@click.argument("named", nargs=-1, metavar="[JOB|URL|PATH]...")
@store_fields_option
@click.option("--all", "everything", is_flag=True, help="Check every job of holdfast.toml.")
@config_option
@click.option("--drill-into", "into", metavar="URL", help="Also look at this server, for drills of the database.")
@assign_option
@extension_option
@select_option
@exclude_option
@exclude_kind_option
@timeout_option
@json_option(run=False)
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    named: tuple[str, ...],
    store: str,
    store_options: dict[str, str],
    everything: bool,
    config: str | None,
    into: str | None,
    assignments: tuple[str, ...],
    extensions: tuple[str, ...],
    timeout: float,
    **choice: tuple[str, ...],
) -> None:
    """Look at what a backup needs, and whether it is there; nothing is changed and nothing left behind.

    The URL of a database: whether it can be reached, what the account may not read and the statement that grants it,
    client programs, space and clocks. A store, by PATH, URL or --store: what it lets us do and guarantees. A JOB of
    holdfast.toml: all of that for its databases, drills and stores, its password, programs and ping. It ends with the
    exit code that a backup would, and with 3 where a job or some of several failed.
    """
    from holdfast.errors import UsageError

    console = ctx.find_object(Console) or Console(verbose=0, quiet=False, log_format=None)
    chosen = ctx.get_parameter_source("store") is click.core.ParameterSource.COMMANDLINE
    sources = [name for name in named if _is_source(name)]
    others = [name for name in named if name not in sources]
    if everything and others:
        raise UsageError("--all goes with neither a JOB nor a store")
    file, jobs = find_jobs(console, others, config, everything=everything)
    stores = [name for name in others if name not in jobs]
    if chosen and any(name != store for name in stores):
        raise UsageError("two stores are named, one by --store and one without")
    if into is not None and len(sources) != 1:
        raise UsageError("--drill-into goes with the URL of one database")
    if chosen or not (named or everything):
        stores = [store]
    plan_fields = {**choice, "options": engine_options(assignments, extensions)}
    checks: list[Check] = [partial(_check_source, console, name, plan_fields, timeout) for name in sources]
    if into is not None:
        checks.append(partial(_check_drill, console, sources[0], into, timeout))
    checks += [partial(_check_store, console, name, store_options) for name in stores]
    checks += job_checks(console, file, jobs, timeout) if file else ()
    _run(console, checks, several=bool(jobs))


def _is_source(name: str) -> bool:
    """Whether it is the URL of a database and not of a store; of an unknown scheme, whether we know it as one."""
    from holdfast.api import Kind
    from holdfast.defaults import installed
    from holdfast.plugins.registry import FIRST_PARTY

    scheme, mark, _ = name.partition("://")
    scheme, registry = scheme.lower(), installed()
    if not mark or registry.claims(Kind.STORAGE, scheme):
        return False
    return bool(registry.claims(Kind.ENGINE, scheme)) or (Kind.STORAGE, scheme) not in FIRST_PARTY


def _run(console: Console, checks: Sequence[Check], *, several: bool) -> None:
    """Run all; of several that failed each is told, and the end is that some did, as that of `run` is."""
    from holdfast.errors import HoldfastError, PartialError

    if len(checks) == 1 and not several:
        checks[0]()
        return
    failures = 0
    for number, check in enumerate(checks):
        if number and not console.json:
            console.out("")
        try:
            check()
        except HoldfastError as error:
            failures += 1
            console.failed(error, error.exit_code)
    if failures:
        raise PartialError(f"{failures} of {len(checks)} checks failed")


def _check_source(console: Console, url: str, fields: dict[str, Any], timeout: float) -> None:
    from holdfast.operations.source_check import check_source
    from holdfast.plan import BackupPlan

    _show_source(console, check_source(BackupPlan(source=url, **fields), timeout=timeout))


def _check_drill(console: Console, url: str, into: str, timeout: float) -> None:
    from holdfast.defaults import installed
    from holdfast.operations.source_check import check_drill

    _show_source(console, check_drill(url, into, registry=installed(), timeout=timeout))


def _check_store(console: Console, store: str, options: dict[str, str]) -> None:
    from holdfast.operations.store_check import check_store

    result = check_store(store, store_options=options)
    if console.json:
        console.data({"type": "store", **result.as_data()})
    else:
        show_store(console, result)
    result.raise_for_failure()


def show_store(console: Console, result: "StoreCheck") -> None:
    """Print what was tried."""
    answers = {True: "yes", False: "no", None: "cannot be told"}
    rows = [{"CHECK": each.name, "ANSWER": answers[each.holds], "DETAIL": each.detail} for each in result.guarantees]
    console.out(table(rows))


def _show_source(console: Console, result: "SourceCheck") -> None:
    if console.json:
        console.data({"type": "source", **result.as_data()})
    else:
        show_requirements(console, result.requirements)
    result.raise_for_failure()


def show_requirements(console: Console, requirements: "Sequence[Requirement]") -> None:
    """Print what was seen, and below it what mends each that is not as it should be, to be copied."""
    rows = [{"CHECK": each.name, "STATE": each.state, "DETAIL": each.detail} for each in requirements]
    console.out(table(rows))
    for each in requirements:
        if each.remedy and each.state != "ok":
            console.out(f"to mend {each.name}: {each.remedy}")
