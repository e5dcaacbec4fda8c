"""holdfast import."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option, wait_option

if TYPE_CHECKING:
    from holdfast.setup import StoreLike


@click.command("import")
@click.argument("folder", type=click.Path())
@store_option
@wait_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, folder: str, store: "StoreLike", wait: float) -> None:
    """Import the backups in FOLDER that the earlier BackupManager made, with their times.

    Each file that manifest.json lists is compared with its recorded checksum and becomes a backup in the store.
    The files stay where they are; importing again imports nothing twice.
    """
    from holdfast.defaults import installed
    from holdfast.errors import IntegrityError, PartialError
    from holdfast.legacy.importer import import_backups
    from holdfast.patience import Patience

    counts: dict[str, int] = {}
    first_failure, hint = "", None
    kinds = []
    for result in import_backups(folder, registry=installed(), store=store, patience=Patience(wait, console.warn)):
        counts[result.status] = counts.get(result.status, 0) + 1
        if result.error is not None:
            if not first_failure:
                first_failure, hint = f"{result.file}: {result.message}", getattr(result.error, "hint", None)
            kinds.append(type(result.error))
        if result.status == "imported" and result.message:
            console.warn(f"{result.file}: {result.message}")
        if console.json:
            console.data({"type": "import", **result.as_data()})
        else:
            outcome = f"{result.name}/{result.id}" if result.id else result.message
            console.out(f"{result.status:8} {result.file}  {outcome}")
    total = sum(counts.values())
    console.say(f"{counts.get('imported', 0)} of {total} imported, {counts.get('present', 0)} already imported")
    if failed := counts.get("failed", 0):
        # What the system refused is no damage of the files.
        alone = next((kind for kind in kinds if not issubclass(kind, IntegrityError)), IntegrityError)
        what = f"{failed} of {total} could not be imported: {first_failure}"
        raise (PartialError if failed < total else alone)(what, hint=hint)
