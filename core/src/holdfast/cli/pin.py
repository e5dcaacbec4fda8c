"""holdfast pin."""

import click

from holdfast.cli.options import json_option, store_option, talking
from holdfast.cli.talk import Talk


@click.command("pin")
@click.argument("backup", metavar="ID")
@store_option
@json_option(run=True)
@talking
@click.pass_obj
def command(talk: Talk, backup: str, store: str) -> None:
    """Pin the backup ID: neither prune nor delete touches it until it is unpinned."""
    from holdfast.config import installed
    from holdfast.operations.retention import pin
    from holdfast.store.catalog import Catalog

    catalog = Catalog(installed().storage(store))
    catalog.open()
    entry = catalog.find(backup)
    talk.last_id = entry.id
    changed = pin(catalog, entry)
    if talk.json:
        talk.data({"type": "pin", "id": entry.id, "name": entry.name, "changed": changed})
    else:
        talk.say(f"{entry.name}/{entry.id} {'is pinned now' if changed else 'was pinned already'}")
