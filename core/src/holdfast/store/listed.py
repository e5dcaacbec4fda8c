"""Objects that a storage has and does not list: such a store looks empty, or its backups damaged, and is neither."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

from holdfast.api import Stat, Storage, SupportsWalk
from holdfast.errors import PluginError, quote_name
from holdfast.plugins.guard import provider
from holdfast.store.entry import Entry, unlisted_blob
from holdfast.store.manifest import Manifest
from holdfast.store.names import CLAIM, MARKER


def checked_listing(storage: Storage, stats: Iterable[Stat], folder: str, expected: str) -> Iterator[Stat]:
    """Pass a listing of a folder on; at its end, `expected` being there and not listed is a `PluginError`.

    Nothing more is asked of the storage where it is listed.
    """
    rest = iter(stats)
    for stat in rest:
        yield stat
        if _is_same(stat.path, expected):
            yield from rest
            return
    check_listed(storage, folder, expected)


def walk(storage: Storage, name: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
    """What lies in a store, or below a source; what `enter` is false for is left out where a storage can do that.

    The mark of the store, or the claim of the source, must be listed if it is there.
    """
    stats = storage.walk(name, enter) if isinstance(storage, SupportsWalk) else storage.list(name)
    return checked_listing(storage, stats, name, f"{name}/{CLAIM}" if name else MARKER)


def check_listed(storage: Storage, folder: str, path: str) -> None:
    """Raise a `PluginError` if an object that a listing of the folder was without is there all the same.

    It may have been written since, so it is one only if the next listing is without it as well.
    """
    if not _is_there(storage, path):
        return
    is_listed = any(_is_same(stat.path, path) or stat.problem for stat in storage.list(folder))
    if is_listed or not _is_there(storage, path):
        return
    raise PluginError(
        f"{provider(storage)} does not list {quote_name(path)}, which is there: what else it leaves out cannot be told",
        hint="nothing is said of the store or its backups by this; use another version of the storage, or another way "
        "to reach the store",
    )


def check_blobs(storage: Storage, entry: Entry, document: Manifest) -> None:
    """Raise a `PluginError` if a blob of a backup is there and was not listed."""
    if blob := unlisted_blob(document, entry.files):
        check_listed(storage, entry.folder, f"{entry.folder}/{blob}")


def _is_same(path: str, other: str) -> bool:
    """Whether two paths are of one object, as they are on file systems that fold case."""
    return path == other or path.lower() == other.lower()


def _is_there(storage: Storage, path: str) -> bool:
    """Whether an object is there for certain."""
    with contextlib.suppress(OSError):
        return storage.stat(path).regular
    return False
