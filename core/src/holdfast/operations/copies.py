"""In how many stores the newest good backup of each source lies: a check for the copies that a store shall have."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from holdfast.command_text import command_text
from holdfast.errors import NotFoundError, OverdueError, UsageError, quote_name
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.claims import claimed_names
from holdfast.store.entry import Entry, hidden_source
from holdfast.store.lineage import are_mixed, lineages
from holdfast.store.names import check_source_name
from holdfast.store.overlap import linked_source, share_a_place


@dataclass(frozen=True, kw_only=True)
class SourceCopies:
    """A source, its newest good backup, None where there is none, and the stores that have it."""

    name: str
    newest: Entry | None
    locations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CopiesListing:
    """The sources of a store whose newest good backup lies in fewer than `wanted` of the stores that were named."""

    location: str
    others: tuple[str, ...]
    wanted: int
    lacking: tuple[SourceCopies, ...]
    backups: tuple[Backup, ...]
    empty: bool

    def raise_for_lacking(self) -> None:
        """Raise `OverdueError` if there are such, or if there is no source at all."""
        if self.empty:  # a check that watches must not fall silent
            raise OverdueError(f"no backup in {quote_name(self.location)}")
        if not self.lacking:
            return
        sources = "1 source" if len(self.lacking) == 1 else f"{len(self.lacking)} sources"
        said = ", ".join(f"{each.name} ({_have(each)})" for each in self.lacking)
        raise OverdueError(
            f"{sources} without {self.wanted} copies of the newest good backup: {said}",
            hint="copy what is missing: "
            + command_text("holdfast", "copy", self.location, "OTHER_STORE", self.lacking[0].name),
        )


def _have(each: SourceCopies) -> str:
    return "no good backup" if each.newest is None else f"{each.newest.id} in {len(each.locations)}"


def list_copies(
    *, store: StoreLike, others: Sequence[StoreLike], wanted: int, registry: Registry, name: str | None = None
) -> CopiesListing:
    """Look for the newest good backup of each source of `store`, or of one, in the `others`, and count `store` as well.

    A copy counts where it is the same backup and is good there. A store that is not there, or cannot be read, is a
    `NotFoundError`: how many copies there are cannot be told then.
    """
    if name is not None:
        check_source_name(name)
    if not 1 <= wanted <= len(others) + 1:
        few = "1 store" if not others else f"{len(others) + 1} stores"
        raise UsageError(f"{wanted} copies cannot be in {few}", hint="name the other stores by --other-store")
    catalog = open_catalog(store, registry)
    elsewhere = [open_catalog(other, registry) for other in others]
    locations = [each.storage.location for each in (catalog, *elsewhere)]
    stores = [each.storage for each in (catalog, *elsewhere)]
    if any(share_a_place(*pair) for pair in combinations(stores, 2)):
        raise UsageError("a store is named twice, and would count twice")
    sources = _newest(catalog, name)
    held = [_good(each, name) for each in elsewhere]
    counted = [
        SourceCopies(
            name=source,
            newest=entry,
            locations=() if entry is None else (locations[0], *_locations_of(entry, held, locations[1:])),
        )
        for source, entry in sources
    ]
    lacking = tuple(each for each in counted if len(each.locations) < wanted)
    return CopiesListing(
        location=locations[0],
        others=tuple(locations[1:]),
        wanted=wanted,
        lacking=lacking,
        backups=tuple(Backup.of(each.newest, catalog.storage) for each in lacking if each.newest is not None),
        empty=not counted,
    )


def _newest(catalog: Catalog, name: str | None) -> list[tuple[str, Entry | None]]:
    """The newest good backup of each source, of the whole where there are such, by each database under a name."""
    sources: dict[str, list[Entry]] = {source: [] for source in claimed_names(catalog, name)}
    for entry in _entries(catalog, name):
        sources.setdefault(entry.name, []).append(entry)
    newest: list[tuple[str, Entry | None]] = []
    for source, entries in sorted(sources.items()):
        groups = lineages(catalog.storage, source, entries)
        for group in groups if are_mixed(groups) else [[*chain.from_iterable(groups)]]:
            good = [entry for entry in group if entry.good]
            whole = [entry for entry in good if not entry.part]
            newest.append((source, max(whole or good, key=lambda entry: entry.created_at, default=None)))
    return newest


def _good(catalog: Catalog, name: str | None) -> dict[tuple[str, str], str]:
    """The digests of the manifests of all good backups, by source and id."""
    return {(entry.name, entry.id): entry.checksum for entry in _entries(catalog, name) if entry.good}


def _entries(catalog: Catalog, name: str | None) -> Sequence[Entry]:
    """The backups of a store, all of which can be read."""
    listing = catalog.listing(name, cached=True)
    linked = {path: why for path in listing.foreign if (why := linked_source(catalog.storage, path))}
    for source in {**listing.hidden, **linked}.items():
        raise NotFoundError(hidden_source(source))
    return listing.entries


def _locations_of(entry: Entry, held: Sequence[dict[tuple[str, str], str]], locations: Sequence[str]) -> list[str]:
    key = entry.name, entry.id
    return [place for place, there in zip(locations, held, strict=True) if there.get(key) == entry.checksum]
