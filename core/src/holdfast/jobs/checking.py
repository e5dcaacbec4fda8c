"""What is wrong with a `holdfast.toml`: each thing with its line, what was expected, and the nearest name."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from holdfast.decodable import decodable
from holdfast.duration import parse_duration
from holdfast.errors import HoldfastError, UsageError, lower_first, quote_name
from holdfast.jobs.model import PASSWORDS, Config, Job, Settings, Store
from holdfast.jobs.reading import ConfigFile, decoded
from holdfast.plan import BackupFields, BackupPlan
from holdfast.policy import Policy
from holdfast.url import DatabaseURL, secrets_of

# Fields of a plan that a job has in other places.
_ELSEWHERE = frozenset({"source", "store", "store_options", "run"})
_NEVER = "never"
_PLAIN = re.compile(r"[a-z][a-z0-9]*://(?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9_.-]*(?::[1-9][0-9]{0,3})?(?:/[A-Za-z0-9_./-]+)?")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

Key = tuple[str, ...]


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, what, and what to do."""

    path: Key
    message: str
    hint: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"key": ".".join(map(_key, self.path)), "message": self.message, "hint": self.hint}

    def text(self, file: ConfigFile) -> str:
        """A line that says where it is and what."""
        key = ".".join(map(_key, self.path))
        return f"{file.place(*self.path)}: {key}{': ' if key else ''}{self.message}"


def checked(file: ConfigFile) -> Config:
    """What a file says; the first thing that is wrong with it is a `UsageError`."""
    config, problems = check(file)
    if config is None or problems:
        more = f"; and {len(problems) - 1} more (holdfast config validate tells all)" if len(problems) > 1 else ""
        raise UsageError(f"{problems[0].text(file)}{more}", hint=problems[0].hint)
    return config


def check(file: ConfigFile) -> tuple[Config | None, list[Problem]]:
    """What a file says, and everything that is wrong with it."""
    config = decoded(file)
    problems = list(_semantic(config)) if config else list(_shape(file.document))
    if config is None and not problems:
        problems = [Problem((), "it is not as expected")]
    return config, problems


def _key(key: str) -> str:
    return key if key and set(key) <= _NAME else quote_name(key)


def nearest(name: str, known: list[str]) -> str:
    """What else may have been meant, as the end of a message."""
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"


# --- the shape ---


def _shape(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is of a wrong type or unknown, table by table."""
    yield from _table((), {key: value for key, value in document.items() if key not in ("store", "job")}, Config)
    for group, kind in (("store", Store), ("job", Job)):
        tables = document.get(group, {})
        if not isinstance(tables, dict):
            yield Problem((group,), f"expected tables [{group}.NAME], got {_type(tables)}")
            continue
        for name, table in tables.items():
            if isinstance(table, dict):
                yield from _table((group, name), table, kind)
            else:
                yield Problem((group, name), f"expected a table [{group}.{_key(name)}], got {_type(table)}")


def _table(path: Key, table: Mapping[str, Any], kind: type) -> Iterator[Problem]:
    fields = {each.encode_name: each for each in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            yield Problem((*path, key), f"unknown, {nearest(key, [*fields])}")
            continue
        struct = next((each for each in _structs(fields[key].type)), None)
        if struct is not None and isinstance(value, dict):
            yield from _table((*path, key), value, struct)
            continue
        try:
            msgspec.convert(value, decodable(fields[key].type))
        except msgspec.ValidationError as error:
            yield Problem((*path, key), _type_message(error))
    for key, each in fields.items():
        if each.required and key not in table:
            yield Problem(path, f"it has no {key}")


def _type_message(error: Exception) -> str:
    """What msgspec says of a value, in the words of TOML."""
    message = lower_first(str(error)).replace(" - at `$", " at `").replace("`", "").replace(" | null", "")
    for type_, words in (("int", "a whole number"), ("str", "a text"), ("array", "a list"), ("object", "a table")):
        message = re.sub(rf"\b{type_}\b", words, message)
    return message.replace("bool", "true or false")


def _structs(kind: Any) -> Iterator[type]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for each in getattr(kind, "__args__", ()):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            yield each


def _type(value: Any) -> str:
    return {str: "a text", list: "a list", int: "a number"}.get(type(value), type(value).__name__)


# --- what it means ---


def _semantic(config: Config) -> Iterator[Problem]:
    """What is of the right type and means nothing."""
    for name, store in config.store.items():
        if secrets_of(store.url):
            yield Problem(("store", name, "url"), "it holds a secret", _REFERENCE)
        elif not store.url:
            yield Problem(("store", name, "url"), "it is empty, expected a path or URL")
    memo: dict[str, str] = {}
    yield from _settings(("defaults",), config.defaults, config, memo)
    for name, job in config.job.items():
        if not name or len(name) > 100 or set(name) - _NAME:
            yield Problem(("job", name), "not a name of a job, expected 1 to 100 of letters, digits and . _ -")
        yield from _settings(("job", name), job, config, memo)
        yield from _source(("job", name), job)


_REFERENCE = "name where it is instead: password_command, password_file, password_env, or the engine's own file"

_INTO = "let its password be read from the engine's own file, such as ~/.pgpass, or from the environment"


def _source(path: Key, job: Job) -> Iterator[Problem]:
    if why := _url_problem(job.source):
        yield Problem((*path, "source"), why, _REFERENCE if "secret" in why else None)
    if job.databases is None and (job.exclude or job.max_missing):
        key = "exclude" if job.exclude else "max_missing"
        yield Problem((*path, key), "it goes with databases", 'write databases = "*" for all of a server or folder')
    if job.databases is not None and job.backup and job.backup.get("name"):
        yield Problem((*path, "backup", "name"), "a name goes with one database")


def _url_problem(url: str) -> str:
    """Why a URL cannot be a source here, or nothing; of thousands, most are plain to see."""
    if _PLAIN.fullmatch(url):
        return ""
    try:
        return "it holds a secret" if DatabaseURL.parse(url).secrets else ""
    except UsageError as error:
        return error.message


def _settings(path: Key, settings: Settings, config: Config, memo: dict[str, str]) -> Iterator[Problem]:
    for key in ("every", "spread", "timeout"):
        yield from _duration((*path, key), getattr(settings, key), never=key == "every")
    for table, key in (("verify", "every"), ("drill", "every"), ("retry", "wait"), ("hooks", "timeout")):
        value = getattr(getattr(settings, table), key) if getattr(settings, table) else None
        yield from _duration((*path, table, key), value, never=key == "every")
    for key in ("store", "copy"):
        value = getattr(settings, key)
        for name in (value,) if isinstance(value, str) else value or ():
            if why := _store_problem(name, config.store.keys()):
                yield Problem((*path, key), why, _REFERENCE if "secret" in why else None)
    if settings.drill and settings.drill.into and (why := _url_problem(settings.drill.into)):
        yield Problem((*path, "drill", "into"), why, _INTO if "secret" in why else None)
    given = [key for key in PASSWORDS if getattr(settings, key) is not None]
    if len(given) > 1:
        yield Problem((*path, given[1]), f"there is {given[0]} already, and only one of them counts")
    if settings.ping and sum(getattr(settings.ping, key) is not None for key in ("command", "file", "env")) != 1:
        yield Problem((*path, "ping"), "expected one of command, file and env, where its URL is")
    if settings.keep and (why := _remembered(memo, _keep_problem, msgspec.to_builtins(settings.keep))):
        yield Problem((*path, "keep"), why)
    if settings.backup and (why := _remembered(memo, _plan_problem, settings.backup)):
        key, _, rest = why.partition("\0")
        yield Problem((*path, "backup", key) if rest else (*path, "backup"), rest or why)


@lru_cache(maxsize=4096)
def _duration_problem(text: str) -> str:
    try:
        seconds = parse_duration(text).total_seconds()
    except UsageError as error:
        return error.message
    return "" if seconds < 10 * 366 * 86400 else "it is more than ten years"


def _duration(path: Key, text: str | None, *, never: bool) -> Iterator[Problem]:
    if text is None or (never and text == _NEVER):
        return
    why = _duration_problem(text) or (
        "it is no time at all" if never and text[:1] == "0" and not parse_duration(text) else ""
    )
    if why:
        hint = "write a number and s, m, h, d or w, for instance 24h" + (", or never" if never else "")
        yield Problem(path, why, hint)


@lru_cache(maxsize=4096)
def _has_secret(text: str) -> bool:
    return bool(secrets_of(text))


def _store_problem(name: str, known: Any) -> str:
    """Why a store cannot be meant: a word that is neither one of the file's nor a path."""
    if name in known:
        return ""
    if _has_secret(name):
        return "it holds a secret"
    if not name:
        return "it is empty, expected a name, a path or a URL"
    if "/" in name or "://" in name or name.startswith("."):
        return ""
    close = difflib.get_close_matches(name, list(known), 1, 0.6)
    meant = f", did you mean {close[0]}?" if close else ""
    return f"no [store.{_key(name)}] is here{meant} (a path is written with a slash, such as ./{name})"


def _remembered(memo: dict[str, str], check: Callable[[Mapping[str, Any]], str], table: Mapping[str, Any]) -> str:
    """What a check says of a table, asked once for all that are alike: thousands of jobs have the same."""
    key = f"{check.__name__}{table!r}"
    if key not in memo:
        memo[key] = check(table)
    return memo[key]


def policy_of_keep(keep: Mapping[str, Any]) -> Policy:
    """The policy that a table `keep` stands for."""
    return Policy(**{key if key.startswith("max_") else f"keep_{key}": value for key, value in keep.items()})


def _keep_problem(keep: Mapping[str, Any]) -> str:
    """Why a table `keep` is no policy, or nothing."""
    try:
        policy_of_keep(keep)
    except UsageError as error:
        return error.message
    return ""


def _plan_problem(fields: Mapping[str, Any]) -> str:
    """Why a table `backup` is no part of a plan, the key before a NUL, or nothing."""
    known = [name for name in BackupFields.__struct_fields__ if name not in _ELSEWHERE]
    for key in fields:
        if key in _ELSEWHERE:
            return f"{key}\0it is not set here but by the job"
        if key not in known:
            return f"{key}\0unknown, {nearest(key, known)}"
    try:
        BackupPlan.from_data({"source": "any://host/database", **fields})
    except HoldfastError as error:
        return error.message
    return ""
