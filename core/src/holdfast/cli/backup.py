"""holdfast backup."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from holdfast.api import Operation
from holdfast.cli.console import Console
from holdfast.cli.options import (
    CheckedCommand,
    assign_option,
    check_option,
    engine_options,
    exclude_kind_option,
    exclude_option,
    extension_option,
    jobs_option,
    json_option,
    output_options,
    recipient_options,
    retain_options,
    select_option,
    store_fields_option,
    wait_option,
)
from holdfast.cli.text import size
from holdfast.errors import HoldfastError, PartialError, UsageError, quote_name
from holdfast.url import redact

if TYPE_CHECKING:
    from holdfast.backup_set import FailedBackup
    from holdfast.operations.backup import Preview
    from holdfast.record import Backup


@click.command("backup", cls=CheckedCommand)
@click.argument("urls", nargs=-1, metavar="URL...")
@click.option("--plan", "plan_file", metavar="FILE", help="Make the backup of this plan, in JSON; - is standard input.")
@store_fields_option
@click.option("--name", help="Name of the source in the store  [default: from the URL]")
@click.option("--codec", metavar="NAME[:LEVEL]", help="Codec  [default: zstd:1, else gzip:1, else none]")
@click.option("--checksum", "checksums", multiple=True, metavar="NAME", help="Another checksum besides sha256.")
@recipient_options
@jobs_option
@select_option
@exclude_option
@exclude_kind_option
@assign_option
@extension_option
@click.option("--proof/--no-proof", default=None, help="Record a proof of the content, for drills.")
@check_option("The engine's own check of the source.")
@click.option("--allow-damaged", is_flag=True, help="Back up a damaged source and mark the backup as damaged.")
@click.option(
    "--all-databases",
    is_flag=True,
    help="Back up every database of each server or folder, chosen by --select and --exclude.",
)
@click.option(
    "--verify-written",
    type=click.Choice(["none", "sample", "all"]),
    help="How much of what was written is read back and decoded before the backup counts  [default: sample]",
)
@click.option("--min-size", metavar="SIZE", help="Refuse a backup of less than SIZE, such as 20MB, uncompressed.")
@click.option(
    "--max-shrink",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Refuse a database that has shrunk by more since its last backup  [default: warn beyond 90]",
)
@click.option("--create/--no-create", default=True, help="Whether a store that is not there is made.")
@click.option("--foreign-store", is_flag=True, help="Write into a store that belongs to another user.")
@click.option("--adopt", is_flag=True, help="Take over a --name that belongs to another database.")
@click.option(
    "--host", metavar="NAME", help="Name of this host, where that changes as in containers  [default: the system's]"
)
@click.option("--tag", "tags", multiple=True, help="Tag the backup.")
@click.option(
    "--run",
    metavar="TEXT",
    help="The occurrence that it is for, such as nightly-2026-11-29: a good backup of it is not made twice.",
)
@retain_options
@wait_option
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@json_option(run=True)
@output_options
@click.pass_obj
@click.pass_context
def command(
    ctx: click.Context,
    console: Console,
    /,
    urls: tuple[str, ...],
    plan_file: str | None,
    dry_run: bool,
    all_databases: bool,
    wait: float,
    **options: Any,
) -> None:
    """Back up one or more databases, each named by its URL.

    Prints the id of each new backup.
    """
    if plan_file is not None:
        _check_alone(ctx)
        _back_up_plan(console, plan_file, wait, dry_run=dry_run)
        return
    if not urls:
        raise click.MissingParameter(ctx=ctx, param_hint="'URL...'", param_type="argument")
    urls = tuple(dict.fromkeys(urls))
    if all_databases:
        urls = _all_databases(console, urls, options, dry_run=dry_run)
    if (len(urls) > 1 or all_databases) and options["name"]:
        raise UsageError("--name goes with one database", hint="back up one at a time, or omit --name")
    if dry_run:
        _preview_all(console, urls, options)
    elif all_databases or len(urls) > 1:
        _back_up_all(console, urls, options, wait)
    else:
        _back_up(console, urls[0], options, wait)


def _all_databases(
    console: Console, urls: tuple[str, ...], options: dict[str, Any], *, dry_run: bool
) -> tuple[str, ...]:
    """The URLs of every database at `urls`; --select and --exclude choose among them and go no further."""
    from holdfast.backup_set import find_sources
    from holdfast.defaults import installed
    from holdfast.run import Run

    select: tuple[str, ...] = options["select"]
    exclude: tuple[str, ...] = options["exclude"]
    options.update(select=(), exclude=())
    with Run(Operation.BACKUP, registry=installed(), on_event=console.watch, dry_run=dry_run) as run:
        return find_sources(urls, run=run, select=select, exclude=exclude, note=console.say)


def _fields(console: Console, options: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
    """The fields of a plan."""
    from holdfast.defaults import installed
    from holdfast.run import Run

    fields = dict(options)
    with Run(Operation.BACKUP, registry=installed(), on_event=console.watch, dry_run=dry_run):
        assignments = engine_options(fields.pop("assignments"), fields.pop("extensions"))
        checksums = tuple(name.strip() for text in fields.pop("checksums") for name in text.split(","))
        return {**fields, "options": assignments, "checksums": checksums}


def _preview_all(console: Console, urls: tuple[str, ...], options: dict[str, Any]) -> None:
    from holdfast.defaults import installed
    from holdfast.operations.backup import preview
    from holdfast.plan import BackupPlan
    from holdfast.run import Run

    registry = installed()
    failures = 0
    for url in urls:
        console.last_id = ""
        try:
            fields = _fields(console, options, dry_run=True)
            with Run(Operation.BACKUP, registry=registry, on_event=console.watch, dry_run=True):
                plan = BackupPlan(source=url, **fields)
            _show_preview(console, preview(plan, registry=registry, on_event=console.watch))
        except HoldfastError as error:
            if len(urls) == 1:
                raise
            failures += 1
            _show_failure(console, redact(url), error)
    if failures:
        raise PartialError(f"{failures} of {len(urls)} backups failed")


def _back_up_all(console: Console, urls: tuple[str, ...], options: dict[str, Any], wait: float) -> None:
    from holdfast.backup_set import FailedBackup, back_up_all
    from holdfast.defaults import installed
    from holdfast.patience import Patience

    def show(result: "Backup | FailedBackup") -> None:
        if not isinstance(result, FailedBackup):
            _show_backup(console, result)
        elif len(urls) == 1:
            raise result.error
        else:
            _show_failure(console, result.source_url, result.error)
        console.last_id = ""

    console.last_id = ""
    fields = _fields(console, options)
    patience = Patience(wait, console.warn)
    done = back_up_all(urls, fields, registry=installed(), on_event=console.watch, on_result=show, patience=patience)
    if done.backups:
        moment = ", all of one moment" if done.one_moment and len(done.backups) > 1 else ""
        console.say(f"{len(done.backups)} of {len(urls)} databases backed up with the tag {done.tag}{moment}")
    done.raise_for_failures()


def _back_up(console: Console, url: str, options: dict[str, Any], wait: float) -> None:
    from holdfast.defaults import installed
    from holdfast.operations.backup import backup
    from holdfast.patience import Patience
    from holdfast.plan import BackupPlan
    from holdfast.run import Run

    console.last_id = ""
    registry = installed()
    fields = _fields(console, options)
    with Run(Operation.BACKUP, registry=registry, on_event=console.watch):
        plan = BackupPlan(source=url, **fields)
    patience = Patience(wait, console.warn)
    _show_backup(console, patience.until_free(lambda: backup(plan, registry=registry, on_event=console.watch)))


def _check_alone(ctx: click.Context) -> None:
    """Refuse what a plan says itself."""
    others = {"plan_file", "dry_run", "wait", "store", "jobs"}  # the last two may be from the environment
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        given = source is click.core.ParameterSource.COMMANDLINE
        if given and parameter.expose_value and (name not in others or name in ("store", "jobs")):
            raise UsageError(f"{'URL' if name == 'urls' else parameter.opts[0]} is for the plan itself to say")


def _back_up_plan(console: Console, path: str, wait: float, *, dry_run: bool) -> None:
    """Make the backup of a plan that a file or standard input holds, secrets included."""
    from holdfast.defaults import installed
    from holdfast.operations.backup import backup, preview
    from holdfast.patience import Patience
    from holdfast.plan import BackupPlan
    from holdfast.run import Run

    console.last_id = ""
    registry = installed()
    with (
        Run(Operation.BACKUP, registry=registry, on_event=console.watch, dry_run=dry_run),
        click.open_file(path, "rb") as file,
    ):
        plan = BackupPlan.from_json(file.read())
    if dry_run:
        _show_preview(console, preview(plan, registry=registry, on_event=console.watch))
        return
    patience = Patience(wait, console.warn)
    _show_backup(console, patience.until_free(lambda: backup(plan, registry=registry, on_event=console.watch)))


def _show_failure(console: Console, source: str, error: HoldfastError) -> None:
    message = error.message if source in error.message else f"{source}: {error.message}"
    console.failed(HoldfastError(message, hint=error.hint), error.exit_code)


def _show_backup(console: Console, record: "Backup") -> None:
    if console.json:
        console.data({"type": "backup", **record.as_data()})
        return
    if record.reused:
        console.say(
            f"'{record.name}' has been backed up for the run {quote_name(record.run)} already: nothing was dumped"
        )
        console.out(record.id)
        return
    console.say(
        f"backed up '{record.name}' ({record.engine}) in {record.duration_seconds:.1f} s: "
        f"{size(record.size_bytes)} as {size(record.stored_bytes)} ({record.codec})"
    )
    console.out(record.id)


def _show_preview(console: Console, preview: "Preview") -> None:
    if console.json:
        streams = [{"name": stream.name, "size_bytes": stream.size} for stream in preview.streams]
        console.data({"type": "plan", **asdict(preview), "streams": streams})
        return
    if preview.reuses:
        console.out(f"would dump nothing: {preview.reuses} of '{preview.name}' has been made for that run already")
        return
    console.out(
        f"would back up {preview.source} as '{preview.name}' into {preview.store} "
        f"({preview.codec}, {preview.jobs} jobs)"
    )
    for stream in preview.streams:
        console.out(f"  {stream.name}  {'size unknown' if stream.size is None else size(stream.size)}")
