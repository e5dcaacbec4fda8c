"""Who reads a backup and who deletes it: readers share a lease, a deletion needs it alone; a rename its source's."""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from holdfast.api import Storage, SupportsSharedLease
from holdfast.errors import CredentialsError, LockedError, os_error_text
from holdfast.store.entry import Entry
from holdfast.store.leasing import held
from holdfast.store.published import check_published

log = logging.getLogger("holdfast.store")

# A store that may only be read, or that is full, has no place for a lease, and some file systems have no locks.
_NO_LEASE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.ENOSPC, errno.EDQUOT})
_NO_LEASE |= {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_PATIENCE = 2.0  # seconds: a deletion that finds its backup in use gives its lease back at once
_PAUSE = 0.05


@contextmanager
def reading(storage: Storage, entry: Entry) -> Iterator[None]:
    """Keep a backup from being deleted, and its source from being renamed, for as long as it is read.

    A storage without shared leases, or one that takes none now, is read without. A backup that has been deleted since
    it was found is a `NotFoundError`, one that another process is deleting a `LockedError`. Whoever made it is not
    waited for: published is published, and on a service the lease of a killed process goes on for a minute.
    """
    busy = f"backup {entry.folder} is being deleted by another process"
    with ExitStack() as stack:
        stack.enter_context(using_source(storage, entry.name, only_reads=True))
        if isinstance(storage, SupportsSharedLease) and _take(
            stack, lambda: _patiently(storage, reader_lease(entry.id), busy), entry.id, only_reads=True
        ):
            check_published(storage, entry.folder)
        yield


@contextmanager
def deleting(storage: Storage, entry: Entry) -> Iterator[None]:
    """Keep readers from a backup until it is gone; one that is being read or made is a `LockedError`.

    On a store that takes no lease now, a full one for instance, it is deleted without: that is what makes room.
    """
    with ExitStack() as stack:
        stack.enter_context(using_source(storage, entry.name))
        _take(stack, lambda: storage.lease(entry.id), entry.id)
        if isinstance(storage, SupportsSharedLease):
            _take(stack, lambda: storage.lease(reader_lease(entry.id)), entry.id)
        yield


@contextmanager
def using_source(storage: Storage, name: str, *, only_reads: bool = False) -> Iterator[None]:
    """Keep a source from being renamed, where the storage can: whoever writes, reads or deletes a backup of it."""
    with ExitStack() as stack:
        if isinstance(storage, SupportsSharedLease):
            busy = f"the source '{name}' is being renamed by another process"
            _take(stack, lambda: _patiently(storage, source_lease(name), busy), name, only_reads=only_reads)
        yield


def reader_lease(backup_id: str) -> str:
    """The lease that those share who read a backup, and that whoever deletes it needs alone."""
    return f"reading-{backup_id}"


def source_lease(name: str) -> str:
    """The lease that those share who use a source, and that whoever renames it needs alone."""
    return f"source-{name}"


def _take(
    stack: ExitStack, lease: Callable[[], AbstractContextManager[None]], name: str, *, only_reads: bool = False
) -> bool:
    """Take a lease if the store has a place for it; returns whether it has.

    Of a service, whose keys may be good for reading alone, whoever only reads goes on without.
    """
    try:
        stack.enter_context(held(lease(), name))
    except OSError as error:
        if error.errno not in _NO_LEASE:
            raise
        log.info("no lease of %s can be taken: %s", name, os_error_text(error), extra={"id": name})
        return False
    except CredentialsError as error:
        if not only_reads:
            raise
        log.info("no lease of %s can be taken: %s", name, error.message, extra={"id": name})
        return False
    return True


@contextmanager
def _patiently(storage: SupportsSharedLease, name: str, busy: str) -> Iterator[None]:
    """A shared lease, waited for as long as somebody may just be done with it; `busy` is the error after that."""
    deadline = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(storage.shared_lease(name), name))
                break
            except LockedError as error:
                if time.monotonic() > deadline:
                    raise LockedError(busy) from error
            time.sleep(_PAUSE)
        yield
