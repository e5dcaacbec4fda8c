"""holdfast prune."""

from typing import TYPE_CHECKING, Any

import click

from holdfast.api import Operation
from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option, wait_option
from holdfast.cli.policy_options import policy_options

if TYPE_CHECKING:
    from holdfast.operations.prune import Choice
    from holdfast.setup import StoreLike


@click.command("prune")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@store_option
@policy_options
@click.option("--allow-last", is_flag=True, help="Delete even the newest good and the newest proven backup.")
@wait_option
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be deleted, and why; delete nothing.")
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console,
    /,
    names: tuple[str, ...],
    store: "StoreLike",
    allow_last: bool,
    dry_run: bool,
    wait: float,
    **rules: Any,
) -> None:
    """Delete old backups by a policy, separately for every source of the store or for each NAME.

    A good backup is deleted if it exceeds a maximum, or if there are keep-rules and none keeps it. Pinned backups, the
    newest good and the newest proven one of a source are always kept. Leftovers of unfinished backups are removed.
    """
    from holdfast.defaults import installed
    from holdfast.operations.prune import prune
    from holdfast.patience import Patience
    from holdfast.policy import Policy
    from holdfast.run import Run

    registry = installed()
    with Run(Operation.PRUNE, registry=registry, dry_run=dry_run):
        policy = Policy(**rules)

    def show(choice: "Choice") -> None:
        if console.json:
            console.data({"type": "keep" if choice.keep else "delete", **choice.as_data()})
        elif dry_run or not choice.keep:
            word = "keep" if choice.keep else "delete" if dry_run else "FAILED" if choice.failure else "deleted"
            console.out(f"{word:7} {choice.name}/{choice.id}  {choice.failure or ', '.join(choice.reasons)}")

    # A deletion is told at once: whatever ends the prune half-way, what is gone has been said.
    result = prune(
        policy,
        store=store,
        registry=registry,
        names=names,
        dry_run=dry_run,
        allow_last=allow_last,
        on_choice=None if dry_run else show,
        patience=Patience(wait, console.warn),
    )
    for choice in result.choices if dry_run else ():
        show(choice)
    for folder in result.leftovers:
        if not console.json:
            console.out(f"{'remove' if dry_run else 'removed'} {folder}  unfinished or half deleted")
    for warning in result.warnings:
        console.warn(warning)
    for line in result.held:
        console.say(line)
    if console.json:
        console.data({"type": "plan" if dry_run else "prune", **result.as_data()})
    else:
        gone, kept = len(result.deleted), len(result.kept)
        console.say(f"would delete {gone}, would keep {kept}" if dry_run else f"deleted {gone}, kept {kept}")
    result.raise_for_failures()
