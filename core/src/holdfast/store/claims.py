"""Claims: how a backup that is being made gets its id, and a source the name that its backups lie under."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec

from holdfast.errors import LockedError, UnsafeError
from holdfast.host import Host
from holdfast.store.catalog import Catalog
from holdfast.store.leasing import held
from holdfast.store.lineage import find_owner, lineages, origin_of
from holdfast.store.names import CLAIM, MANIFEST, new_id, slug
from holdfast.store.origin import Origin, Owner, encode_claim
from holdfast.store.readers import using_source
from holdfast.store.renames import former_names, is_mark
from holdfast.store.retention import free_writer

_ATTEMPTS = 20  # at a name that nobody renames meanwhile
_IDS = 200  # of which nobody else has one: two that are the same are begun in the same 0.6 µs
_PATIENCE = 2.0  # seconds for which a claim is tried that another process is writing


@contextmanager
def new_backup(catalog: Catalog, at: datetime | None = None) -> Iterator[tuple[str, datetime]]:
    """Take a new id and hold its lease, so that nobody takes an unfinished folder for a leftover.

    Yields the id and the time of the backup: `at`, which is now if None. Of one moment of the past, such as the full
    second that an imported file is of, there may be many: then no id is taken that is there already.
    """
    storage, moment = catalog.storage, None if at is None else at.timestamp()
    there = set() if at is None else {stat.path.split("/")[1] for stat in catalog.walk() if "/" in stat.path}
    for attempt in range(_IDS):
        backup_id, created_at = new_id(moment)
        if backup_id in there and attempt < _IDS - 1:
            continue
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(held(storage.lease(backup_id), backup_id))
            except LockedError:
                if attempt == _IDS - 1:
                    raise
                continue
            yield backup_id, created_at
            return


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The name that a source has in a store; `taken` is whose the wanted name is, where that is another's.

    `former` is the wanted name, where the source was called so before it was renamed.
    """

    name: str
    is_own: bool = False
    is_bound: bool = True
    taken: Origin | None = None
    former: str = ""


@contextmanager
def held_name(catalog: Catalog, origin: Origin, *, name: str, explicit: bool, adopt: bool) -> Iterator[Claim]:
    """Claim a name as `claim_name` does, and keep it from being renamed for as long as a backup is made under it."""
    for _ in range(_ATTEMPTS):
        claim = claim_name(catalog, origin, name=name, explicit=explicit, adopt=adopt)
        with using_source(catalog.storage, claim.name):
            if name_for(catalog, origin, name=claim.name, explicit=True, adopt=False).name == claim.name:
                yield claim
                return
    raise LockedError(f"the source '{name}' is renamed again and again")


def claim_name(catalog: Catalog, origin: Origin, *, name: str, explicit: bool, adopt: bool) -> Claim:
    """Settle under which name a source's backups lie, and claim it.

    A derived name that belongs to another source gets the name of this one's host or six digits of its identity;
    an explicit one is refused with `UnsafeError`, unless it is adopted.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        claim = name_for(catalog, origin, name=name, explicit=explicit, adopt=adopt)
        bound = claim.is_bound or origin.host is None or origin.host.is_passing
        if claim.is_own and bound and not (adopt and _is_mixed(catalog, claim.name)):
            return claim
        if _write(catalog, claim, origin, adopt=adopt):
            return claim
        if time.monotonic() > deadline:
            raise LockedError(f"another process is claiming the name '{claim.name}' in the store")
        time.sleep(_PATIENCE / 100)


def name_for(catalog: Catalog, origin: Origin, *, name: str, explicit: bool, adopt: bool) -> Claim:
    """The name that `claim_name` would settle on; changes nothing."""
    first = owner_of(catalog, name)
    own = first is not None and first.is_same(origin)
    if not (own or adopt) and (earlier := _earlier(catalog, name, origin, explicit=explicit, taken=first)):
        return earlier
    if first is None or own or adopt:
        bound = first is not None and (first.host is not None or origin.host is None)
        return Claim(name=name, is_own=own, is_bound=bound)
    elsewhere = first.host if first.is_elsewhere(origin) else None
    if elsewhere and origin.host and (explicit or origin.host.is_passing):
        raise UnsafeError(
            f"the name '{name}' belongs to the backups of this path on host '{elsewhere.name}', and this is host "
            f"'{origin.host.name}'",
            hint="if a host changes its name, as containers do, say which it is by --host or HOLDFAST_HOST, and go on "
            "with its backups by --adopt; else choose another --name",
        )
    for candidate in () if explicit else _candidates(name, origin, elsewhere):
        owner = owner_of(catalog, candidate)
        if owner is None or owner.is_same(origin):
            return Claim(name=candidate, is_own=owner is not None, taken=first)
    raise UnsafeError(
        f"the name '{name}' belongs to the backups of another database",
        hint="choose another --name, or use --adopt if this database is its successor",
    )


def newest_id(catalog: Catalog, name: str) -> str:
    """The id of the newest backup of a source, by the ids alone; empty where there is none."""
    paths = (stat.path.split("/") for stat in catalog.walk(name))
    return max((path[1] for path in paths if path[2:] == [MANIFEST]), default="")


def claimed_names(catalog: Catalog, name: str | None = None) -> list[str]:
    """The names of all sources that there has been a backup of, or this one, whether there still is one or not."""
    paths = (stat.path.partition("/") for stat in catalog.walk(name or ""))
    return sorted({source for source, _, path in paths if path == CLAIM})


def is_unused(catalog: Catalog, name: str) -> bool:
    """Whether nothing lies under a name but its claim."""
    return all(is_mark(name, stat.path) for stat in catalog.storage.list(name))


def release_name(catalog: Catalog, name: str, origin: Origin | None) -> None:
    """Give a name back whose last backup is gone, so that a wrong first try does not hold it.

    A run that has just claimed it, and written nothing yet, claims it again before it publishes. `origin` is whose
    name it should be, None for anybody's.
    """
    remaining = []
    for stat in catalog.storage.list(name):
        if not is_mark(name, stat.path):
            return  # after the first of them most often: of a thousand backups each deletion would list all the others
        remaining.append(stat.path)
    if f"{name}/{CLAIM}" not in remaining:
        return
    owner = owner_of(catalog, name)
    if origin is None or (owner is not None and owner.owns(origin)):
        for path in sorted(remaining, key=lambda path: path == f"{name}/{CLAIM}"):  # the claim last
            catalog.storage.delete(path)


def _candidates(name: str, origin: Origin, elsewhere: Host | None) -> Iterator[str]:
    """Other names for a source whose own is taken, the best first."""
    if elsewhere and origin.host and (elsewhere == origin.host or slug(origin.host.name) != slug(elsewhere.name)):
        yield f"{name[:40]}-{slug(origin.host.name, 20)}"
    for digest in dict.fromkeys((origin.identity, origin.digest)):
        yield from (f"{name[:40]}-{digest[:length]}" for length in (6, 12, 20))


def _write(catalog: Catalog, claim: Claim, origin: Origin, *, adopt: bool) -> bool:
    """Write a claim, in the place of the one that is there if it may; False if another process was quicker."""
    storage, path = catalog.storage, f"{claim.name}/{CLAIM}"
    owner = Owner.alone(origin)
    with contextlib.ExitStack() as stack:
        if adopt or claim.is_own:
            try:
                stack.enter_context(held(storage.lease(f"claim-{claim.name}"), claim.name))
            except LockedError:
                return False
            owner = _successor(catalog, claim.name, owner, adopt=adopt)
            storage.delete(path)
        try:
            with free_writer(storage, path) as writer:
                writer.write(encode_claim(owner))
        except FileExistsError:
            return False
    return True


def write_claim(catalog: Catalog, name: str, owner: Owner, *, replace: bool) -> None:
    """Write whose a name is, in the place of another claim if asked; `LockedError` where somebody else is at that."""
    storage, path = catalog.storage, f"{name}/{CLAIM}"
    with held(storage.lease(f"claim-{name}"), name):
        if replace:
            storage.delete(path)
        try:
            with free_writer(storage, path) as writer:
                writer.write(encode_claim(owner))
        except FileExistsError as error:
            raise LockedError(f"another process is claiming the name '{name}' in the store") from error


def _successor(catalog: Catalog, name: str, owner: Owner, *, adopt: bool) -> Owner:
    """The next owner of a name, with those whose backups become its own: all that there are, if it adopts."""
    before = owner_of(catalog, name)
    if before is None:
        return owner
    owner = owner.adopting(before.adopted)
    if not adopt:
        return owner
    there = (origin_of(entry) for entry in catalog.listing(name).entries)
    return owner.adopting([before, *dict.fromkeys(origin for origin in there if origin)])


def _is_mixed(catalog: Catalog, name: str) -> bool:
    return len(lineages(catalog.storage, name, catalog.listing(name).entries)) > 1


def _earlier(catalog: Catalog, name: str, origin: Origin, *, explicit: bool, taken: Origin | None) -> Claim | None:
    """The name that a source has already, though `name` is not its own: one it got instead, or since.

    What it was called instead may be free by now, and what it was called before another's.
    """
    if explicit and taken is not None:
        return None
    instead = [] if explicit else [*_candidates(name, origin, origin.host)]
    for former, now in itertools.chain((("", now) for now in instead), _renames(catalog, [name, *instead])):
        owner = owner_of(catalog, now)
        if owner is not None and owner.is_same(origin):
            bound = owner.host is not None or origin.host is None
            return Claim(name=now, is_own=True, is_bound=bound, taken=taken, former=former)
    return None


def _renames(catalog: Catalog, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names with what a source is called now that was called so; all of the store is looked through, once asked."""
    renames = former_names(catalog.storage)
    for former in names:
        for now in renames.get(former, []):
            yield former, now


def owner_of(catalog: Catalog, name: str) -> Owner | None:
    """Whose a name is: as claimed, else as its newest manifest says."""
    return find_owner(catalog.storage, name, lambda: catalog.listing(name).entries)
