"""holdfast cat."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console, writing
from holdfast.cli.options import identity_option, output_options, store_option, wait_option
from holdfast.cli.standard_streams import output

if TYPE_CHECKING:
    from holdfast.identities import IdentitySource
    from holdfast.setup import StoreLike


@click.command("cat")
@click.argument("backup", metavar="ID")
@click.argument("stream", required=False)
@store_option
@click.option("--allow-damaged", is_flag=True, help="Read a backup that is known to be damaged.")
@identity_option
@wait_option
@output_options
@click.pass_obj
def command(
    console: Console,
    backup: str,
    stream: str | None,
    store: "StoreLike",
    allow_damaged: bool,
    identity: "IdentitySource",
    wait: float,
) -> None:
    """Write STREAM of the backup ID, decompressed, to stdout; STREAM can be omitted if there is only one.

    The digest is compared at the end: only exit 0 means that all of it is right.
    """
    from holdfast.defaults import installed
    from holdfast.operations.read import read
    from holdfast.patience import Patience
    from holdfast.store.catalog import open_catalog
    from holdfast.store.entry import ahead_warning
    from holdfast.store.lookup import is_latest

    registry = installed()
    catalog = open_catalog(store, registry)
    entry, manifest = catalog.readable(backup, allow_damaged=allow_damaged)
    if is_latest(backup) and (warning := ahead_warning(entry)):
        console.warn(warning)
    data = output().buffer

    def begin() -> Iterator[bytes]:
        pieces = read(
            entry,
            manifest,
            stream,
            storage=catalog.storage,
            registry=registry,
            allow_damaged=allow_damaged,
            identity=identity,
        )
        return chain([next(pieces, b"")], pieces)  # with the first piece the backup is held

    try:
        for piece in Patience(wait, console.warn).until_free(begin):
            with writing():
                data.write(piece)
    finally:
        with writing():
            data.flush()
