"""The options that make a policy of retention, of the commands that apply one or show what it would do."""

from collections.abc import Callable
from typing import Any

import click

from holdfast.policy import MAX_SHRINK

_COUNT = click.IntRange(1)
_OPTIONS = (
    click.option("--max-age", metavar="DURATION", help="Delete what is older, such as 30d or 36h."),
    click.option("--max-age-days", type=click.FloatRange(0), metavar="DAYS", help="The same in days."),
    click.option("--max-backups", type=click.IntRange(0), metavar="N", help="Delete all but the newest N."),
    click.option("--keep-last", type=_COUNT, metavar="N", help="Keep the newest N."),
    click.option("--keep-hourly", type=_COUNT, metavar="N", help="Keep the newest of each of the newest N hours."),
    click.option("--keep-daily", type=_COUNT, metavar="N", help="… of each of the newest N days (UTC)."),
    click.option("--keep-weekly", type=_COUNT, metavar="N", help="… of each of the newest N weeks (ISO 8601)."),
    click.option("--keep-monthly", type=_COUNT, metavar="N", help="… of each of the newest N months."),
    click.option("--keep-yearly", type=_COUNT, metavar="N", help="… of each of the newest N years."),
    click.option("--keep-within", metavar="DURATION", help="Keep all of so long before the newest, such as 30d."),
    click.option("--keep-tag", "keep_tags", multiple=True, metavar="TAG", help="Keep backups with this tag, always."),
    click.option(
        "--max-shrink",
        type=click.FloatRange(0, 100),
        default=MAX_SHRINK,
        metavar="PERCENT",
        help="What shrank by more replaces no other until it has the tag `confirmed`  [default: 90]",
    ),
)


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The rules of a `Policy`, each as an option."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
