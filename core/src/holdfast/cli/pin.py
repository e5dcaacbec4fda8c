"""holdfast pin."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option


@click.command("pin")
@click.argument("backup", metavar="ID")
@store_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, backup: str, store: str) -> None:
    """Pin the backup ID: neither prune nor delete touches it until it is unpinned."""
    set_pin(console, backup, store, pinned=True)


def set_pin(console: Console, backup: str, store: str, *, pinned: bool) -> None:
    """Put a pin on a backup, or take it off, and say which it was."""
    from holdfast.defaults import installed
    from holdfast.operations.retention import pin
    from holdfast.store.catalog import Catalog

    catalog = Catalog(installed().storage(store))
    catalog.open()
    entry = catalog.find(backup)
    console.last_id = entry.id
    changed = pin(catalog, entry, pinned=pinned)
    if console.json:
        console.data({"type": "pin" if pinned else "unpin", "id": entry.id, "name": entry.name, "changed": changed})
        return
    outcome = {
        (True, True): "is pinned now",
        (True, False): "was pinned already",
        (False, True): "is no longer pinned",
        (False, False): "was not pinned",
    }
    console.say(f"{entry.name}/{entry.id} {outcome[pinned, changed]}")
