"""holdfast restore."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from holdfast.api import Operation
from holdfast.cli.console import Console
from holdfast.cli.options import (
    CheckedCommand,
    assign_option,
    check_option,
    engine_options,
    exclude_kind_option,
    exclude_option,
    extension_option,
    identity_fields_option,
    identity_source,
    jobs_option,
    json_option,
    output_options,
    select_option,
    store_fields_option,
    wait_option,
)
from holdfast.cli.text import size

if TYPE_CHECKING:
    from holdfast.operations.restore import RestoreResult


@click.command("restore", cls=CheckedCommand)
@click.argument("backup", metavar="ID")
@click.argument("target", metavar="URL")
@store_fields_option
@click.option("--replace", is_flag=True, help="Overwrite what the target holds: with a selection, those objects.")
@click.option("--live", is_flag=True, help="Restore into a database that others have open, where the engine can.")
@check_option("The engine's own check before the restore is made visible.")
@click.option("--allow-damaged", is_flag=True, help="Restore a damaged backup as far as possible.")
@jobs_option
@select_option
@exclude_option
@exclude_kind_option
@assign_option
@extension_option
@click.option(
    "--owner", metavar="USER[:GROUP]", help="Whom the restored file belongs to, or `folder` for that of its folder."
)
@click.option("--mode", metavar="MODE", help="The mode of the restored file, in octal digits such as 0640.")
@identity_fields_option
@wait_option
@click.option("-n", "--dry-run", is_flag=True, help="Check everything and touch nothing.")
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console,
    /,
    backup: str,
    target: str,
    dry_run: bool,
    wait: float,
    owner: str | None,
    mode: str | None,
    **options: Any,
) -> None:
    """Restore the backup ID into the database at URL.

    ID is an id, a unique beginning of one, latest or NAME/latest. A target that holds data is refused
    without --replace, which overwrites all of it; with --select, --exclude or a backup of selected objects
    only these are replaced and all else stays. A failed restore leaves the target as it was, unless the engine was
    told to go on after errors: then what is missing is listed (exit 3).
    """
    from holdfast.defaults import installed
    from holdfast.errors import UsageError
    from holdfast.operations.restore import raise_for_failures, restore
    from holdfast.patience import Patience
    from holdfast.plan import RestorePlan
    from holdfast.run import Run

    if "://" in backup and "://" not in target:
        raise UsageError("the URL stands before the ID", hint="write: holdfast restore [OPTIONS] ID URL")
    registry = installed()
    with Run(Operation.RESTORE, registry=registry, on_event=console.watch, dry_run=dry_run):
        assignments = engine_options(options.pop("assignments"), options.pop("extensions"))
        assignments |= {name: value for name, value in (("owner", owner), ("mode", mode)) if value is not None}
        plan = RestorePlan(backup=backup, target=target, options=assignments, **options)
    identity = identity_source(plan.identity, plan.identity_command)
    result = Patience(wait, console.warn).until_free(
        lambda: restore(plan, registry=registry, on_event=console.watch, dry_run=dry_run, identity=identity)
    )
    # Streams hold more than what is selected from them.
    selected = plan.select or plan.exclude or plan.exclude_kinds
    what = "what is selected" if selected else size(result.size_bytes)
    if console.json:
        console.data({"type": "plan" if dry_run else "restore", **result.as_data()})
    elif dry_run:
        console.out(f"would restore {result.name}/{result.id} into {result.target}: {what}")
        for stream in dict.fromkeys(result.steps):  # some are read several times
            console.out(f"  {stream}")
        for line in _changes(result):
            console.out(line)
    else:
        console.say(
            f"restored {result.name}/{result.id} into {result.target}: {what} in {result.duration_seconds:.1f} s"
        )
        for failure in result.failures:
            console.warn(f"not restored: {failure}")
    raise_for_failures(result)


def _changes(result: "RestoreResult") -> Iterator[str]:
    """What would happen to what the target holds, if it holds anything."""
    from holdfast.changes import ADDED

    if result.whole:
        yield "the backup would take the place of the whole database, with all that is in it:"
    elif result.changes and all(change.action == ADDED for change in result.changes):
        yield "these would be added, and nothing that the target holds would change:"
    elif result.changes:
        yield "in the target these would change, and all other tables would stay as they are:"
    yield from (f"  {change}" for change in result.changes)
