"""holdfast delete."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option, wait_option

if TYPE_CHECKING:
    from holdfast.setup import StoreLike


@click.command("delete")
@click.argument("backup", metavar="ID")
@store_option
@click.option("--allow-last", is_flag=True, help="Delete even the newest good or newest proven backup of a source.")
@wait_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, backup: str, store: "StoreLike", allow_last: bool, wait: float) -> None:
    """Delete the backup ID; the newest good and the newest proven one of a source are refused (exit 16)."""
    from holdfast.defaults import installed
    from holdfast.operations.delete import delete
    from holdfast.patience import Patience

    entry = Patience(wait, console.warn).until_free(
        lambda: delete(backup, store=store, registry=installed(), allow_last=allow_last, on_event=console.note_id)
    )
    if console.json:
        console.data({"type": "delete", "id": entry.id, "name": entry.name})
    else:
        console.say(f"deleted {entry.name}/{entry.id}")
