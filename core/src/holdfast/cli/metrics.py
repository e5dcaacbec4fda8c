"""holdfast metrics."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import output_options, overdue_options, stores_option


@click.command("metrics")
@stores_option
@overdue_options("Tell alerts that a source is overdue")
@click.option(
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Write to FILE, in one step and readable by all, for the textfile collector of Prometheus' node exporter.",
)
@output_options
@click.pass_obj
def command(
    console: Console,
    stores: tuple[str, ...],
    store_options: dict[str, str],
    older_than: str | None,
    unproven_for: str | None,
    output: str | None,
) -> None:
    """Print what a store tells of its sources as metrics for Prometheus: times, sizes, numbers of backups.

    Of several stores all are told, or none: what cannot be read is an error, and FILE stays as it was.
    """
    from holdfast.watching import metrics

    text = metrics(*stores, store_options=store_options, older_than=older_than, unproven_for=unproven_for)
    if output is None:
        console.out(text.removesuffix("\n"))
        return
    from holdfast.cli.output_file import write_for_all

    write_for_all(output, text.encode())
