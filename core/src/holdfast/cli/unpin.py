"""holdfast unpin."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option
from holdfast.cli.pin import set_pin


@click.command("unpin")
@click.argument("backup", metavar="ID")
@store_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, backup: str, store: str) -> None:
    """Take the pin off the backup ID."""
    set_pin(console, backup, store, pinned=False)
