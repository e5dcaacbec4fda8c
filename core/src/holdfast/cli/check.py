"""holdfast check."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_options_option
from holdfast.cli.text import table


@click.command("check")
@click.argument("store", required=False, envvar="HOLDFAST_STORE", default="./backups", metavar="[PATH|URL]")
@store_options_option
@json_option(run=False)
@output_options
@click.pass_obj
def command(console: Console, store: str, store_options: dict[str, str]) -> None:
    """Try what a store lets us do and guarantees, without changing anything in it or leaving anything behind.

    The store is PATH or URL, HOLDFAST_STORE or ./backups. It ends with the exit code that a backup into it would.
    """
    from holdfast.operations.store_check import check_store

    result = check_store(store, store_options=store_options)
    if console.json:
        console.data(result.as_data())
    else:
        answers = {True: "yes", False: "no", None: "cannot be told"}
        rows = [
            {"CHECK": each.name, "ANSWER": answers[each.holds], "DETAIL": each.detail} for each in result.guarantees
        ]
        console.out(table(rows))
    result.raise_for_failure()
