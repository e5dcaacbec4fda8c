"""holdfast copy."""

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.console import Console, StdoutError
from holdfast.cli.options import (
    assignments_option,
    jobs_option,
    json_option,
    output_options,
    retain_options,
    store_options_option,
    wait_option,
)
from holdfast.cli.text import size

if TYPE_CHECKING:
    from holdfast.operations.copy import Copying, CopyResult, FailedCopy


@click.command("copy")
@click.argument("store", metavar="STORE")
@click.argument("to", metavar="OTHER_STORE")
@click.argument("backups", nargs=-1, metavar="[ID|NAME]...")
@click.option(
    "--all", "everything", is_flag=True, help="Every backup of the store (the default without an ID or NAME)."
)
@click.option("--since", metavar="TIME", help="Only backups that were begun within TIME (30d, 36h).")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be copied; write nothing.")
@click.option("--no-create", is_flag=True, help="Fail if there is no other store yet, instead of making it.")
@click.option("--foreign-store", is_flag=True, help="Write into a store that belongs to another user.")
@store_options_option
@assignments_option("--other-store-option", "An option of OTHER_STORE, where its storage has any.")
@retain_options
@jobs_option
@wait_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console,
    /,
    store: str,
    to: str,
    backups: tuple[str, ...],
    everything: bool,
    since: str | None,
    dry_run: bool,
    no_create: bool,
    store_options: dict[str, str],
    other_store_options: dict[str, str],
    wait: float,
    **options: Any,
) -> None:
    """Copy backups from STORE into OTHER_STORE, byte for byte: those named, those of the sources named, or all.

    Each is compared with its manifest on the way, and published there once all of it has arrived; what is there already
    is left alone, and what was interrupted is gone on with. Exit 13 if a backup is damaged, 3 if some of several could
    not be copied.
    """
    from holdfast.defaults import installed
    from holdfast.errors import UsageError
    from holdfast.operations.copy import Copying, CopyResult, CopySet
    from holdfast.patience import Patience
    from holdfast.setup import StoreAddress

    if everything and backups:
        raise UsageError("--all and ids exclude each other")
    copying = Copying(
        backups,
        store=StoreAddress(store, store_options),
        to=StoreAddress(to, other_store_options),
        registry=installed(),
        since=since,
        create=not no_create,
        on_event=console.watch,
        patience=Patience(wait, console.warn),
        **options,
    )
    if dry_run:
        _show_lacking(console, copying)
        return
    copies, failed = [], []
    for outcome in copying:
        console.last_id = outcome.id
        if isinstance(outcome, CopyResult):
            copies.append(outcome)
            _show(console, outcome)
        else:
            failed.append(outcome)
            if copying.count > 1:  # of one alone the error itself is told below
                _show_failure(console, outcome)
    if not copies and not failed:
        console.say("no backups to copy")
    CopySet(copies=tuple(copies), failed=tuple(failed)).raise_for_failures()


def _show_lacking(console: Console, copying: "Copying") -> None:
    for entry in copying.lacking():
        if console.json:
            console.data({"type": "would_copy", "id": entry.id, "name": entry.name, "bytes": entry.stored_size})
        else:
            console.out(f"{entry.folder}  {'damaged' if not entry.usable else size(entry.stored_size)}")
    copying.raise_for_hidden()


def _show(console: Console, result: "CopyResult") -> None:
    if console.json:
        console.data({"type": "result", **result.as_data()})
        return
    notes = f", {result.notes} notes" if result.notes else ""
    done = f"copied, {size(result.stored_bytes)}" if result.copied else "there already"
    if not result.copied and result.stored_bytes:
        done = f"completed, {size(result.stored_bytes)}"
    console.out(f"{result.name}/{result.id}  {done}{notes}")


def _show_failure(console: Console, failure: "FailedCopy") -> None:
    error = failure.error
    if isinstance(error, StdoutError) or isinstance(error.__cause__, BrokenPipeError):
        raise error  # going on would tell nobody anything
    console.failed(error, error.exit_code)
