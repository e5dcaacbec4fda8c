"""Readers: whoever reads a backup holds its lease beside other readers, so that no deletion takes it away meanwhile."""

import errno
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from holdfast.api import Storage, SupportsSharedLease
from holdfast.errors import LockedError, os_error_text
from holdfast.store._notes import check_published
from holdfast.store.entry import Entry

log = logging.getLogger("holdfast.store")

# A store that may only be read has no place for a lease, and some file systems have no locks.
_NO_LEASE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.ENOSPC, errno.EDQUOT})
_NO_LEASE |= {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def reading(storage: Storage, entry: Entry) -> Iterator[None]:
    """Keep a backup from being deleted for as long as it is read.

    A storage without shared leases, or one that takes none now, is read without. A backup that has been deleted since
    it was found is a `NotFoundError`, one that is being deleted a `LockedError`.
    """
    if not isinstance(storage, SupportsSharedLease):
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(storage.shared_lease(entry.id))
        except LockedError as error:
            raise LockedError(f"backup {entry.folder} is being deleted by another process") from error
        except OSError as error:
            if error.errno not in _NO_LEASE:
                raise
            log.info("%s is read without a lease: %s", entry.folder, os_error_text(error), extra={"id": entry.id})
        else:
            check_published(storage, entry.folder)
        yield
