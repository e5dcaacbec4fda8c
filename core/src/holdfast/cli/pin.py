"""holdfast pin, and what it shares with holdfast unpin."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option

if TYPE_CHECKING:
    from holdfast.setup import StoreLike


_OUTCOMES = {
    # pinned, changed
    (True, True): "is now pinned",
    (True, False): "was already pinned",
    (False, True): "is no longer pinned",
    (False, False): "was not pinned",
}


def pin_command(name: str, *, pinned: bool, help: str) -> click.Command:  # noqa: A002 (as click calls it)
    """Make the command that pins a backup, or the one that unpins it."""

    @click.command(name, help=help)
    @click.argument("backup", metavar="ID")
    @store_option
    @json_option(run=True)
    @output_options
    @click.pass_obj
    def command(console: Console, backup: str, store: "StoreLike") -> None:
        _set_pin(console, backup, store, pinned=pinned)

    return command


def _set_pin(console: Console, backup: str, store: "StoreLike", *, pinned: bool) -> None:
    from holdfast.defaults import installed
    from holdfast.operations.labels import pin
    from holdfast.store.catalog import open_catalog

    catalog = open_catalog(store, installed())
    entry = catalog.find(backup)
    console.last_id = entry.id
    changed = pin(catalog, entry, pinned=pinned)
    if console.json:
        console.data({"type": "pin" if pinned else "unpin", "id": entry.id, "name": entry.name, "changed": changed})
    else:
        console.say(f"{entry.name}/{entry.id} {_OUTCOMES[pinned, changed]}")


command = pin_command(
    "pin", pinned=True, help="Pin the backup ID: prune and delete leave it alone until it is unpinned."
)
