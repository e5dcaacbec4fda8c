"""holdfast import."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option


@click.command("import")
@click.argument("folder", type=click.Path())
@store_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, folder: str, store: str) -> None:
    """Take over the backups that the older system left in FOLDER, with their times.

    Every file that its manifest.json lists is compared with the recorded checksum and becomes a backup of the
    store; the files stay where they are, and importing again imports nothing twice.
    """
    from holdfast.defaults import installed
    from holdfast.errors import IntegrityError, PartialError
    from holdfast.legacy.importer import import_backups

    counts: dict[str, int] = {}
    first = ""
    for one in import_backups(folder, registry=installed(), store=store):
        counts[one.status] = counts.get(one.status, 0) + 1
        if one.status == "failed":
            first = first or f"{one.file}: {one.message}"
        if one.status == "imported" and one.message:
            console.warn(f"{one.file}: {one.message}")
        if console.json:
            console.data({"type": "import", **one.as_data()})
        else:
            what = f"{one.name}/{one.id}" if one.id else one.message
            console.out(f"{one.status:8} {one.file}  {what}")
    total = sum(counts.values())
    console.say(f"{counts.get('imported', 0)} of {total} imported, {counts.get('present', 0)} were there already")
    if failed := counts.get("failed", 0):
        error = PartialError if failed < total else IntegrityError
        raise error(f"{failed} of {total} could not be imported: {first}")
