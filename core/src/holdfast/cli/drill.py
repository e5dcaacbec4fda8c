"""holdfast drill."""

from typing import TYPE_CHECKING

import click

from holdfast.api import Operation
from holdfast.cli.console import Console
from holdfast.cli.options import (
    assign_option,
    engine_options,
    extension_option,
    identity_option,
    jobs_option,
    json_option,
    output_options,
    store_option,
    wait_option,
)
from holdfast.cli.text import size

if TYPE_CHECKING:
    from holdfast.identities import IdentitySource
    from holdfast.setup import StoreLike


@click.command("drill")
@click.argument("backup", metavar="ID")
@store_option
@click.option(
    "--into",
    metavar="URL",
    help="Server for the scratch database  [default: HOLDFAST_DRILL_URL, else the engine's choice]",
)
@jobs_option
@assign_option
@extension_option
@identity_option
@wait_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console,
    backup: str,
    store: "StoreLike",
    into: str | None,
    jobs: int | None,
    assignments: tuple[str, ...],
    extensions: tuple[str, ...],
    identity: "IdentitySource",
    wait: float,
) -> None:
    """Restore the backup ID into a scratch database and compare it with what its source held.

    The scratch database is checked by the engine, compared object by object, and dropped. The result is recorded
    with the backup: proven, or damaged (exit 13). What was wrong in its source already, and can be put right there, is
    said and is no damage of the backup. A drill that cannot run records nothing.
    """
    from holdfast.defaults import installed
    from holdfast.operations.drill import drill, raise_for_failure
    from holdfast.patience import Patience
    from holdfast.run import Run

    registry = installed()
    with Run(Operation.DRILL, registry=registry, on_event=console.watch):
        options = engine_options(assignments, extensions)
    result = Patience(wait, console.warn).until_free(
        lambda: drill(
            backup,
            store=store,
            registry=registry,
            into=into,
            options=options,
            jobs=jobs,
            on_event=console.watch,
            identity=identity,
        )
    )
    if console.json:
        console.data({"type": "drill", **result.as_data()})
    else:
        word = "DAMAGED" if not result.passed else result.state
        console.out(f"{word} {result.id}  {result.name}  {result.compared} objects compared, {size(result.size_bytes)}")
        for problem in result.problems:
            console.out(f"        {problem}")
        for fault in result.faults:
            console.out(f"        its source: {fault}")
    raise_for_failure(result, backup, store=store, registry=registry)
