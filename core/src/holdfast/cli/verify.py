"""holdfast verify."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console, StdoutError
from holdfast.cli.options import identity_option, jobs_option, json_option, output_options, store_option, wait_option
from holdfast.cli.text import size, visible

if TYPE_CHECKING:
    from holdfast.identities import IdentitySource
    from holdfast.operations.verify import Unchecked, VerifyResult
    from holdfast.setup import StoreLike


@click.command("verify")
@click.argument("backups", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every backup of the store (the default without an ID).")
@click.option("--read-data", is_flag=True, help="Decompress everything and compare the plain digests too.")
@store_option
@identity_option
@jobs_option
@wait_option
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console,
    backups: tuple[str, ...],
    everything: bool,
    read_data: bool,
    store: "StoreLike",
    identity: "IdentitySource",
    jobs: int | None,
    wait: float,
) -> None:
    """Check backups: structure, then stored digests, then with --read-data all of the plain data.

    The result is recorded with each backup. Exit 13 if one is damaged, 3 if some of several could not be checked.
    """
    from holdfast.defaults import installed
    from holdfast.errors import UsageError
    from holdfast.operations.verify import Unchecked, Verification
    from holdfast.patience import Patience

    if everything and backups:
        raise UsageError("--all and ids exclude each other")
    verification = Verification(
        backups,
        store=store,
        registry=installed(),
        read_data=read_data,
        jobs=jobs,
        on_event=console.watch,
        patience=Patience(wait, console.warn),
        identity=identity,
    )
    for outcome in verification:
        console.last_id = outcome.id
        if isinstance(outcome, Unchecked):
            _show_unchecked(console, outcome)
        else:
            _show(console, outcome)
    if not verification.entries:
        console.warn("there are no backups to verify")  # also with -q: exit 0 says that all are well
    verification.raise_for_failures()


def _show_unchecked(console: Console, unchecked: "Unchecked") -> None:
    error = unchecked.error
    if isinstance(error, StdoutError) or isinstance(error.__cause__, BrokenPipeError):
        raise error  # going on would tell nobody anything
    if unchecked.gone:
        console.warn(error.message)
    else:
        console.failed(error, error.exit_code)


def _show(console: Console, result: "VerifyResult") -> None:
    if console.json:
        console.data({"type": "verify", **result.as_data()})
        return
    word = "ok     " if result.passed else "DAMAGED"
    console.out(f"{word} {result.id}  {result.name}  {result.depth}, {size(result.size_bytes)}")
    for problem in result.problems:
        console.out(f"        {visible(problem)}")
