"""holdfast check."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_fields_option
from holdfast.cli.text import table


@click.command("check")
@click.argument("named", required=False, metavar="[PATH|URL]")
@store_fields_option
@json_option(run=False)
@output_options
@click.pass_context
def command(ctx: click.Context, named: str | None, store: str, store_options: dict[str, str]) -> None:
    """Try what a store lets us do and guarantees, without changing anything in it or leaving anything behind.

    The store may also be named without --store. It ends with the exit code that a backup into it would.
    """
    from holdfast.errors import UsageError
    from holdfast.operations.store_check import check_store

    console = ctx.find_object(Console) or Console(verbose=0, quiet=False, log_format=None)
    if named is not None and named != store:
        if ctx.get_parameter_source("store") is click.core.ParameterSource.COMMANDLINE:
            raise UsageError("two stores are named, one by --store and one without")
        store = named
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
