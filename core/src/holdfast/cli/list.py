"""holdfast list."""

from typing import Any

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option
from holdfast.cli.text import size, table


@click.command("list")
@click.argument("name", required=False)
@store_option
@click.option(
    "--state", type=click.Choice(["complete", "verified", "proven", "damaged"]), help="Only those in a state."
)
@click.option(
    "--unproven-for",
    metavar="TIME",
    help="Only the newest backup of each source that no drill has proven within TIME (7d, 36h); exit 17 if any.",
)
@json_option(run=False)
@output_options
@click.pass_obj
def command(console: Console, name: str | None, store: str, state: str | None, unproven_for: str | None) -> None:
    """List the backups of a store, or of the source NAME, oldest first."""
    from holdfast.defaults import installed
    from holdfast.duration import parse_duration
    from holdfast.errors import OverdueError, quote_name
    from holdfast.operations.retention import overdue
    from holdfast.record import Backup
    from holdfast.store.catalog import Catalog
    from holdfast.store.names import check_source_name

    if name is not None:
        check_source_name(name)
    period = parse_duration(unproven_for) if unproven_for is not None else None
    catalog = Catalog(installed().storage(store))
    catalog.open()
    listing = catalog.listing(name)
    late = overdue(listing.entries, period) if period is not None else ()
    entries = [one.newest for one in late] if period is not None else list(listing.entries)
    entries = [entry for entry in entries if state in (None, str(entry.state))]
    records = [Backup.of(entry, catalog.storage) for entry in entries]
    for entry in entries:
        if entry.problem:
            console.warn(f"{entry.folder} {'cannot be used' if entry.unknown else 'is damaged'}: {entry.problem}")
    for path in listing.foreign:
        console.warn(f"{quote_name(path)} is a link or no folder, and is not followed: nothing in it is listed")
    for folder in catalog.abandoned(listing.leftovers):
        console.warn(
            f"{folder} is unfinished or half deleted and is no backup; the next backup of this source removes it"
        )
    if console.json:
        console.data([record.as_data() for record in records])
    elif records:
        console.out(table([_row(record) for record in records]))
    elif period is not None and listing.entries:
        console.say(f"every source in {quote_name(catalog.storage.location)} is proven within {unproven_for}")
    else:
        what = f"no {state} backups" if state else "no backups"
        console.say(f"{what}{f' of {name!r}' if name else ''} in {quote_name(catalog.storage.location)}")
    if period is not None and name is not None and not listing.entries:
        raise OverdueError(f"no backup of '{name}' in {quote_name(catalog.storage.location)}")
    if late:
        raise OverdueError(
            f"{len(late)} source{'s' if len(late) > 1 else ''} not proven within {unproven_for}: "
            + ", ".join(str(one) for one in late),
            hint=f"holdfast drill {late[0].newest.name}/latest",
        )


def _row(record: Any) -> dict[str, str]:
    return {
        "ID": record.id,
        "NAME": record.name,
        "ENGINE": record.engine,
        "STATE": record.state + (", pinned" if record.pinned else ""),
        "CREATED (UTC)": f"{record.timestamp:%Y-%m-%d %H:%M:%S}",
        "SIZE": size(record.size_bytes),
        "STORED": size(record.stored_bytes),
        "CODEC": record.codec,
    }
