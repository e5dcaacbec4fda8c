"""One occurrence, one backup: schedulers and executors repeat what they are not sure of, and the store knows better.

A backup may have a `run`, the name of the occurrence that it is made for. Whoever makes one holds a lease of its source
and that name; what has been published for them already is returned in its place.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from holdfast.errors import LockedError, quote_name
from holdfast.host import this_host
from holdfast.operations._manifest import content
from holdfast.run import Run
from holdfast.setup import BackupSetup
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.findings import State
from holdfast.store.leasing import held
from holdfast.store.lineage import origin_of
from holdfast.store.origin import Origin


class Occurrence:
    """The run that a backup is made for, held for as long as that takes; a backup without a `run` holds nothing.

    What is returned is a good backup of that run, if there is one. One that cannot stand for it is told of once.
    """

    def __init__(self, catalog: Catalog, setup: BackupSetup, run: Run) -> None:
        self._catalog = catalog
        self._setup = setup
        self._run = run
        self._told: set[str] = set()
        self._held: set[str] = set()
        self._leases = ExitStack()

    @classmethod
    @contextmanager
    def of(cls, catalog: Catalog, setup: BackupSetup, run: Run) -> Iterator[Self]:
        """An occurrence whose leases end with the block."""
        self = cls(catalog, setup, run)
        with self._leases:
            yield self

    def hold_early(self) -> Entry | None:
        """Hold it under a name that was chosen, before the source is opened, which costs its server something.

        A backup is returned only where its URL leaves no doubt that it is of this source.
        """
        name = self._setup.plan.name
        return self.hold(name, None) if name is not None else None

    def hold(self, name: str, origin: Origin | None) -> Entry | None:
        """Hold it under the name of the source in the store; `LockedError` if another process does."""
        if self._setup.plan.run is None:
            return None
        key = hashlib.sha256(f"{name}\0{self._setup.plan.run}".encode()).hexdigest()
        if key not in self._held:
            what = f"the run {quote_name(self._setup.plan.run)} of '{name}'"
            try:
                self._leases.enter_context(held(self._catalog.storage.lease(f"run-{key}"), what))
            except LockedError as error:
                raise LockedError(f"another process is at work on {what}", hint=error.hint) from error
            self._held.add(key)
        return self.made(name, origin)

    def made(self, name: str, origin: Origin | None) -> Entry | None:
        """A good backup of the run, the newest if there are several."""
        if self._setup.plan.run is None:
            return None
        for entry in reversed(self._catalog.listing(name, cached=True).entries):
            if entry.manifest is None or entry.manifest.run != self._setup.plan.run or not self._is_of(entry, origin):
                continue
            why = self._objection(entry, origin)
            if not why and (whole := self._catalog.reload(entry)) is not None:
                return whole
            self._tell(entry, why or "has been deleted meanwhile")
        return None

    def _is_of(self, entry: Entry, origin: Origin | None) -> bool:
        """Whether a backup is of this source: as the engine has told which that is, before that as its URL does."""
        recorded = origin_of(entry)
        if recorded is None or entry.manifest is None:
            return False
        if origin is not None:
            return recorded.is_same(origin)
        source, url = entry.manifest.source, self._setup.url
        is_here = source.host is None or source.host.is_same(this_host(self._setup.plan.host))
        is_absolute = bool(url.hosts) or url.path.startswith("//")  # sqlite:///app.db is another one in each folder
        return is_absolute and is_here and source.engine == self._setup.engine.name and source.url == url.redacted()

    def _objection(self, entry: Entry, origin: Origin | None) -> str:
        """Why a backup of the run cannot stand for it, or nothing."""
        if entry.state is State.DAMAGED:
            return f"is damaged{f' ({entry.problem})' if entry.problem else ''}"
        if not entry.good:
            return f"cannot be read ({entry.doubt})"
        known = origin or origin_of(entry)
        if entry.manifest is not None and known and entry.manifest.content != content(self._setup, known):
            return "was made with another selection or other options"
        return ""

    def _tell(self, entry: Entry, why: str) -> None:
        if entry.id not in self._told:
            self._told.add(entry.id)
            run = quote_name(self._setup.plan.run or "")
            self._run.warn(f"{entry.folder}, the backup of the run {run}, {why}: another one is made")
