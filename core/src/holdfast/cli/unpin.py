"""holdfast unpin."""

import click

from holdfast.cli.options import json_option, store_option, talking
from holdfast.cli.pin import set_pin
from holdfast.cli.talk import Talk


@click.command("unpin")
@click.argument("backup", metavar="ID")
@store_option
@json_option(run=True)
@talking
@click.pass_obj
def command(talk: Talk, backup: str, store: str) -> None:
    """Take the pin off the backup ID."""
    set_pin(talk, backup, store, pinned=False)
