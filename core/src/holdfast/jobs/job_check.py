"""The check of a job: everything that its runs will need, looked at before the night; nothing is changed."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from holdfast.api import Requirement
from holdfast.error_boundary import error_message, scrub, translate_errors
from holdfast.errors import HoldfastError, NotFoundError, quote_name
from holdfast.jobs.children import Children
from holdfast.jobs.reading import ConfigFile
from holdfast.jobs.references import read_secret, with_password
from holdfast.jobs.settings import JobSettings
from holdfast.operations.databases import find
from holdfast.operations.source_check import SourceCheck, check_drill, check_source
from holdfast.operations.store_check import StoreCheck, check_store
from holdfast.plan import BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreAddress
from holdfast.store.catalog import unopened_catalog

_EVENTS = ("before", "after", "failed", "finally_")


@dataclass(kw_only=True)
class JobCheck:
    """What a job needs and has: its own things, its databases, the server of its drills, and its stores."""

    job: str
    requirements: list[Requirement] = field(default_factory=list)
    databases: list[SourceCheck] = field(default_factory=list)
    drill: SourceCheck | None = None
    stores: list[StoreCheck] = field(default_factory=list)

    @property
    def failure(self) -> HoldfastError | None:
        """The first thing that has failed."""
        own = SourceCheck(source="", requirements=tuple(self.requirements))
        parts: tuple[SourceCheck | StoreCheck, ...] = (own, *self.databases, *filter(None, (self.drill,)), *self.stores)
        return next((part.failure for part in parts if part.failure), None)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        failure = {"message": self.failure.message, "exit_code": self.failure.exit_code} if self.failure else None
        return {
            "job": self.job,
            "requirements": [asdict(each) for each in self.requirements],
            "databases": [each.as_data() for each in self.databases],
            "drill": self.drill.as_data() if self.drill else None,
            "stores": [each.as_data() for each in self.stores],
            "failure": failure,
        }


class JobChecker:
    """Checks jobs of one file; a store that several have is tried once."""

    def __init__(self, file: ConfigFile, registry: Registry, children: Children, *, timeout: float) -> None:
        self._file = file
        self._registry = registry
        self._children = children
        self._timeout = timeout
        self._stores: dict[str, StoreCheck | Requirement] = {}

    def check(self, settings: JobSettings) -> JobCheck:
        """Look at one job; what fails stops nothing else."""
        result = JobCheck(job=settings.name)
        result.requirements += self._trust(settings)
        result.requirements += self._programs(settings)
        result.requirements += self._ping(settings)
        result.databases += self._databases(settings, result.requirements)
        if settings.drill_every is not None:
            drill = settings.job.drill
            into, options = (drill.into, drill.options) if drill else (None, None)
            result.drill = check_drill(
                settings.job.source, into, options=options, registry=self._registry, timeout=self._timeout
            )
        for address in (settings.store, *settings.copies):
            told = self._store(address, create=(settings.job.backup or {}).get("create", True))
            if isinstance(told, StoreCheck):
                result.stores.append(told)
            else:
                result.requirements.append(told)
        return result

    @property
    def _may_run(self) -> bool:
        return self._file.trusted

    def _trust(self, settings: JobSettings) -> Iterator[Requirement]:
        if settings.commands and not self._may_run:
            yield Requirement(
                name="trust",
                state="failed",
                detail=f"{self._file.path} is not trusted to run programs, as {', '.join(settings.commands)} says",
                remedy="name it with --config, or list its folder as trusted in the user's own holdfast.toml",
                exit_code=16,
            )

    def _programs(self, settings: JobSettings) -> Iterator[Requirement]:
        """Whether the programs of the hooks are there; none is run."""
        names = [command[0] for event in _EVENTS for command in (getattr(settings.job.hooks, event, None) or ())]
        missing = [name for name in dict.fromkeys(names) if not self._is_program(name)]
        for name in missing:
            yield Requirement(
                name="hooks",
                state="failed",
                detail=f"there is no program {quote_name(name)} that this user may run",
                remedy="name it by its full path",
                exit_code=1,
            )
        if names and not missing:
            yield Requirement(name="hooks", state="ok", detail=f"{len(names)} programs are there")

    def _is_program(self, name: str) -> bool:
        if "/" not in name:
            return shutil.which(name) is not None
        path = os.path.join(self._file.folder, name)
        return os.path.isfile(path) and os.access(path, os.X_OK)

    def _ping(self, settings: JobSettings) -> Iterator[Requirement]:
        """What is pinged is read and looked at, and not called; it keeps no backup from being made."""
        ping = settings.job.ping
        if ping is None or (ping.command and not self._may_run):
            return
        what = f"the ping of {settings.name}"
        try:
            url = read_secret(what, self._children, command=ping.command, file=ping.file, env=ping.env) or ""
        except HoldfastError as error:
            yield Requirement(name="ping", state="warning", detail=error.message, remedy=error.hint)
            return
        if not _is_http(url):
            yield Requirement(name="ping", state="warning", detail=f"{what}: what was read is no URL of http or https")
        else:
            yield Requirement(name="ping", state="ok", detail="its URL can be read")

    def _databases(self, settings: JobSettings, told: list[Requirement]) -> Iterator[SourceCheck]:
        job = settings.job
        if job.password_command and not self._may_run:
            return
        source = job.source
        try:
            with translate_errors(f"cannot look at the job {settings.name}", source):
                password = read_secret(
                    f"the password of {settings.name}",
                    self._children,
                    command=job.password_command,
                    file=job.password_file,
                    env=job.password_env,
                )
                if password is not None:
                    told.append(Requirement(name="password", state="ok", detail="it can be read"))
                source = with_password(job.source, password)
                urls = self._listed(settings, source, told)
        except HoldfastError as error:
            name = "databases" if job.databases is not None else "password"
            told.append(_of_error(name, error, source))
            return
        for url in urls:
            yield check_source(_plan(settings, url), registry=self._registry, timeout=self._timeout)

    def _listed(self, settings: JobSettings, source: str, told: list[Requirement]) -> list[str]:
        job = settings.job
        if job.databases is None:
            return [source]
        select = (job.databases,) if isinstance(job.databases, str) else job.databases
        listing = find(source, registry=self._registry, select=select, exclude=job.exclude or ())
        told += [
            Requirement(name="databases", state="warning", detail=scrub(text, source)) for text in listing.warnings
        ]
        return list(listing)

    def _store(self, address: StoreAddress, *, create: bool) -> StoreCheck | Requirement:
        key = repr(address)
        if key not in self._stores:
            self._stores[key] = self._try_store(address, create=create)
        return self._stores[key]

    def _try_store(self, address: StoreAddress, *, create: bool) -> StoreCheck | Requirement:
        where = str(address.store)
        try:
            with translate_errors(f"cannot use the store at {quote_name(where)}", where):
                catalog = unopened_catalog(address, self._registry)
                if catalog.usable():
                    return check_store(address.store, store_options=address.options, registry=self._registry)
                location = catalog.storage.location
        except HoldfastError as error:
            return _of_error("store", error, where)
        if create:
            detail = f"there is none at {quote_name(location)} yet: the first backup makes it"
            return Requirement(name="store", state="ok", detail=detail)
        failure = NotFoundError(f"there is none at {quote_name(location)}, and it is not to be made")
        return _of_error("store", failure, where)


def _plan(settings: JobSettings, url: str) -> BackupPlan:
    fields = {**(settings.job.backup or {}), "source": url}
    return BackupPlan.from_data(
        {**fields, "store": settings.store.store, "store_options": settings.store.options or {}}
    )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _of_error(name: str, error: HoldfastError, url: str) -> Requirement:
    remedy = scrub(error.hint, url) if error.hint else None
    return Requirement(
        name=name, state="failed", detail=scrub(error_message(error), url), remedy=remedy, exit_code=error.exit_code
    )
