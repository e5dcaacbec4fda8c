"""holdfast drill."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import assign_option, jobs_option, json_option, output_options, store_option
from holdfast.cli.text import size


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
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console, backup: str, store: str, into: str | None, jobs: int | None, assignments: tuple[str, ...]
) -> None:
    """Restore the backup ID into a scratch database and compare it with what its source held.

    The scratch database is checked by the engine, compared object by object, and dropped. The result is recorded
    with the backup: proven, or damaged (exit 13). A drill that cannot run records nothing.
    """
    from holdfast.defaults import installed
    from holdfast.errors import IntegrityError
    from holdfast.operations.drill import drill
    from holdfast.plugins.options import parse_assignments
    from holdfast.proof import summary
    from holdfast.store.catalog import Catalog, is_latest

    registry = installed()
    catalog = Catalog(registry.storage(store))
    catalog.open()
    entry = catalog.find(backup)
    options = parse_assignments(assignments)
    result = drill(
        entry,
        storage=catalog.storage,
        registry=registry,
        into=into,
        options=options,
        jobs=jobs,
        on_event=console.watch,
    )
    if console.json:
        console.data({"type": "drill", **result.as_data()})
    else:
        word = "DAMAGED" if not result.passed else result.state
        total = size(entry.manifest.size if entry.manifest else 0)
        console.out(f"{word} {result.id}  {result.name}  {result.compared} objects compared, {total}")
        for problem in result.problems:
            console.out(f"        {problem}")
    if not result.passed:
        hint = None
        if is_latest(backup):
            good = catalog.newest_good(entry.name)
            hint = f"the newest good backup is {good.id}" if good else "no backup of this source is good"
        raise IntegrityError(f"the drill of {result.id} failed: {summary(result.problems)}", hint=hint)
