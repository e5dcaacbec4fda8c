"""holdfast list."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import assignments_option, json_option, output_options, store_option
from holdfast.cli.text import size, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.record import Backup
    from holdfast.setup import StoreLike


@click.command("list")
@click.argument("name", required=False)
@store_option
@click.option(
    "--state",
    type=click.Choice(["complete", "verified", "proven", "damaged", "unknown"]),
    help="Only backups in this state.",
)
@click.option("--tag", metavar="TAG", help="Only backups with this tag.")
@click.option(
    "--unproven-for",
    metavar="TIME",
    help="Only the newest backup of each source that no drill has proven within TIME (7d, 36h); exit 17 if any.",
)
@click.option(
    "--older-than",
    metavar="TIME",
    help="Only the newest backup of each source that has no good one within TIME (2d, 36h); exit 17 if any.",
)
@click.option(
    "--copies",
    type=click.IntRange(1),
    metavar="N",
    help="Only the newest good backup of each source that lies in fewer than N of this and the other stores; exit 17 "
    "if any.",
)
@click.option("--other-store", "others", multiple=True, metavar="PATH|URL", help="A store that --copies looks into.")
@assignments_option("--other-store-option", "An option of all other stores, where their storage has any.")
@json_option(run=False)
@output_options
@click.pass_obj
def command(
    console: Console,
    name: str | None,
    store: "StoreLike",
    state: str | None,
    tag: str | None,
    unproven_for: str | None,
    older_than: str | None,
    copies: int | None,
    others: tuple[str, ...],
    other_store_options: dict[str, str],
) -> None:
    """List the backups of a store, or of the source NAME, oldest first."""
    from holdfast.defaults import installed
    from holdfast.duration import parse_duration
    from holdfast.errors import UsageError, quote_name
    from holdfast.garbage import no_garbage_search
    from holdfast.operations.listing import list_store
    from holdfast.setup import StoreAddress

    if copies is not None or others or other_store_options:
        if copies is None or any((state, tag, unproven_for, older_than)):
            raise UsageError("--copies and --other-store go together, and with a NAME alone")
        _list_copies(console, store, [StoreAddress(other, other_store_options) for other in others], copies, name)
        return
    period = unproven_for if older_than is None else older_than
    click.get_current_context().with_resource(no_garbage_search())
    listing = list_store(
        store=store,
        registry=installed(),
        name=name,
        state=state,
        tag=tag,
        unproven_for=parse_duration(unproven_for) if unproven_for is not None else None,
        older_than=parse_duration(older_than) if older_than is not None else None,
    )
    for warning in listing.warnings:
        console.warn(warning)
    if console.json:
        console.data([backup.as_data() for backup in listing.backups])
    elif listing.backups:
        console.out(table(_rows(listing.backups)))
    elif period is not None and not listing.empty:
        done = "is proven" if older_than is None else "has a backup"
        console.say(f"every source in {quote_name(listing.location)} {done} within {period}")
    elif period is None and not listing.hidden:
        what = f"no {state} backups" if state else "no backups"
        of = f" of {name!r}" if name else ""
        tagged = f" with the tag {quote_name(tag)}" if tag else ""
        console.say(f"{what}{of}{tagged} in {quote_name(listing.location)}")
    listing.raise_for_overdue(period or "")
    listing.raise_for_hidden()


def _list_copies(
    console: Console, store: "StoreLike", others: "Sequence[StoreLike]", wanted: int, name: str | None
) -> None:
    from holdfast.defaults import installed
    from holdfast.errors import quote_name
    from holdfast.operations.copies import list_copies

    listing = list_copies(store=store, others=others, wanted=wanted, registry=installed(), name=name)
    if console.json:
        console.data([backup.as_data() for backup in listing.backups])
    elif listing.backups:
        console.out(table(_rows(listing.backups)))
    elif not listing.lacking and not listing.empty:
        stores = "1 store" if wanted == 1 else f"{wanted} stores"
        console.say(f"the newest good backup of every source in {quote_name(listing.location)} lies in {stores}")
    listing.raise_for_lacking()


def _rows(backups: "Sequence[Backup]") -> list[dict[str, str]]:
    held = any(backup.held_until for backup in backups)
    return [_row(backup, held=held) for backup in backups]


def _row(backup: "Backup", *, held: bool) -> dict[str, str]:
    return {
        "ID": backup.id,
        "NAME": backup.name,
        "ENGINE": backup.engine,
        "STATE": backup.state + (", pinned" if backup.pinned else ""),
        "CREATED (UTC)": str(backup.created_at)[:19],
        "SIZE": size(backup.size_bytes),
        "STORED": size(backup.stored_bytes),
        "CODEC": backup.codec,
        **({"HELD UNTIL (UTC)": f"{backup.held_until:%Y-%m-%d %H:%M}" if backup.held_until else ""} if held else {}),
    }
