"""holdfast completion."""

import click

from holdfast.cli.options import output_options
from holdfast.cli.standard_streams import output


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@output_options
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; for bash: eval "$(holdfast completion bash)"."""
    from click.shell_completion import get_completion_class

    from holdfast.cli.console import writing

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (the three that click has)
    with writing():
        click.echo(kind(ctx.find_root().command, {}, "holdfast", "_HOLDFAST_COMPLETE").source(), file=output())
