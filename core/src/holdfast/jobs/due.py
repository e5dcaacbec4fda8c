"""What is due, from what the store has: any host may ask, and whatever was missed is made up for once."""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import structs

from holdfast.host import Host
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreAddress
from holdfast.store.catalog import unopened_catalog
from holdfast.store.entry import Entry
from holdfast.store.findings import Depth, State, state_of
from holdfast.store.names import CLAIM, MANIFEST
from holdfast.url import redact

_LONGEST = 60  # bytes of the name of a database in that of a run
_PLAIN = re.compile(r"[a-z][a-z0-9]*://(?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9_.-]*(?::[0-9]{1,4})?(?:/[A-Za-z0-9_./-]*)?")


class Occurrence(msgspec.Struct, frozen=True):
    """One beginning of a job: those of all days lie evenly apart, shifted by a digest of its name."""

    start: float

    @classmethod
    def of(cls, job: str, every: float, spread: float, now: float) -> "Occurrence":
        """The last one until now."""
        digest = int.from_bytes(hashlib.sha256(job.encode()).digest()[:8], "big") / 2**64 if spread else 0.0
        shift = digest * min(spread, every)
        return cls(math.floor((now - shift) / every) * every + shift)

    def run(self, job: str, database: str = "") -> str:
        """The name of the run of a job, and of one of its databases where it has several."""
        return f"{job}/{_run_name(database)}@{_text(self.start)}" if database else f"{job}@{_text(self.start)}"


def job_run(run: str) -> str:
    """The run of a job that the one of its databases is a part of."""
    before, mark, time = run.rpartition("@")
    return f"{before.partition('/')[0]}{mark}{time}"


def _run_name(database: str) -> str:
    """The name of a database, or a digest where a run cannot have it."""
    if database.isprintable() and database == database.strip() and len(database.encode(errors="replace")) <= _LONGEST:
        return database
    return hashlib.sha256(database.encode(errors="surrogateescape")).hexdigest()[:32]


@lru_cache(maxsize=1024)
def _text(start: float) -> str:
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a store has of one database: its newest good backup, and when it was last checked, in seconds since 1970.

    `failed_drill` is a backup made since, against which nothing is known but that a restore test has failed.
    """

    newest: Entry | None = None
    made: float | None = None
    verified: float | None = None
    drilled: float | None = None
    failed_drill: Entry | None = None

    def with_failed_drill(self) -> "Kept":
        """The same, where that test is to be made once more instead of another backup."""
        failed = self.failed_drill
        return self if failed is None else structs.replace(self, newest=failed, made=failed.created_at.timestamp())


_NOTHING = Kept()


class StoreRecords:
    """The backups of a store, read once, by the URL of their database and by the name of their source."""

    def __init__(self, address: StoreAddress, registry: Registry) -> None:
        self._by_url: dict[str, list[Entry]] = defaultdict(list)
        self._by_name: dict[str, list[Entry]] = defaultdict(list)
        self._runs: dict[str, set[str]] = defaultdict(set)
        self.ids: set[str] = set()
        self._claims: dict[str, bool] = {}  # of names, with whether they are there
        self._catalog = catalog = unopened_catalog(address, registry)
        if not catalog.usable():
            return  # the first backup makes it
        for entry in catalog.listing(cached=True).entries:
            if entry.manifest is None:
                continue
            self.ids |= {entry.id} if entry.good else set()
            self._by_name[entry.name].append(entry)
            url = plain_url(entry.manifest.source.url)
            self._by_url[url].append(entry)
            if entry.manifest.run and entry.good:
                self._runs[entry.manifest.run.rpartition("@")[0].partition("/")[0]].add(url)

    def of(self, url: str, name: str | None, host: Host, *, whole: bool = True) -> Kept:
        """What there is of a database: under the name that it was given, else of that URL, as it is recorded.

        For a job that backs up the `whole` of it, a backup of a part is none.
        """
        entries = self._by_name.get(name, []) if name else self._by_url.get(url, [])
        if not entries:
            return _NOTHING
        ours = [
            entry
            for entry in entries
            if entry.manifest and _is_here(entry.manifest.source.host, host) and not (whole and entry.part)
        ]
        good = [entry for entry in ours if entry.good]
        newest = good[-1] if good else None
        return Kept(
            newest=newest,
            made=newest.created_at.timestamp() if newest else None,
            verified=_last(ours, Depth.STORED),
            drilled=_last(ours, Depth.RESTORE),
            failed_drill=ours[-1] if ours and _has_failed_drill(ours[-1]) else None,
        )

    @property
    def location(self) -> str:
        """Where the store is."""
        return self._catalog.storage.location

    def claims(self, most: int) -> tuple[str, ...]:
        """Paths of claims of names that are in the store now, by which others know that they see the same one."""
        names = {*self._by_name, *self._claims}
        for name in sorted(names):
            path = f"{name}/{CLAIM}"
            if self._claims.get(name) is None:
                self._claims[name] = self._is_there(path)
            if sum(self._claims.values()) >= most:
                break
        return tuple(sorted(f"{name}/{CLAIM}" for name, there in self._claims.items() if there))[:most]

    def shows(self, name: str, backup_id: str) -> bool:
        """Whether a backup is in the store, whoever has made it."""
        if not self._is_there(f"{name}/{backup_id}/{MANIFEST}"):
            return False
        self._claims.setdefault(name, self._is_there(f"{name}/{CLAIM}"))
        return True

    def _is_there(self, path: str) -> bool:
        try:
            self._catalog.storage.stat(path)
        except FileNotFoundError:
            return False
        return True

    def made_by(self, job: str) -> set[str]:
        """The URLs of the databases that a job has backed up, as `plain_url` writes them."""
        return self._runs.get(job, set())


def is_due(last: float | None, every: float | None, job: str, spread: float, now: float) -> bool:
    """Whether something that happens so often has not happened since its last occurrence."""
    return every is not None and (last is None or last < Occurrence.of(job, every, spread, now).start)


def plain_url(url: str) -> str:
    """A redacted URL as it is with and without a password."""
    return url.replace(":***@", "@", 1)


def recorded_url(url: str) -> str:
    """A URL as `plain_url` has it of the manifest of its backup; of thousands most hide nothing, as a look tells."""
    return url if _PLAIN.fullmatch(url) else plain_url(redact(url))


def _is_here(recorded: Host | None, host: Host) -> bool:
    return recorded is None or recorded.is_same(host) or recorded.is_passing or host.is_passing


def _has_failed_drill(entry: Entry) -> bool:
    """Whether it would be good but for a restore test."""
    if entry.good or entry.problem or entry.unreadable or entry.unusable or not entry.manifest or entry.manifest.damage:
        return False
    return state_of([each for each in entry.findings if each.depth < Depth.RESTORE]) is not State.DAMAGED


def _last(entries: Iterable[Entry], depth: Depth) -> float | None:
    times = (
        finding.time.timestamp()
        for entry in entries
        for finding in entry.findings
        if finding.passed and finding.depth >= depth
    )
    return max(times, default=None)
