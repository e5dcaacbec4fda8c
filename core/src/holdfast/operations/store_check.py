"""The check of a store: what may be done in it and what it guarantees, tried without leaving anything behind.

Nothing is made: a mark that is there already is written once more, which must be refused; what is deleted is not there;
and a lease is taken and given back.
"""

import os
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.api import Guarantee, Storage, SupportsAge, SupportsGuarantees
from holdfast.defaults import installed
from holdfast.error_boundary import translate_errors
from holdfast.errors import HoldfastError, LockedError, PluginError, quote_name
from holdfast.plugins.guard import provider
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreAddress
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.names import MARKER

_LEASE = "check"
_READS = 5  # of which the median counts
_MOST_GUARANTEES = 1000  # that a storage may tell
_SHOWN = 10  # of a storage that tells more


@dataclass(frozen=True, kw_only=True)
class StoreCheck:
    """What a store let us do and guarantees, in the order in which it was tried.

    `failure` is the first error that a backup into this store would end with, else that of a storage which cannot tell
    its own guarantees, and None where nothing is in its way.
    """

    location: str  #: where the store is
    guarantees: tuple[Guarantee, ...]  #: what was tried
    failure: HoldfastError | None = None  #: what a backup would fail with

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        failure = {"message": self.failure.message, "exit_code": self.failure.exit_code} if self.failure else None
        return {
            "location": self.location,
            "guarantees": [asdict(guarantee) for guarantee in self.guarantees],
            "failure": failure,
        }

    def raise_for_failure(self) -> None:
        """Raise what a backup would fail with."""
        if self.failure is not None:
            raise self.failure


def check_store(
    store: str | os.PathLike[str] | Storage | None = None,
    *,
    store_options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> StoreCheck:
    """Try what a store lets us do and guarantees, without changing anything in it or leaving anything behind.

    What a backup into it would fail with is the `failure` of the result, as is a storage that fails when asked for its
    own guarantees; what was tried before is told all the same. No store there is a `NotFoundError`, a service
    that does not answer an `UnreachableError`.
    """
    catalog = open_catalog(StoreAddress(store, store_options), registry or installed())
    trial = _Trial(catalog, catalog.storage)
    return StoreCheck(location=trial.storage.location, guarantees=tuple(trial.run()), failure=trial.failure)


class _Trial:
    def __init__(self, catalog: Catalog, storage: Storage) -> None:
        self.storage = storage
        self.failure: HoldfastError | None = None
        self._catalog = catalog

    def run(self) -> Iterator[Guarantee]:
        """Try all, each by itself: what is refused stops no other."""
        for name, attempt, needed in (
            ("read", self._read, True),
            ("list", self._list, True),
            ("write", self._write, True),
            ("create only", self._create_only, True),
            ("delete", self._delete, False),
        ):
            yield self._tried(name, attempt, needed=needed)
        if isinstance(self.storage, SupportsGuarantees):
            yield from self._own_guarantees(self.storage)

    def _own_guarantees(self, storage: SupportsGuarantees) -> Iterator[Guarantee]:
        """What a storage tells itself, if that has an end; where it fails, what it told before, and that."""
        told: list[Guarantee] = []
        try:
            with translate_errors(f"cannot ask {provider(storage)} what it guarantees", self.storage.location):
                for guarantee in storage.guarantees():
                    if len(told) == _MOST_GUARANTEES:
                        raise PluginError(
                            f"{provider(storage)} tells more than {_MOST_GUARANTEES} guarantees, without an end"
                        )
                    told.append(guarantee)
        except HoldfastError as error:
            told = told[:_SHOWN] if len(told) == _MOST_GUARANTEES else told
            told.append(Guarantee(name="guarantees", holds=None, detail=error.message))
            self.failure = self.failure or error
        yield from told

    def _tried(self, name: str, attempt: Callable[[], Guarantee], *, needed: bool) -> Guarantee:
        try:
            with translate_errors(f"cannot {name} in {quote_name(self.storage.location)}", self.storage.location):
                return attempt()
        except HoldfastError as error:
            if needed and self.failure is None:
                self.failure = error
            return Guarantee(name=name, holds=False, detail=error.message)

    def _read(self) -> Guarantee:
        times = []
        for _ in range(_READS):
            began = time.monotonic()
            self.storage.read(MARKER, 0, 1 << 16)
            times.append(time.monotonic() - began)
        return Guarantee(name="read", holds=True, detail=f"{statistics.median(times) * 1000:.1f} ms a request")

    def _list(self) -> Guarantee:
        began = time.monotonic()
        listing = self._catalog.listing(cached=True)
        seconds = time.monotonic() - began
        count = len(listing.entries)
        backups = "1 backup" if count == 1 else f"{count} backups"
        return Guarantee(name="list", holds=True, detail=f"{backups} in {seconds:.2f} s")

    def _write(self) -> Guarantee:
        """A lease is what a backup writes first, and leaves nothing behind; nobody else can have it meanwhile."""
        if isinstance(self.storage, SupportsAge):
            detail = "there are no leases: what is unfinished goes once nothing was written to it for a week"
            return Guarantee(name="write", holds=None, detail=detail)
        excluding = Guarantee(name="write", holds=True, detail="leases exclude each other")
        try:
            with self.storage.lease(_LEASE, 30.0):
                try:
                    with self.storage.lease(_LEASE, 30.0):
                        detail = "a lease is given to two at once: runs could disturb each other"
                        return Guarantee(name="write", holds=False, detail=detail)
                except LockedError:
                    return excluding
        except LockedError:
            # Of another check of this store; or of a storage that never gives a lease, and then not of any name.
            with self.storage.lease(f"{_LEASE}-{secrets.token_hex(8)}", 30.0):
                return excluding

    def _create_only(self) -> Guarantee:
        """Only the mark of the store is written, as it is: where the second write is not refused nothing is lost."""
        content = self.storage.read(MARKER, 0, 1 << 16)
        try:
            with self.storage.writer(MARKER) as writer:
                writer.write(content)
        except FileExistsError:
            return Guarantee(name="create only", holds=True, detail="what is there is never overwritten")
        detail = "an object that is there is overwritten: only leases keep two runs apart"
        return Guarantee(name="create only", holds=False, detail=detail)

    def _delete(self) -> Guarantee:
        """What is not there: a service says whether we might."""
        self.storage.delete(f"{_LEASE}-{secrets.token_hex(8)}")
        return Guarantee(name="delete", holds=True)
