"""holdfast report."""

from typing import Any

import click

from holdfast.cli.console import Console
from holdfast.cli.options import output_options, overdue_options, stores_option
from holdfast.cli.policy_options import policy_options


@click.command("report")
@click.argument("file", metavar="FILE.html", type=click.Path())
@stores_option
@overdue_options("Call a source overdue", defaults=("26h", "8d"))
@policy_options
@output_options
@click.pass_obj
def command(
    console: Console,
    /,
    file: str,
    stores: tuple[str, ...],
    store_options: dict[str, str],
    older_than: str,
    unproven_for: str,
    **rules: Any,
) -> None:
    """Write one page of HTML on stores, without scripts and for any browser, readable by all.

    It has what is overdue or unproven, a calendar of each source with sizes and durations, and with the rules of
    `prune` what that would delete. What cannot be read is told on the page, and ends the command with its exit code.
    """
    from holdfast.cli.output_file import write_for_all
    from holdfast.policy import MAX_SHRINK, Policy
    from holdfast.rendering.page import page
    from holdfast.watching import made_report

    is_given = any(value for name, value in rules.items() if name != "max_shrink") or rules["max_shrink"] != MAX_SHRINK
    policy = Policy(**rules) if is_given else None
    report = made_report(
        *stores, store_options=store_options, older_than=older_than, unproven_for=unproven_for, policy=policy
    )
    write_for_all(file, page(report).encode())
    report.raise_for_unread()
    console.say(f"wrote {file}")
