"""Claims: how a backup that is being made gets its id, and a source the name that its backups lie under."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from holdfast.api import Source, Storage
from holdfast.errors import HoldfastError, IntegrityError, LockedError, UnsafeError, os_error_text
from holdfast.store.catalog import Catalog
from holdfast.store.names import CLAIM, new_id

log = logging.getLogger("holdfast.store")

_ATTEMPTS = 20  # at an id that nobody else holds: two that are the same are begun in the same 0.6 µs


@contextmanager
def new_backup(storage: Storage, at: datetime | None = None) -> Iterator[tuple[str, datetime]]:
    """Take a new id and hold its lease, so that nobody takes an unfinished folder for a leftover.

    Yields the id and the time of the backup: `at`, which is now if None.
    """
    moment = None if at is None else at.timestamp()
    for attempt in range(_ATTEMPTS):
        backup_id, created_at = new_id(moment)
        lease = storage.lease(backup_id)
        try:
            lease.__enter__()
        except LockedError:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        break
    with contextlib.ExitStack() as stack:
        stack.push(lease)
        yield backup_id, created_at
        try:
            stack.close()
        except (OSError, HoldfastError) as error:  # the backup is published by now, and a lease ends by itself
            why = os_error_text(error) if isinstance(error, OSError) else error.message
            log.warning("could not release the lease of %s: %s", backup_id, why, extra={"id": backup_id})


def claim_name(catalog: Catalog, source: Source, *, name: str, explicit: bool, adopt: bool) -> str:
    """Settle under which name a source's backups lie, and return it.

    A derived name that belongs to another source gets six digits of this one's identity; an explicit one is
    refused with `UnsafeError`, unless it is adopted.
    """
    settled, owned = _settle(catalog, source, name=name, explicit=explicit, adopt=adopt)
    return settled if owned else _take(catalog, settled, source, explicit=explicit, adopt=adopt)


def name_for(catalog: Catalog, source: Source, *, name: str, explicit: bool, adopt: bool) -> str:
    """The name that `claim_name` would settle on; changes nothing."""
    return _settle(catalog, source, name=name, explicit=explicit, adopt=adopt)[0]


def is_unused(catalog: Catalog, name: str) -> bool:
    """Whether nothing lies under a name but its claim."""
    return all(stat.path == f"{name}/{CLAIM}" for stat in catalog.storage.list(name))


def release_name(catalog: Catalog, name: str, identity: str | None) -> None:
    """Give a name back whose last backup is gone, so that a wrong first try does not hold it.

    A run that has just claimed it, and written nothing yet, claims it again before it publishes. `identity` is the
    digest of whose name it should be, None for anybody's.
    """
    remaining = [stat.path for stat in catalog.storage.list(name)]
    if remaining == [f"{name}/{CLAIM}"] and identity in (None, _owner(catalog, name)):
        catalog.storage.delete(remaining[0])


def identity_digest(source: Source) -> str:
    """A digest that tells sources apart without naming them."""
    return hashlib.sha256(source.identity.encode(errors="surrogateescape")).hexdigest()


def _settle(catalog: Catalog, source: Source, *, name: str, explicit: bool, adopt: bool) -> tuple[str, bool]:
    """The name for a source, and whether it is the source's own already."""
    identity = identity_digest(source)
    names = [name] if explicit or adopt else [name, *(f"{name[:40]}-{identity[:n]}" for n in (6, 12, 20))]
    for candidate in names:
        owner = _owner(catalog, candidate)
        if owner in (None, identity) or adopt:
            return candidate, owner == identity
    raise UnsafeError(
        f"the name '{name}' belongs to the backups of another database",
        hint="choose another --name, or use --adopt if this database is its successor",
    )


def _take(catalog: Catalog, name: str, source: Source, *, explicit: bool, adopt: bool) -> str:
    path = f"{name}/{CLAIM}"
    if adopt:
        catalog.storage.delete(path)
    try:
        with catalog.storage.writer(path) as writer:
            writer.write(msgspec.json.encode({"identity": identity_digest(source)}) + b"\n")
    except FileExistsError:  # another process was quicker: see who it is
        return claim_name(catalog, source, name=name, explicit=explicit, adopt=False)
    return name


def _owner(catalog: Catalog, name: str) -> str | None:
    """The identity that holds a name: as claimed, else as its newest manifest says."""
    try:
        data: Any = msgspec.json.decode(catalog.storage.read(f"{name}/{CLAIM}", 0, 1 << 16))
        return str(data["identity"])
    except FileNotFoundError:
        pass
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{name}/{CLAIM} in the store is not valid", hint="delete it: the next backup makes it anew"
        ) from error
    identities = [entry.manifest.source.identity for entry in catalog.listing(name).entries if entry.manifest]
    return identities[-1] if identities else None
