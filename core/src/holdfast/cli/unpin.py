"""holdfast unpin."""

import click

from holdfast.cli.options import json_option, store_option, talking
from holdfast.cli.talk import Talk


@click.command("unpin")
@click.argument("backup", metavar="ID")
@store_option
@json_option(run=True)
@talking
@click.pass_obj
def command(talk: Talk, backup: str, store: str) -> None:
    """Take the pin off the backup ID."""
    from holdfast.config import installed
    from holdfast.operations.retention import pin
    from holdfast.store.catalog import Catalog

    catalog = Catalog(installed().storage(store))
    catalog.open()
    entry = catalog.find(backup)
    talk.last_id = entry.id
    changed = pin(catalog, entry, pinned=False)
    if talk.json:
        talk.data({"type": "unpin", "id": entry.id, "name": entry.name, "changed": changed})
    else:
        talk.say(f"{entry.name}/{entry.id} {'is no longer pinned' if changed else 'was not pinned'}")
