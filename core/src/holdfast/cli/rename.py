"""holdfast rename."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option, wait_option

if TYPE_CHECKING:
    from holdfast.setup import StoreLike


@click.command("rename")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@store_option
@wait_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, old: str, new: str, store: "StoreLike", wait: float) -> None:
    """Give the source OLD the name NEW, with all of its backups, their findings, pins and tags.

    Later backups of its database get the new name by themselves. A source in use is exit 11, a name that is taken 16.
    """
    from holdfast.defaults import installed
    from holdfast.operations.rename import rename
    from holdfast.patience import Patience

    result = Patience(wait, console.warn).until_free(
        lambda: rename(old, new, store=store, registry=installed(), on_event=console.note_id)
    )
    if console.json:
        console.data({"type": "rename", **result.as_data()})
    else:
        backups = "1 backup" if result.backups == 1 else f"{result.backups} backups"
        word = "renamed" if result.changed else "nothing to do:"
        console.say(f"{word} '{old}' {'to' if result.changed else 'is'} '{new}' ({backups})")
