"""Lineages: which of the backups under a name are of one database, with those before it that it has adopted.

A name belongs to one database. But folders are copied together, as where the stores of several hosts are gathered on
one disk, and then the backups of two databases lie under one name: none of them may take the place of another's.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

from holdfast.api import Storage
from holdfast.errors import IntegrityError
from holdfast.host import Host
from holdfast.plugins.guard import provider
from holdfast.store.entry import Entry
from holdfast.store.names import CLAIM
from holdfast.store.origin import CLAIM_SIZE, Origin, Owner, decode_claim

Lineage = Sequence[Entry]
"""Backups of one database, oldest first."""


def find_owner(storage: Storage, name: str, entries: Callable[[], Iterable[Entry]]) -> Owner | None:
    """Whose a name is: as claimed, else as the newest manifest of its backups says, which are asked for then."""
    path = f"{name}/{CLAIM}"
    try:
        return decode_claim(storage.read(path, 0, CLAIM_SIZE), path, provider(storage))
    except FileNotFoundError:
        origins = [origin for entry in entries() if (origin := origin_of(entry))]
        return Owner.alone(origins[-1]) if origins else None


def origin_of(entry: Entry) -> Origin | None:
    """Which database a backup is of, None where its manifest cannot be read."""
    return Origin.recorded(entry.manifest.source) if entry.manifest else None


def lineages(storage: Storage, name: str, entries: Sequence[Entry]) -> list[Lineage]:
    """The backups under a name, oldest first, by what they are backups of; most often there is only one lineage.

    What cannot be told is taken for the owner's.
    """
    if not _differ(filter(None, map(origin_of, entries))):
        return _of_each_server(entries) if entries else []
    try:
        owner = find_owner(storage, name, lambda: entries)
    except (OSError, IntegrityError):  # whoever makes the next backup says so
        owner = None
    groups: list[tuple[Origin | None, list[Entry]]] = [(owner, [])]
    for entry in entries:
        origin = origin_of(entry)
        if origin is None or (owner and owner.owns(origin)):
            groups[0][1].append(entry)
            continue
        known = (group for other, group in groups[1:] if other and other.is_same(origin))
        if (group := next(known, None)) is not None:
            group.append(entry)
        else:
            groups.append((origin, [entry]))
    return [part for _, group in groups if group for part in _of_each_server(group)]


def _of_each_server(group: Lineage) -> list[Lineage]:
    """The backups of a server, and those of a copy of it that goes on by itself, where their positions show that.

    After a failover, or on another machine, a server goes on from where it was, and so does what is restored in place.
    """
    if not _diverges(group):
        return [group]
    parts: dict[str, list[Entry]] = {}
    for entry in group:
        address = entry.manifest.source.address if entry.manifest else ""
        parts.setdefault(address or next(iter(parts), ""), []).append(entry)
    return [*parts.values()]


def _diverges(group: Lineage) -> bool:
    position: list[int] = []
    address = ""
    for source in (entry.manifest.source for entry in group if entry.manifest and entry.manifest.source.position):
        if source.position < position and source.address != address:
            return True
        position, address = source.position, source.address
    return False


def _differ(origins: Iterable[Origin]) -> bool:
    """Whether there can be more than one lineage: most often not, and then nobody has to be asked who the owner is."""
    identities: set[str] = set()
    hosts: list[Host] = []
    for origin in origins:
        identities.add(origin.identity)
        hosts += [origin.host] if origin.host else []
    return len(identities) > 1 or not all(host.is_same(hosts[0]) for host in hosts)


def lineage_of(storage: Storage, entry: Entry, siblings: Sequence[Entry]) -> Lineage:
    """The backups of the same database among those of the same name."""
    groups = lineages(storage, entry.name, siblings)
    return next((group for group in groups if any(other.id == entry.id for other in group)), ())


def are_mixed(groups: Sequence[Lineage]) -> bool:
    """Whether several lineages lie beside each other, so that nobody can mean the newest of all by `latest`.

    One that has ended before another began can have been adopted by it, which older versions did not write down; but
    never one of another host.
    """
    return any(_overlap(*pair) or _elsewhere(*pair) for pair in combinations(groups, 2))


def _overlap(left: Lineage, right: Lineage) -> bool:
    return left[0].created_at <= right[-1].created_at and right[0].created_at <= left[-1].created_at


def _elsewhere(left: Lineage, right: Lineage) -> bool:
    mine, theirs = next(_origins(left), None), next(_origins(right), None)
    return mine is not None and theirs is not None and mine.is_elsewhere(theirs)


def _origins(group: Lineage) -> Iterator[Origin]:
    return (origin for entry in group if (origin := origin_of(entry)))


def describe(group: Lineage) -> str:
    """Say which database a lineage is of, such as `sqlite:////srv/app.db on host 'web1'`."""
    source = next((entry.manifest.source for entry in reversed(group) if entry.manifest), None)
    if source is None:
        return "one whose manifests cannot be read"
    place = f" on host '{source.host.name}'" if source.host else f" at {source.address}" if source.address else ""
    return f"{source.url}{place}"


def mixture(name: str, groups: Sequence[Lineage]) -> str:
    """Say that the backups of several databases lie under one name, or nothing."""
    if len(groups) < 2:
        return ""
    return (
        f"'{name}' holds backups of {len(groups)} databases, and none of them takes the place of another's: "
        f"{'; '.join(map(describe, groups))}; {_advice(name, groups)}"
    )


def _advice(name: str, groups: Sequence[Lineage]) -> str:
    origins = [next(_origins(group), None) for group in groups]
    if any(other is not None and origins[0] is not None and other.is_same(origins[0]) for other in origins[1:]):
        return (
            "one server is a copy of another, or was restored to an earlier state elsewhere: back a copy up under a "
            "--name of its own; what the other has left can be deleted by --allow-last"
        )
    return f"if they are one, a backup with --name {name} --adopt says so"
