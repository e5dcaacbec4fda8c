"""Notes to a published backup: small files, created and never rewritten, whose names say all that a listing needs.

Findings and labels are such notes; the newest one of a kind holds.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from holdfast.api import Storage
from holdfast.errors import cleaning_up, os_error_text, quote_name
from holdfast.store.published import check_published
from holdfast.store.retention import write_note

log = logging.getLogger("holdfast.store")

STAMP = r"(\d{8}T\d{6}\.\d{6}Z)"
"""How a note's name begins, as a regular expression."""
_TIME = "%Y%m%dT%H%M%S.%fZ"
_LENGTH = len("20260101T000000.000000Z")


def time_of_note(stamp: str) -> datetime | None:
    """Read the time (UTC) that a name begins with; None for one that is no time."""
    try:
        return datetime.fromisoformat(stamp)  # a fifth of what `strptime` takes
    except ValueError:
        return None


def add_note(storage: Storage, backup: str, folder: str, rest: str, body: Mapping[str, Any]) -> datetime:
    """Write `<time>-<rest>.json` into a folder of the backup, kept as long as that, and return its time (UTC).

    It is later than all notes that are there, also where the clock has been set back since: the last word has to be
    the newest. Raises `NotFoundError` for a backup that is gone, and leaves nothing where it was; nor does it after any
    other failure, which would have said that there is no such note.
    """
    time = _now(storage, f"{backup}/{folder}")
    path = f"{backup}/{folder}/{time.strftime(_TIME)}-{rest}.json"
    write_note(storage, backup, path, msgspec.json.encode({"time": time, **body}) + b"\n")
    try:
        storage.barrier()
        _check_there(storage, backup)
    except BaseException as error:
        with cleaning_up(error, f"could not remove {quote_name(path)}, which holds therefore"):
            storage.delete(path)  # of a backup that is gone it would be all that is left
        raise
    return time


def _check_there(storage: Storage, backup: str) -> None:
    """Raise `NotFoundError` if a backup has been deleted; what cannot be told is taken for its being there."""
    try:
        check_published(storage, backup)
    except OSError as error:
        log.info("cannot tell whether %s is there still: %s", backup, os_error_text(error))


def _now(storage: Storage, folder: str) -> datetime:
    names = (stat.path.rpartition("/")[2] for stat in storage.list(folder))
    last = max((time for name in names if (time := time_of_note(name[:_LENGTH]))), default=None)
    now = datetime.now(UTC)
    if last is None or now > last:
        return now
    return last + min(timedelta(microseconds=1), datetime.max.replace(tzinfo=UTC) - last)
