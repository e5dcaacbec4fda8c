"""holdfast undelete."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option
from holdfast.cli.text import size, table

if TYPE_CHECKING:
    from holdfast.setup import StoreLike


@click.command("undelete")
@click.argument("backups", nargs=-1, metavar="[ID]...")
@store_option
@click.option("--all", "everything", is_flag=True, help="Every backup that would be listed without it.")
@json_option(run=True)
@output_options
@click.pass_obj
def command(console: Console, backups: tuple[str, ...], store: "StoreLike", everything: bool) -> None:
    """List what the versions of a store hold of deleted and overwritten backups, or bring those with an ID back.

    All of a backup is read and compared with what was recorded before anything is changed, and nothing that is there is
    lost. Exit 10 if the store keeps no versions, 13 if none agree with what was recorded.
    """
    from holdfast.defaults import installed
    from holdfast.errors import HoldfastError, PartialError, UsageError
    from holdfast.operations.undelete import Undeleting

    if everything and backups:
        raise UsageError("--all and ids exclude each other")
    undeleting = Undeleting(store=store, registry=installed(), on_event=console.note_id)
    deleted = [] if backups else undeleting.deleted()
    if not backups and not everything:
        for backup in deleted if console.json else ():
            console.data({"type": "deleted", **backup.as_data()})
        rows = [
            {
                "ID": backup.id,
                "NAME": backup.name,
                "WHAT": backup.happened,
                "WHEN (UTC)": f"{backup.at:%Y-%m-%d %H:%M:%S}",
                "STORED": size(backup.stored_bytes),
            }
            for backup in deleted
        ]
        if rows and not console.json:
            console.out(table(rows))
        if not rows:
            console.say("no backup was deleted or overwritten, as far as the versions of the store show")
        return
    wanted = backups or tuple(f"{backup.name}/{backup.id}" for backup in deleted)
    failed: list[HoldfastError] = []
    for name in wanted:
        try:
            result = undeleting.undelete(name)
        except HoldfastError as error:
            if len(wanted) == 1:
                raise
            console.failed(error, error.exit_code)
            failed.append(error)
            continue
        if console.json:
            console.data({"type": "result", **result.as_data()})
        elif result.objects:
            objects = f"{result.objects} object{'s' if result.objects > 1 else ''}"
            console.out(f"{result.name}/{result.id}  brought back, {objects}, {size(result.stored_bytes)}")
        else:
            console.out(f"{result.name}/{result.id}  is as it was")
    if failed:
        raise PartialError(f"{len(failed)} of {len(wanted)} backups could not be brought back: {failed[0].message}")
