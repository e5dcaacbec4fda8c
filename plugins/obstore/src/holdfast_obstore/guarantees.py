"""What the last object that was written tells of a place: whether it keeps versions, and how its clock goes.

The library asks for nothing but objects. A check has written a lease right before, so that nothing is written for this.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.api import Guarantee, HoldfastError
from holdfast_obstore.client import Client

_AHEAD = 30.0  # seconds between two clocks by which leases would be taken for ended
_UNWRITTEN = "nothing was written, by which it could be told"


@dataclass(frozen=True, kw_only=True)
class Put:
    """An object that was written: when, by our clock, and what the service answered."""

    key: str
    began: datetime
    ended: datetime
    answer: Mapping[str, Any]


def written_guarantees(client: Client, put: Put | None) -> Iterator[Guarantee]:
    """Tell what it shows, and what it cannot show."""
    yield _versioning(client, put)
    detail = "the client cannot ask whether what is deleted stays for some days"
    yield Guarantee(name="soft delete", holds=None, detail=detail)
    yield _clock(client, put)


def _versioning(client: Client, put: Put | None) -> Guarantee:
    if not client.place.tells_versioning:
        return Guarantee(name="versioning", holds=None, detail="the client cannot ask")
    if put is None:
        return Guarantee(name="versioning", holds=None, detail=_UNWRITTEN)
    if put.answer.get("version"):
        return Guarantee(name="versioning", holds=True, detail="what is deleted or overwritten stays as a version")
    return Guarantee(name="versioning", holds=False, detail="what is deleted stays only where soft delete keeps it")


def _clock(client: Client, put: Put | None) -> Guarantee:
    """Compare the time that the service gave the object with when it was written, to the second that it tells."""
    if put is None:
        return Guarantee(name="clock", holds=None, detail=_UNWRITTEN)
    try:
        meta = client.call("", lambda store: store.head(put.key))
    except (HoldfastError, OSError) as error:
        return Guarantee(name="clock", holds=None, detail=f"it cannot be asked: {error}")
    if meta["e_tag"] != put.answer.get("e_tag"):
        return Guarantee(name="clock", holds=None, detail="another run wrote at the same time")
    written = meta["last_modified"].astimezone(UTC)
    earliest, latest = put.began - timedelta(seconds=1), put.ended
    apart = (earliest - written if written < earliest else min(latest - written, timedelta())).total_seconds()
    seconds = round(abs(apart))
    how = f"{seconds} s {'behind' if apart > 0 else 'ahead of'} ours" if seconds > 1 else "as ours"
    return Guarantee(name="clock", holds=seconds <= _AHEAD, detail=f"that of the service is {how}")
