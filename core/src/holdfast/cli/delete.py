"""holdfast delete."""

import click

from holdfast.cli.options import json_option, store_option, talking
from holdfast.cli.talk import Talk


@click.command("delete")
@click.argument("backup", metavar="ID")
@store_option
@click.option("--force-empty", is_flag=True, help="Delete even the newest good or newest proven backup of a source.")
@json_option(run=True)
@talking
@click.pass_obj
def command(talk: Talk, backup: str, store: str, force_empty: bool) -> None:
    """Delete the backup ID; the newest good and the newest proven one of a source are kept (exit 16)."""
    from holdfast.config import installed
    from holdfast.errors import HoldfastError, reason
    from holdfast.operations.retention import delete
    from holdfast.store.catalog import Catalog, is_latest

    catalog = Catalog(installed().storage(store))
    catalog.open()
    entry = catalog.readable(backup)[0] if is_latest(backup) else catalog.find(backup)
    talk.last_id = entry.id
    try:
        delete(catalog, entry, force_empty=force_empty)
    except OSError as error:
        raise HoldfastError(f"cannot delete {entry.id}: {reason(error)}") from error
    if talk.json:
        talk.data({"type": "delete", "id": entry.id, "name": entry.name})
    else:
        talk.say(f"deleted {entry.name}/{entry.id}")
