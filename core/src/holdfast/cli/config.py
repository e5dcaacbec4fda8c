"""holdfast config."""

from typing import Any

import click

from holdfast.cli.console import Console
from holdfast.cli.options import config_option, json_option, output_options
from holdfast.cli.text import table


@click.group("config")
def command() -> None:
    """Check holdfast.toml, and show what holds for each job and why."""


@command.command("validate")
@config_option
@json_option(run=False)
@output_options
@click.pass_obj
def validate(console: Console, config: str | None) -> None:
    """Say what is wrong with holdfast.toml, each with its line; exit 2 if anything is."""
    from holdfast.errors import UsageError
    from holdfast.jobs.checking import check
    from holdfast.jobs.reading import find_config

    file = find_config(config, console.warn)
    known, problems = check(file)
    jobs = len(known.job) if known else 0
    if console.json:
        listed = [{**each.as_data(), "line": file.lines.of(each.path)} for each in problems]
        console.data({"path": file.path, "jobs": jobs, "trusted": file.trusted, "problems": listed})
    for problem in problems if not console.json else ():
        console.out(problem.text(file))
    if problems:
        count = f"{len(problems)} things are" if len(problems) > 1 else "one thing is"
        raise UsageError(f"{count} wrong with {file.path}", hint=problems[0].hint)
    if not console.json:
        console.out(f"{file.path}: {jobs} job{'' if jobs == 1 else 's'}")


@command.command("show")
@click.argument("jobs", nargs=-1, metavar="[JOB...]")
@config_option
@json_option(run=False)
@output_options
@click.pass_obj
def show(console: Console, jobs: tuple[str, ...], config: str | None) -> None:
    """Show every setting of each JOB, all if none is named, and where it is from: a line, the environment, built in."""
    from holdfast.jobs.checking import checked
    from holdfast.jobs.reading import find_config
    from holdfast.jobs.settings import choose, origins

    file = find_config(config, console.warn)
    names = choose(checked(file), jobs, file)
    settings: dict[str, list[dict[str, Any]]] = {name: origins(name, file) for name in names}
    if console.json:
        console.data({"path": file.path, "trusted": file.trusted, "jobs": settings})
        return
    from holdfast.cli.text import as_json

    rows = [
        {"JOB": name, "SETTING": row["key"], "VALUE": as_json(row["value"]), "FROM": row["origin"]}
        for name, rows in settings.items()
        for row in rows
    ]
    console.out(table(rows))
