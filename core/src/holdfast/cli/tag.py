"""holdfast tag."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option

if TYPE_CHECKING:
    from holdfast.setup import StoreLike


@click.command("tag")
@click.argument("backup", metavar="ID")
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@click.option("--remove", is_flag=True, help="Remove the tags.")
@store_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, backup: str, tags: tuple[str, ...], remove: bool, store: "StoreLike") -> None:
    """Add tags to the backup ID, or remove them; prune --keep-tag TAG keeps the backups that have one."""
    from holdfast.defaults import installed
    from holdfast.operations.labels import tag
    from holdfast.store.catalog import open_catalog

    catalog = open_catalog(store, installed())
    entry = catalog.find(backup)
    console.last_id = entry.id
    remaining = tag(catalog, entry, tags, remove=remove)
    if console.json:
        console.data({"type": "tag", "id": entry.id, "name": entry.name, "tags": remaining})
    else:
        console.say(f"{entry.name}/{entry.id} has {'the tags ' + ', '.join(remaining) if remaining else 'no tags'}")
