"""Labels: pins and tags of a published backup."""

from collections.abc import Iterable

from holdfast.plan import check_tag
from holdfast.store import labels
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.labels import Act


def pin(catalog: Catalog, entry: Entry, *, pinned: bool = True) -> bool:
    """Pin a backup, so that retention leaves it alone, or unpin it; returns whether that changed anything."""
    if entry.pinned == pinned:
        return False
    labels.record(catalog.storage, entry.folder, Act.PIN if pinned else Act.UNPIN)
    return True


def tag(catalog: Catalog, entry: Entry, tags: Iterable[str], *, remove: bool = False) -> tuple[str, ...]:
    """Give a backup tags, or remove them, and return those that it has afterwards."""
    wanted = [check_tag(text) for text in tags]
    known = list(entry.labels)
    for text in wanted:
        if (text in entry.tags) == remove:
            act = Act.UNTAG if remove else Act.TAG
            known.append(labels.record(catalog.storage, entry.folder, act, tag=text))
    return labels.tags_of(known, entry.manifest.tags if entry.manifest else ())
