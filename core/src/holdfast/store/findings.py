"""Findings: what later checks said of a backup, appended as notes to its manifest, and the state that follows.

A finding is a small file of its own, so that nothing is ever rewritten and any storage can keep it; its name
says all that the state needs, so that listing a store opens none of them.
"""

import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from holdfast.api import Storage
from holdfast.store._notes import STAMP, add_note, time_of_note
from holdfast.store.names import FINDINGS

_NAME = STAMP + r"-(structure|stored|decode|restore|drill)-(passed|failed)-[0-9a-f]{6}\.json"


_CLEAR = {"id", "duration_seconds", "compared"}


class Depth(IntEnum):
    """How deep a check went; a deeper one includes the shallower."""

    STRUCTURE = 0  # manifest valid, every blob there with its size
    STORED = 1  # stored digests
    DECODE = 2  # decompressed, plain digests
    RESTORE = 3  # restored into a scratch database and checked there, with no proof to compare with
    DRILL = 4  # restored and compared with the proof


class State(StrEnum):
    """What is known of a backup."""

    COMPLETE = "complete"
    VERIFIED = "verified"
    PROVEN = "proven"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"  # neither good nor damaged: it, or what was found of it, cannot be read, or not by us


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: when (UTC), how deep, and whether it passed."""

    time: datetime
    depth: Depth
    passed: bool


def state_of(findings: Collection[Finding]) -> State:
    """Derive the state of a backup whose manifest is sound.

    It is damaged if the newest result at some depth is a failure that no later pass at that depth or deeper has
    cleared.
    """
    if not findings:
        return State.COMPLETE
    ordered = sorted(findings, key=lambda finding: finding.time)
    open_failures: set[Depth] = set()
    for finding in ordered:
        if finding.passed:
            open_failures -= {depth for depth in open_failures if depth <= finding.depth}
        else:
            open_failures.add(finding.depth)
    if open_failures:
        return State.DAMAGED
    drills = [finding for finding in ordered if finding.depth is Depth.DRILL]
    if drills and drills[-1].passed:
        return State.PROVEN
    return State.VERIFIED if any(finding.passed for finding in ordered) else State.COMPLETE


def proven_at(findings: Collection[Finding]) -> datetime | None:
    """When a restore test last agreed with the proof (UTC), or None."""
    if not findings:
        return None
    proofs = (finding.time for finding in findings if finding.depth is Depth.DRILL and finding.passed)
    return max(proofs, default=None)


def parse_name(name: str) -> Finding | None:
    """Read a finding from its file name; None for a file that is none."""
    match = re.fullmatch(_NAME, name)
    time = time_of_note(match[1]) if match else None
    if match is None or time is None:
        return None
    return Finding(time=time, depth=Depth[match[2].upper()], passed=match[3] == "passed")


def record(
    storage: Storage,
    folder: str,
    *,
    depth: Depth,
    problems: Sequence[str],
    detail: dict[str, Any],
    sealed: bool = False,
) -> Finding:
    """Append a finding to the backup in `folder`, later than all others; without problems it passed.

    Of a backup that is `sealed` it does not say what was wrong, which may name what is in it. A backup that is gone is
    a `NotFoundError`.
    """
    outcome = "failed" if problems else "passed"
    rest = f"{depth.name.lower()}-{outcome}-{secrets.token_hex(3)}"
    if sealed:
        problems = [f"{len(problems)} problems, which are not told in clear"] if problems else []
        detail = {key: value for key, value in detail.items() if key in _CLEAR}
    body = {"depth": depth.name.lower(), "result": outcome, "problems": list(problems), **detail}
    time = add_note(storage, folder, FINDINGS, rest, body)
    return Finding(time=time, depth=depth, passed=not problems)
