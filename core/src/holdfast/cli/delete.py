"""holdfast delete."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option


@click.command("delete")
@click.argument("backup", metavar="ID")
@store_option
@click.option("--allow-last", is_flag=True, help="Delete even the newest good or newest proven backup of a source.")
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, backup: str, store: str, allow_last: bool) -> None:
    """Delete the backup ID; the newest good and the newest proven one of a source are refused (exit 16)."""
    from holdfast.defaults import installed
    from holdfast.errors import HoldfastError, os_error_text
    from holdfast.operations.retention import delete
    from holdfast.store.catalog import Catalog, is_latest

    catalog = Catalog(installed().storage(store))
    catalog.open()
    entry = catalog.readable(backup)[0] if is_latest(backup) else catalog.find(backup)
    console.last_id = entry.id
    try:
        delete(catalog, entry, allow_last=allow_last)
    except OSError as error:
        raise HoldfastError(f"cannot delete {entry.id}: {os_error_text(error)}") from error
    if console.json:
        console.data({"type": "delete", "id": entry.id, "name": entry.name})
    else:
        console.say(f"deleted {entry.name}/{entry.id}")
