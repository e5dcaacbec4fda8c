"""holdfast list."""

import click

from holdfast.cli.options import json_option, store_option, talking
from holdfast.cli.talk import Talk, size, table


@click.command("list")
@click.argument("name", required=False)
@store_option
@click.option(
    "--state", type=click.Choice(["complete", "verified", "proven", "damaged"]), help="Only those in a state."
)
@json_option(run=False)
@talking
@click.pass_obj
def command(talk: Talk, name: str | None, store: str, state: str | None) -> None:
    """List the backups of a store, or of the source NAME, oldest first."""
    from holdfast.errors import shown
    from holdfast.manager import installed
    from holdfast.record import Backup
    from holdfast.store.catalog import Catalog
    from holdfast.store.names import check_source_name

    if name is not None:
        check_source_name(name)
    catalog = Catalog(installed().storage(store))
    catalog.open()
    listing = catalog.listing(name)
    records = [Backup.of(entry, catalog.storage) for entry in listing.entries if state in (None, str(entry.state))]
    for record in records:
        if record.problem:
            talk.warn(f"{record.name}/{record.id} is damaged: {record.problem}")
    for folder in catalog.abandoned(listing.leftovers):
        talk.warn(f"{folder} is unfinished or half deleted and is no backup; the next backup of this source removes it")
    if talk.json:
        talk.data([record.as_data() for record in records])
        return
    if not records:
        talk.say(f"no backups in {shown(catalog.storage.location)}")
        return
    rows = [
        {
            "ID": record.id,
            "NAME": record.name,
            "ENGINE": record.engine,
            "STATE": record.state,
            "CREATED (UTC)": f"{record.timestamp:%Y-%m-%d %H:%M:%S}",
            "SIZE": size(record.size_bytes),
            "STORED": size(record.stored_bytes),
            "CODEC": record.codec,
        }
        for record in records
    ]
    talk.out(table(rows))
