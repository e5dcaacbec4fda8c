"""holdfast cat."""

import sys

import click

from holdfast.cli.console import Console, writing
from holdfast.cli.options import output_options, store_option


@click.command("cat")
@click.argument("backup", metavar="ID")
@click.argument("stream", required=False)
@store_option
@click.option("--allow-damaged", is_flag=True, help="Read a backup that is known to be damaged.")
@output_options
@click.pass_obj
def command(console: Console, backup: str, stream: str | None, store: str, allow_damaged: bool) -> None:
    """Write STREAM of the backup ID, decompressed, to stdout; STREAM can be omitted if there is only one.

    The digest is compared at the end: only exit 0 means that all of it is right.
    """
    from holdfast.defaults import installed
    from holdfast.operations.read import read
    from holdfast.store.catalog import is_latest, open_catalog
    from holdfast.store.entry import ahead_warning

    registry = installed()
    catalog = open_catalog(store, registry)
    entry, manifest = catalog.readable(backup, allow_damaged=allow_damaged)
    if is_latest(backup) and (warning := ahead_warning(entry)):
        console.warn(warning)
    output = sys.stdout.buffer
    pieces = read(entry, manifest, stream, storage=catalog.storage, registry=registry, allow_damaged=allow_damaged)
    try:
        for piece in pieces:
            with writing():
                output.write(piece)
    finally:
        with writing():
            output.flush()
