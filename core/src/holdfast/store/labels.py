"""Labels: pins and tags that a backup gets after its publication, beside the manifest, which never changes.

A label is a small file of its own, created and never rewritten, whose name says all of it, so that listing a
store opens none of them; the newest one about a thing holds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from holdfast.api import Storage
from holdfast.errors import NotFoundError
from holdfast.plan import check_tag
from holdfast.store.names import LABELS, MANIFEST

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(pin|unpin|tag|untag)((?:-[0-9a-f]{2,})?)\.json")
_TIME = "%Y%m%dT%H%M%S.%fZ"


class Act(StrEnum):
    """What a label does."""

    PIN = "pin"
    UNPIN = "unpin"
    TAG = "tag"
    UNTAG = "untag"


@dataclass(frozen=True, kw_only=True)
class Label:
    """One label: when (UTC), what, and for tags which."""

    time: datetime
    act: Act
    tag: str = ""


def is_pinned(labels: Iterable[Label]) -> bool:
    """Whether the newest pin or unpin is a pin."""
    acts = [label for label in _ordered(labels) if label.act in (Act.PIN, Act.UNPIN)]
    return bool(acts) and acts[-1].act is Act.PIN


def tags_of(labels: Iterable[Label], born: Iterable[str] = ()) -> tuple[str, ...]:
    """The tags that a backup has, those that it was `born` with included, in the order in which it got them."""
    tags = dict.fromkeys(born)
    for label in _ordered(labels):
        if label.act is Act.TAG:
            tags[label.tag] = None
        elif label.act is Act.UNTAG:
            tags.pop(label.tag, None)
    return tuple(tags)


def _ordered(labels: Iterable[Label]) -> list[Label]:
    return sorted(labels, key=lambda label: label.time)


def parse_name(name: str) -> Label | None:
    """Read a label from its file name; None for a file that is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        time = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
        tag = bytes.fromhex(match[3].removeprefix("-")).decode()
    except ValueError:
        return None
    act = Act(match[2])
    return Label(time=time, act=act, tag=tag) if bool(tag) == (act in (Act.TAG, Act.UNTAG)) else None


def record(storage: Storage, folder: str, act: Act, *, tag: str = "", known: Iterable[Label] = ()) -> Label:
    """Append a label to the backup in `folder`; a backup that is gone is a `NotFoundError`.

    It is later than all `known` ones, also where the clock has been set back since.
    """
    last = max((label.time for label in known), default=None)
    now = datetime.now(UTC)
    time = now if last is None or now > last else last + timedelta(microseconds=1)
    suffix = f"-{check_tag(tag).encode().hex()}" if tag else ""
    path = f"{folder}/{LABELS}/{time.strftime(_TIME)}-{act}{suffix}.json"
    with storage.writer(path) as writer:
        writer.write(msgspec.json.encode({"time": time, "act": act, "tag": tag}) + b"\n")
    storage.barrier()
    try:
        storage.stat(f"{folder}/{MANIFEST}")
    except FileNotFoundError as error:  # deleted meanwhile: what we wrote would be all that is left of it
        storage.delete(path)
        raise NotFoundError(f"backup {folder} was deleted meanwhile") from error
    return Label(time=time, act=act, tag=tag)
