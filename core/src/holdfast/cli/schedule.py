"""holdfast schedule."""

import click

from holdfast.cli.console import Console
from holdfast.cli.options import config_option, output_options
from holdfast.cli.standard_streams import output


@click.command("schedule")
@click.argument("kind", type=click.Choice(["systemd", "cron", "kubernetes"]))
@config_option
@click.option("--every", default="10m", show_default=True, metavar="TIME", help="How often to look what is due.")
@click.option("--user", default="holdfast", show_default=True, metavar="NAME", help="The user that runs it.")
@click.option("--image", default="IMAGE", show_default=True, metavar="NAME", help="The image, for Kubernetes.")
@output_options
@click.pass_obj
def command(console: Console, kind: str, config: str | None, every: str, user: str, image: str) -> None:
    """Print what has `holdfast run --due` called now and then: units of systemd, a line of cron, or a CronJob.

    Nothing is installed.
    """
    from holdfast.cli.console import writing
    from holdfast.duration import parse_duration
    from holdfast.jobs import schedules
    from holdfast.jobs.checking import checked
    from holdfast.jobs.reading import find_config

    seconds = parse_duration(every).total_seconds()
    file = find_config(config, console.warn)
    folders = schedules.stores_in_files(checked(file), file)
    if kind == "systemd":
        text = schedules.systemd(file, folders, every=every, seconds=max(seconds, 60), user=user)
    elif kind == "cron":
        text = schedules.cron(file, seconds=seconds, user=user)
    else:
        text = schedules.kubernetes(folders, seconds=seconds, image=image)
    with writing():
        print(text, end="", file=output(), flush=True)
