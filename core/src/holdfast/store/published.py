"""Whether a backup is there still: what one lacks that somebody deletes is no damage."""

from holdfast.api import Storage
from holdfast.errors import NotFoundError
from holdfast.store.names import MANIFEST


def check_published(storage: Storage, folder: str) -> None:
    """Raise `NotFoundError` if a backup has been deleted since it was found: what it lacks is no damage then."""
    try:
        storage.stat(f"{folder}/{MANIFEST}")
    except FileNotFoundError as error:
        raise NotFoundError(f"backup {folder} has been deleted meanwhile") from error
