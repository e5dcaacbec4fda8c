"""The jobs that `holdfast check` looks at."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from holdfast.cli.console import Console

if TYPE_CHECKING:
    from holdfast.jobs.job_check import JobCheck
    from holdfast.jobs.reading import ConfigFile


def find_jobs(
    console: Console, names: Sequence[str], config: str | None, *, everything: bool
) -> "tuple[ConfigFile | None, list[str]]":
    """Those of some names that are jobs, with the file that they stand in; all of the file with `everything`.

    A name that is no job is a store. Without a file there are no jobs, unless one was asked for; one that is wrong
    hinders no check of a folder that is there.
    """
    from holdfast.errors import NotFoundError, UsageError
    from holdfast.jobs.checking import checked
    from holdfast.jobs.reading import find_config
    from holdfast.jobs.settings import choose

    asked = everything or config is not None
    plain = [name for name in names if "/" not in name]
    if not (asked or plain):
        return None, []
    try:
        file = find_config(config, console.warn)
        known = checked(file)
    except NotFoundError:
        if asked:
            raise
        return None, []
    except UsageError:
        if asked or not all(os.path.isdir(name) for name in plain):
            raise
        return None, []
    if config is not None and not everything and names:
        choose(known, tuple(names), file)  # each is meant as a job
    return file, choose(known, (), file) if everything else [name for name in plain if name in known.job]


def job_checks(
    console: Console, file: "ConfigFile", names: Sequence[str], timeout: float
) -> Iterator[Callable[[], object]]:
    """What checks each job, in the folder of the file."""
    from holdfast.defaults import installed
    from holdfast.jobs.checking import checked
    from holdfast.jobs.children import Children
    from holdfast.jobs.job_check import JobChecker
    from holdfast.jobs.settings import settings_of

    known = checked(file)
    os.chdir(file.folder)
    checker = JobChecker(file, installed(), Children(file.folder), timeout=timeout)

    def check(name: str) -> None:
        result = checker.check(settings_of(name, known, file))
        if console.json:
            console.data({"type": "job", **result.as_data()})
        else:
            _show(console, result)
        if result.failure:
            raise type(result.failure)(f"{name}: {result.failure.message}", hint=result.failure.hint)

    for name in names:
        yield partial(check, name)


def _show(console: Console, result: "JobCheck") -> None:
    from holdfast.cli.check import show_requirements, show_store

    console.out(f"job {result.job}")
    if result.requirements:
        show_requirements(console, result.requirements)
    for source in result.databases:
        console.out(f"{result.job}: {source.source}")
        show_requirements(console, source.requirements)
    if result.drill:
        console.out(f"{result.job}: drills {result.drill.source}".rstrip())
        show_requirements(console, result.drill.requirements)
    for store in result.stores:
        console.out(f"{result.job}: store {store.location}")
        show_store(console, store)
