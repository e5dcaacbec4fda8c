"""Labels: pins and tags that a backup gets after its publication, as notes to the manifest, which never changes.

A label is a small file of its own, created and never rewritten, whose name says all of it, so that listing a
store opens none of them; the newest one about a thing holds.
"""

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from holdfast.api import Storage
from holdfast.plan import check_tag
from holdfast.store._notes import STAMP, add_note, time_of_note
from holdfast.store.names import LABELS

_NAME = STAMP + r"-(pin|unpin|tag|untag)((?:-[0-9a-f]{2,})?)\.json"


class Act(StrEnum):
    """What a label does."""

    PIN = "pin"
    UNPIN = "unpin"
    TAG = "tag"
    UNTAG = "untag"


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One label: when (UTC), what, and for tags which."""

    time: datetime
    act: Act
    tag: str = ""


def is_pinned(labels: Collection[Label]) -> bool:
    """Whether the newest pin or unpin is a pin."""
    if not labels:
        return False
    acts = [label for label in _ordered(labels) if label.act in (Act.PIN, Act.UNPIN)]
    return bool(acts) and acts[-1].act is Act.PIN


def tags_of(labels: Collection[Label], born: Iterable[str] = ()) -> tuple[str, ...]:
    """The tags that a backup has, those that it was `born` with included, in the order in which it got them."""
    if not labels:
        return tuple(dict.fromkeys(born))
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
    match = re.fullmatch(_NAME, name)
    time = time_of_note(match[1]) if match else None
    if match is None or time is None:
        return None
    try:
        tag = bytes.fromhex(match[3].removeprefix("-")).decode()
    except ValueError:
        return None
    act = Act(match[2])
    return Label(time=time, act=act, tag=tag) if bool(tag) == (act in (Act.TAG, Act.UNTAG)) else None


def record(storage: Storage, folder: str, act: Act, *, tag: str = "") -> Label:
    """Append a label to the backup in `folder`, later than all others; a backup that is gone is a `NotFoundError`."""
    suffix = f"-{check_tag(tag).encode().hex()}" if tag else ""
    time = add_note(storage, folder, LABELS, f"{act}{suffix}", {"act": act, "tag": tag})
    return Label(time=time, act=act, tag=tag)
