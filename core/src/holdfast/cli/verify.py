"""holdfast verify."""

import click

from holdfast.cli.console import Console, StdoutError
from holdfast.cli.options import jobs_option, json_option, output_options, store_option
from holdfast.cli.text import size, visible


@click.command("verify")
@click.argument("backups", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every backup of the store (the default without an ID).")
@click.option("--read-data", is_flag=True, help="Decompress everything and compare the plain digests too.")
@store_option
@jobs_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console, backups: tuple[str, ...], everything: bool, read_data: bool, store: str, jobs: int | None
) -> None:
    """Check backups: structure, then stored digests, then with --read-data all of the plain data.

    The result is recorded with each backup. Exit 13 if one is damaged, 3 if some of several could not be checked.
    """
    from holdfast.defaults import installed
    from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, PartialError, UsageError
    from holdfast.operations.verify import VerifyResult, select, verify
    from holdfast.store.catalog import Catalog

    if everything and backups:
        raise UsageError("--all and ids exclude each other")
    registry = installed()
    catalog = Catalog(registry.storage(store))
    catalog.open()
    failed: list[VerifyResult] = []
    unchecked = 0
    entries = select(catalog, backups)
    for entry in entries:
        console.last_id = entry.id
        try:
            result = verify(
                entry,
                storage=catalog.storage,
                registry=registry,
                read_data=read_data,
                jobs=jobs,
                on_event=console.watch,
            )
        except HoldfastError as error:
            if len(entries) == 1 or isinstance(error, StdoutError) or isinstance(error.__cause__, BrokenPipeError):
                raise
            if isinstance(error, NotFoundError) and not entry.unreadable and not backups:
                console.warn(error.message)  # nobody asked for that one, and it is gone
                continue
            unchecked += 1
            console.failed(error, error.exit_code)
            continue
        if console.json:
            console.data({"type": "verify", **result.as_data()})
        else:
            word = "ok     " if result.passed else "DAMAGED"
            console.out(f"{word} {result.id}  {result.name}  {result.depth}, {size(result.size_bytes)}")
            for problem in result.problems:
                console.out(f"        {visible(problem)}")
        if not result.passed:
            failed.append(result)
    if not entries:
        console.say("no backups to verify")
    if failed:
        good = catalog.newest_good(failed[0].name)
        hint = f"the newest good backup is {good.id}" if good else f"no backup of '{failed[0].name}' is good"
        names = ", ".join(result.id for result in failed[:5]) + (", …" if len(failed) > 5 else "")
        are = "backup is" if len(entries) == 1 else "backups is" if len(failed) == 1 else "backups are"
        raise IntegrityError(f"{len(failed)} of {len(entries)} {are} damaged: {names}", hint=hint)
    if unchecked:
        raise PartialError(f"{unchecked} of {len(entries)} backups could not be checked")
