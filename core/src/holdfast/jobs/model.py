"""What `holdfast.toml` may hold, as types: the reader, the JSON Schema and the messages all go by these.

Every field may be missing. A job takes what it does not say from `[defaults]`, and what neither says from `BUILT_IN`.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct, field

Commands = tuple[Annotated[tuple[str, ...], Meta(min_length=1)], ...]
"""Programs with their arguments; no shell takes them apart."""

_Count = Annotated[int, Meta(ge=1, le=100_000)]


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file; what it does not know is an error."""


class Verify(_Table, frozen=True, kw_only=True):
    """`verify`: checks of what lies in the store."""

    every: str | None = None  #: how often, such as `1d`; `never`
    read_data: bool | None = None  #: whether all is decoded as well


class Drill(_Table, frozen=True, kw_only=True):
    """`drill`: restore tests."""

    every: str | None = None  #: how often, such as `7d`; `never`
    into: str | None = None  #: the URL of the server for the scratch database
    options: dict[str, Any] | None = None  #: options of the engine


class Keep(_Table, frozen=True, kw_only=True):
    """`keep`: what a prune after each backup leaves of its source; without, nothing is pruned."""

    last: int | None = None  #: the newest N
    hourly: int | None = None  #: the newest of each of N hours
    daily: int | None = None  #: of N days
    weekly: int | None = None  #: of N weeks
    monthly: int | None = None  #: of N months
    yearly: int | None = None  #: of N years
    within: str | None = None  #: all of so long before the newest, such as `2d`
    tags: tuple[str, ...] | None = None  #: what has one of these tags
    max_age: str | None = None  #: nothing that is older, such as `400d`
    max_backups: int | None = None  #: at most N


class Retry(_Table, frozen=True, kw_only=True):
    """`retry`: after what may be otherwise soon, a lock (11) or a server that does not answer (15)."""

    times: Annotated[int, Meta(ge=0, le=100)] | None = None  #: how often
    wait: str | None = None  #: how long before each, such as `5m`


class Hooks(_Table, frozen=True, kw_only=True):
    """`hooks`: programs around a job, without a shell, with its record on their standard input."""

    before: Commands | None = None  #: first; one that ends with 75 skips the job
    after: Commands | None = None  #: if all went well
    failed: Commands | None = None  #: if anything failed
    finally_: Commands | None = field(default=None, name="finally")  #: at the end, whatever happened
    timeout: str | None = None  #: after which each is killed


class Ping(_Table, frozen=True, kw_only=True):
    """`ping`: where the secret URL is from that is told of the start, the success and the failure of a job."""

    command: tuple[str, ...] | None = None  #: a program that prints it
    file: str | None = None  #: a file that holds it
    env: str | None = None  #: a variable of the environment


class Settings(_Table, frozen=True, kw_only=True):
    """`[defaults]`: what holds for every job that does not say otherwise; lists are replaced, tables key by key."""

    store: str | None = None  #: the name of a `[store.NAME]`, a path or a URL
    copy: tuple[str, ...] | None = None  #: further stores, into which each backup is copied
    every: str | None = None  #: how often a backup is made, such as `24h`; `never`
    spread: str | None = None  #: over how long the beginnings of the jobs are spread
    timeout: str | None = None  #: after which a step of a database is ended with all that it has started
    verify: Verify | None = None  #: checks of what lies in the store
    drill: Drill | None = None  #: restore tests
    keep: Keep | None = None  #: what a prune leaves
    retry: Retry | None = None  #: how often a step is tried again
    hooks: Hooks | None = None  #: programs around the job
    ping: Ping | None = None  #: who is told
    backup: dict[str, Any] | None = None  #: fields of a backup plan, such as `codec`
    password_command: tuple[str, ...] | None = None  #: a program that prints the password of the source
    password_file: str | None = None  #: a file that holds it
    password_env: str | None = None  #: a variable of the environment


class Job(Settings, frozen=True, kw_only=True):
    """`[job.NAME]`: one database, or those of a server, a folder or a pattern."""

    source: str  #: the URL of the database, or with `databases` of what holds them
    databases: str | tuple[str, ...] | None = None  #: patterns of names of databases, such as `*`
    exclude: tuple[str, ...] | None = None  #: patterns of those that are left out
    max_missing: Annotated[int, Meta(ge=0)] | None = None  #: how many databases may have vanished


class Limits(_Table, frozen=True, kw_only=True):
    """`[limits]`: of all runs of this user on this host together."""

    parallel: _Count | None = None  #: databases at once
    per_host: _Count | None = None  #: databases of one host at once


class Store(_Table, frozen=True, kw_only=True):
    """`[store.NAME]`: a store by name."""

    url: str  #: its path or URL
    options: dict[str, Any] = {}  #: options of its storage


class Config(_Table, frozen=True, kw_only=True):
    """All of `holdfast.toml`."""

    defaults: Settings = Settings()  #: what holds for every job
    limits: Limits = Limits()  #: how many at once
    store: dict[str, Store] = {}  #: stores by name
    job: dict[str, Job] = {}  #: jobs by name
    trusted: tuple[str, ...] = ()  #: in the user's own file: folders whose `holdfast.toml` may run commands


#: What holds where neither a job nor the defaults say anything.
BUILT_IN: dict[str, Any] = {
    "every": "24h",
    "spread": "0s",
    "timeout": "4h",
    "copy": (),
    "exclude": (),
    "max_missing": 0,
    "verify": {"every": "never", "read_data": False},
    "drill": {"every": "never"},
    "retry": {"times": 0, "wait": "5m"},
    "hooks": {"timeout": "5m"},
    "backup": {},
}
#: Tables whose keys a job takes over from the defaults one by one.
TABLES = frozenset({"verify", "drill", "keep", "retry", "hooks", "ping", "backup"})


def merged(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of which the later ones count, within the tables of one level key by key."""
    result: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            result[key] = {**result.get(key, {}), **value} if key in TABLES else value
    return result


#: Of several ways to name a secret only one counts: a job that names it itself takes none from the defaults.
PASSWORDS = ("password_command", "password_file", "password_env")
