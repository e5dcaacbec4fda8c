"""What a run is to do: the databases of each job, with the steps that are due."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from msgspec import structs

from holdfast.error_boundary import scrub
from holdfast.errors import HoldfastError, UnsafeError
from holdfast.host import Host, this_host
from holdfast.jobs.children import Children
from holdfast.jobs.due import Occurrence, StoreRecords, is_due, recorded_url
from holdfast.jobs.reading import ConfigFile
from holdfast.jobs.references import read_secret, with_password, without_password
from holdfast.jobs.settings import JobSettings
from holdfast.jobs.steps import Database
from holdfast.operations.databases import find, name_of
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreAddress

_PARTS = frozenset({"select", "exclude", "exclude_kinds", "options"})  # fields of a plan by which it may be of a part


@dataclass
class Selector:
    """Finds what is due; each store is read once. `forced` makes a backup whether it is due or not.

    Where others carry it out (`elsewhere`) they find the passwords themselves, and no URL has one here.
    """

    file: ConfigFile
    registry: Registry
    children: Children
    forced: bool
    elsewhere: bool = False
    now: float = field(default_factory=time.time)
    missing: dict[str, str] = field(default_factory=dict)  #: by job, which databases have vanished beyond its bound
    _records: dict[str, StoreRecords | HoldfastError] = field(default_factory=dict)
    _hosts: dict[str | None, Host] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def databases(self, settings: JobSettings, tell: Callable[[str], object]) -> list[Database]:
        """The databases of a job that something is due for; one that cannot be told of is an error."""
        job = settings.job
        if settings.commands and not self.file.trusted:
            raise UnsafeError(
                f"{self.file.path} is not trusted to run programs, as {', '.join(settings.commands)} of the job says",
                hint="name it with --config, or list its folder as trusted in the user's own holdfast.toml",
            )
        name = (job.backup or {}).get("name")
        host = self._host((job.backup or {}).get("host"))
        if job.databases is None and (due := self._due(settings, job.source, name, host)) is None:
            return []  # its password is nobody's business now
        if job.databases is None and due is not None and self.elsewhere:
            return [due]
        password = read_secret(
            f"the password of {settings.name}",
            self.children,
            command=job.password_command,
            file=job.password_file,
            env=job.password_env,
        )
        source = with_password(job.source, password)
        if job.databases is None:
            return [structs.replace(due, url=source) if source != job.source else due] if due else []
        select = (job.databases,) if isinstance(job.databases, str) else job.databases
        listing = find(source, registry=self.registry, select=select, exclude=job.exclude or ())
        for warning in listing.warnings:
            tell(scrub(warning, source))
        self._check_missing(settings, listing, tell)
        urls = (without_password(url) for url in listing) if self.elsewhere else listing
        chosen = (self._due(settings, url, name, host) for url in urls)
        return [database for database in chosen if database is not None]

    def records(self, address: StoreAddress) -> StoreRecords:
        """What a store has, as it was when it was first asked for."""
        key = str(address.store) if not address.options else repr(address)
        with self._lock:
            if key not in self._records:
                try:
                    self._records[key] = StoreRecords(address, self.registry)
                except HoldfastError as error:  # a store that does not answer is asked once, not by each of its jobs
                    self._records[key] = error
            known = self._records[key]
        if isinstance(known, HoldfastError):
            raise type(known)(known.message, hint=known.hint)
        return known

    def _host(self, name: str | None) -> Host:
        if name not in self._hosts:
            self._hosts[name] = this_host(name)
        return self._hosts[name]

    def _due(self, settings: JobSettings, url: str, name: str | None, host: Host) -> Database | None:
        recorded = recorded_url(url)
        whole = not (_PARTS & (settings.job.backup or {}).keys())
        kept = self.records(settings.store).of(recorded, name, host, whole=whole)
        arguments = (settings.name, settings.spread, self.now)
        if is_due(kept.drilled, settings.drill_every, *arguments):
            kept = kept.with_failed_drill()
        every = settings.every
        backup = self.forced or is_due(kept.made, every, *arguments)
        there = backup or kept.newest is not None
        due = ["backup"] if backup else []
        due += ["verify"] if there and is_due(kept.verified, settings.verify_every, *arguments) else []
        due += ["drill"] if there and is_due(kept.drilled, settings.drill_every, *arguments) else []
        missing = kept.newest is not None and any(
            kept.newest.id not in self.records(other).ids for other in settings.copies
        )
        due += ["copy"] if settings.copies and (backup or missing) else []
        due += ["prune"] if settings.job.keep is not None and backup else []
        if not due:
            return None
        start = (
            self.now
            if self.forced or every is None
            else Occurrence.of(settings.name, every, settings.spread, self.now).start
        )
        run = Occurrence(start).run(settings.name, "" if settings.job.databases is None else name_of(url))
        newest = None if kept.newest is None else (kept.newest.name, kept.newest.id)
        return Database(settings=settings, url=url, recorded_url=recorded, run=run, newest=newest, due=tuple(due))

    def _check_missing(self, settings: JobSettings, listing: Collection[str], tell: Callable[[str], object]) -> None:
        """Tell of the databases that the job has backed up and that are there no more; too many are an error."""
        there = set(map(recorded_url, listing))
        gone = [
            url
            for url in sorted(self.records(settings.store).made_by(settings.name) - there)
            if not any(fnmatchcase(name_of(url), pattern) for pattern in settings.job.exclude or ())
        ]
        if gone:
            count = f"{len(gone)} databases have" if len(gone) > 1 else "a database has"
            text = f"{count} vanished: {', '.join(gone[:10])}{' and more' if len(gone) > 10 else ''}"
            tell(f"{text}; if that is right, exclude what is gone, or set max_missing")
            if len(gone) > (settings.job.max_missing or 0):
                self.missing[settings.name] = text
