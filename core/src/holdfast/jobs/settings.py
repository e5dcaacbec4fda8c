"""The settings of one job: its own, else those of `[defaults]`, else what is built in; and where each is from."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from holdfast.decodable import decodable
from holdfast.defaults import default_store
from holdfast.duration import parse_duration
from holdfast.errors import UsageError
from holdfast.jobs.checking import nearest, policy_of_keep
from holdfast.jobs.model import BUILT_IN, PASSWORDS, TABLES, Config, Job, merged
from holdfast.jobs.reading import ConfigFile
from holdfast.policy import Policy
from holdfast.setup import StoreAddress

_EVENTS = ("before", "after", "failed", "finally_")
_ALONE = frozenset({*PASSWORDS, "ping"})  # a job that has one of these takes none of its kind from the defaults


class JobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A job with all that holds for it; durations in seconds, None for never."""

    name: str
    job: Job
    store: StoreAddress
    copies: tuple[StoreAddress, ...]
    every: float | None
    spread: float
    timeout: float
    verify_every: float | None
    drill_every: float | None
    retries: int
    retry_wait: float
    hook_timeout: float

    @property
    def keep(self) -> Policy | None:
        """What a prune leaves; None where there is no rule."""
        return policy_of_keep(msgspec.to_builtins(self.job.keep)) if self.job.keep else None

    @property
    def commands(self) -> list[str]:
        """The keys by which it runs programs."""
        keys = ["password_command"] if self.job.password_command else []
        keys += [f"hooks.{event.rstrip('_')}" for event in _EVENTS if getattr(self.job.hooks, event, None)]
        return keys + (["ping.command"] if self.job.ping and self.job.ping.command else [])


def choose(config: Config, names: tuple[str, ...], file: ConfigFile) -> list[str]:
    """The names of the jobs that are asked for, all where none is; an unknown one is a `UsageError`."""
    for name in names:
        if name not in config.job:
            known = nearest(name, [*config.job][:20]) if config.job else "it has none"
            raise UsageError(f"no job '{name}' in {file.path}, {known}")
    if not config.job:
        raise UsageError(f"{file.path} has no [job.NAME]")
    return list(dict.fromkeys(names)) or [*config.job]


def settings_of(name: str, config: Config, file: ConfigFile) -> JobSettings:
    """All that holds for a job of a file that has been checked."""
    job = msgspec.convert(effective(name, file), decodable(Job))
    return JobSettings(
        name=name,
        job=job,
        store=_address(_default_store() if job.store is None else job.store, config, file),
        copies=tuple(_address(store, config, file) for store in job.copy or ()),
        every=_seconds(job.every),
        spread=_seconds(job.spread) or 0.0,
        timeout=_seconds(job.timeout) or 0.0,
        verify_every=_seconds(job.verify.every if job.verify else None),
        drill_every=_seconds(job.drill.every if job.drill else None),
        retries=(job.retry.times if job.retry else None) or 0,
        retry_wait=_seconds(job.retry.wait if job.retry else None) or 0.0,
        hook_timeout=_seconds(job.hooks.timeout if job.hooks else None) or 0.0,
    )


def effective(name: str, file: ConfigFile) -> dict[str, Any]:
    """The table of a job with what it takes from the defaults and from what is built in."""
    own = file.document["job"][name]
    if own.keys() & _ALONE:
        return merged(*_sources(name, file.document))
    return merged(file.inherited, own)


def _sources(name: str, document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a job's settings are from, the weakest first."""
    own, defaults = document["job"][name], document.get("defaults", {})
    if any(key in own for key in PASSWORDS):
        defaults = {key: value for key, value in defaults.items() if key not in PASSWORDS}
    if "ping" in own:
        defaults = {key: value for key, value in defaults.items() if key != "ping"}
    yield BUILT_IN
    yield defaults
    yield own


def origins(name: str, file: ConfigFile) -> list[dict[str, Any]]:
    """Each setting of a job by its key, with where it is from: a line of the file, the environment, or built in."""
    rows: dict[str, dict[str, Any]] = {}
    _, defaults, own = _sources(name, file.document)
    for path, table in ((None, BUILT_IN), (("defaults",), defaults), (("job", name), own)):
        for key, value in _leaves(table):
            origin = "built in" if path is None else file.place(*path, *key)
            rows[".".join(key)] = {"key": ".".join(key), "value": value, "origin": origin}
    if "store" not in rows:
        origin = "environment (HOLDFAST_STORE)" if os.environ.get("HOLDFAST_STORE") else "built in"
        rows["store"] = {"key": "store", "value": default_store(), "origin": origin}
    return [rows[key] for key in sorted(rows)]


def _leaves(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if key in TABLES:
            yield from (((key, inner), each) for inner, each in value.items())
        else:
            yield (key,), value


def _default_store() -> str:
    """That of the environment is a path from where one is, the built-in one from the folder of the file."""
    return os.path.abspath(default_store()) if os.environ.get("HOLDFAST_STORE") else default_store()


def _address(store: str, config: Config, file: ConfigFile) -> StoreAddress:
    """A store by its name, path or URL; a path is relative to the folder of the file."""
    known = config.store.get(store)
    place, options = (known.url, known.options) if known else (store, {})
    return StoreAddress(_absolute(place, file.folder), options)


@cache
def _absolute(place: str, folder: str) -> str:
    return place if "://" in place else os.path.normpath(os.path.join(folder, os.path.expanduser(place)))


@cache
def _seconds(text: str | None) -> float | None:
    return None if text is None or text == "never" else parse_duration(text).total_seconds()
