"""Whether a restore would write into the store that it reads from, where the store is a folder.

No engine can tell: it knows the target and not the store.
"""

import os
from collections.abc import Iterator

from holdfast.api import DatabaseURL, Storage, SupportsFolder
from holdfast.errors import UnsafeError, quote_name
from holdfast.store.names import CLAIM


def check_outside(storage: Storage, target: str) -> None:
    """Refuse a target URL that names a file in the folder of the store: its restore would replace a part of it."""
    url = DatabaseURL.parse(target)
    if url.hosts or not isinstance(storage, SupportsFolder) or not os.path.isdir(storage.folder):
        return
    root = storage.folder
    for path in _paths(url.path):
        if is_within(path, root):
            raise UnsafeError(
                f"the target {url.redacted()} lies in the store {quote_name(root)}, where a restore would damage it",
                hint="restore to a place outside of the store",
            )


def _paths(path: str) -> Iterator[str]:
    """What the path of a URL without a host may mean: engines write a relative path after the slash, or an absolute.

    A single name may be that of a database on a local server as well (`postgresql:///app`), and a store may have a
    folder or nothing of that name: it is taken for a path only where a file is.
    """
    relative = path.removeprefix("/")
    for candidate in (path, relative):
        is_path = "/" in relative or os.path.isabs(relative) or os.path.isfile(candidate)
        if candidate and "\0" not in candidate and is_path:
            yield candidate


def is_within(path: str, root: str) -> bool:
    """Whether a path is a folder that is there, or lies in it.

    Folders are compared by their identity, which holds through links, bind mounts, and names in another case.
    """
    if not os.path.isdir(root):
        return False
    previous, folder = "", os.path.realpath(path)
    while previous != folder:
        if os.path.exists(folder) and os.path.samefile(folder, root):
            return True
        previous, folder = folder, os.path.dirname(folder)
    return False


def linked_source(storage: Storage, path: str) -> str:
    """Why the backups below a link are not known, where it leads to a source outside of the store; else empty.

    A source within it is a second name for what is seen anyway.
    """
    if not isinstance(storage, SupportsFolder) or "/" in path:
        return ""
    link = os.path.join(storage.folder, path)
    if not os.path.isfile(os.path.join(link, CLAIM)) or is_within(link, storage.folder):
        return ""
    return "it is a link, and none is followed: mount the folder there, or move it back"


def share_a_place(first: Storage, second: Storage) -> bool:
    """Whether two stores are the same, or lie within each other."""
    if isinstance(first, SupportsFolder) and isinstance(second, SupportsFolder):
        return is_within(first.folder, second.folder) or is_within(second.folder, first.folder)
    return first.location == second.location
