"""holdfast run."""

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.console import Console, StdoutError
from holdfast.cli.options import config_option, json_option, output_options
from holdfast.cli.text import as_json

if TYPE_CHECKING:
    from holdfast.jobs.selecting import Selector
    from holdfast.jobs.settings import JobSettings


@click.command("run")
@click.argument("jobs", nargs=-1, metavar="[JOB...]")
@click.option("--due", is_flag=True, help="Do what is due, of all jobs or of each JOB.")
@click.option("--all", "everything", is_flag=True, help="Run every job now.")
@config_option
@click.option(
    "--executor",
    metavar="NAME|URL",
    default="threads",
    show_default=True,
    help="What carries it out: threads of this process, or the workers of dask://HOST:PORT.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@json_option(run=True)
@output_options
@click.pass_obj
def command(
    console: Console,
    jobs: tuple[str, ...],
    due: bool,
    everything: bool,
    config: str | None,
    executor: str,
    dry_run: bool,
) -> None:
    """Run jobs of holdfast.toml: each JOB now, all of them with --all, or with --due what is due.

    For each database one line says what became of it. Exit 3 if something failed.
    """
    from holdfast.api import Kind
    from holdfast.defaults import installed
    from holdfast.errors import PartialError, UsageError
    from holdfast.jobs.checking import checked
    from holdfast.jobs.children import Children
    from holdfast.jobs.elsewhere import LOCAL, Elsewhere
    from holdfast.jobs.limits import HostLocks, state_folder
    from holdfast.jobs.reading import find_config
    from holdfast.jobs.runner import Runner
    from holdfast.jobs.selecting import Selector
    from holdfast.jobs.settings import choose, settings_of

    if everything and (due or jobs):
        raise UsageError("--all goes with neither --due nor a JOB")
    if not (jobs or due or everything):
        raise UsageError("which jobs?", hint="name each JOB, or use --due for what is due, or --all for all of them")
    file = find_config(config, console.warn)
    known = checked(file)
    chosen = (settings_of(name, known, file) for name in choose(known, jobs, file))
    os.chdir(file.folder)
    children = Children(file.folder)
    registry, elsewhere = installed(), executor != LOCAL
    selector = Selector(file, registry, children, forced=not due, elsewhere=elsewhere)
    if dry_run:
        registry.find(Kind.EXECUTOR, executor.partition("://")[0].lower())
        _preview(console, selector, chosen)
        return
    teller = _Teller(console)
    runner = Runner(
        file,
        selector,
        children,
        HostLocks(state_folder()),
        known.limits,
        tell=teller.tell,
        warn=console.warn,
        threads=registry.executor(LOCAL),
        elsewhere=Elsewhere.open(executor, selector) if elsewhere else None,
    )
    runner.run(chosen)
    if runner.failures:
        untold = f", and {teller.failure}" if isinstance(teller.failure, StdoutError) else ""
        raise PartialError(f"{runner.failures} of {max(runner.databases, runner.failures)} failed{untold}")
    if teller.failure is not None:
        raise teller.failure
    if not console.json:
        console.say(f"{runner.databases} databases done" if runner.databases else "nothing was due")


class _Teller:
    """Tells what became of each database for as long as that can be told: a full disk of logs stops no backup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.failure: StdoutError | BrokenPipeError | None = None

    def tell(self, data: dict[str, Any]) -> None:
        """Tell of one database or job."""
        if self.failure is not None:
            return
        try:
            _tell(self._console, data)
        except (StdoutError, BrokenPipeError) as error:
            self.failure = error


def _preview(console: Console, selector: "Selector", chosen: "Iterable[JobSettings]") -> None:
    from holdfast.errors import HoldfastError, PartialError

    failures = 0
    lines: list[str] = []  # of thousands of jobs: each by itself would take as long as all the rest
    for settings in chosen:
        try:
            databases = selector.databases(settings, partial(_warn, console, settings.name))
        except HoldfastError as error:
            failures += 1
            console.failed(HoldfastError(f"{settings.name}: {error.message}", hint=error.hint), error.exit_code)
            continue
        for database in databases:
            data = {"job": settings.name, "source": database.recorded_url, "run": database.run, "due": database.due}
            if console.json:
                lines.append(as_json({"type": "plan", **data}))
            else:
                due = ", ".join(database.due)
                lines.append(f"{settings.name}  {database.recorded_url}  {due}  (run {database.run})")
    if lines:
        console.out("\n".join(lines))
    if failures:
        raise PartialError(f"{failures} jobs could not be looked at")


def _warn(console: Console, job: str, text: str) -> None:
    console.warn(f"{job}: {text}")


def _tell(console: Console, data: dict[str, Any]) -> None:
    if console.json:
        console.data(data)
    elif data["type"] == "skipped":
        console.out(f"{data['job']}  skipped: {data['reason']}")
    elif data["type"] == "job":
        console.out(f"{data['job']}  FAILED ({data['exit_code']}): {data['message']}")
    else:
        steps = [_step(step) for step in data["steps"]]
        console.out(f"{data['job']}  {data['source']}  {data['id'] or '-'}  {', '.join(steps)}")
        for warning in data["warnings"]:
            console.warn(f"{data['source']}: {warning}")


def _step(step: dict[str, Any]) -> str:
    if step["exit_code"]:
        return f"{step['step']} FAILED ({step['exit_code']}): {step['message']}"
    return f"{step['step']} reused" if step.get("reused") else f"{step['step']} ok"
