"""One moment of several databases: all of them held in states that they had at the same time.

In rollback mode the SHARED lock on each, held at once, is that: a transaction over several files has the EXCLUSIVE
locks of all before it changes the first, and gives none back before it has changed the last
(https://www.sqlite.org/atomiccommit.html#_multi_file_commit). So there is no state between to be seen.

In WAL mode every file is pinned by itself. That no header of any index has changed between the last pin and a look at
all of them shows that all pinned states were the newest ones when that look began. Yet a transaction over several
files becomes visible in one after the other (https://www.sqlite.org/lang_attach.html). Until it is visible in all it
holds the write lock of each: nobody who held two of these when the look began can have been half-way.
"""

from __future__ import annotations

import time
from collections import Counter

from holdfast_sqlite.snapshot.member import Member

_PAUSE = 0.02  # seconds between tries: writers who waited for us go first
_LONGEST_LOOK = 0.5  # seconds in which a quiet moment of the logs is waited for while writers wait for locks
_GLANCE = 0.0003  # seconds between looks, so that writers get on
_LOCKED = "database is locked"
_BUSY = "it is written to all the time, and no moment was found between two transactions"


def hold(members: list[Member], lock_timeout: float) -> None:
    """Hold all members at one moment, but for those that then say why they are left out.

    What is not obtained within `lock_timeout` seconds is left out, and what is left is held without it.
    """
    deadline = time.monotonic() + lock_timeout
    for member in members:
        member.vet()
    waiting = [member for member in members if not member.opened]
    while waiting := [member for member in waiting if not member.open()]:
        if time.monotonic() > deadline:
            for member in waiting:
                member.refusal = _LOCKED
            break
        time.sleep(_PAUSE)
    while held := [member for member in members if not member.refusal]:
        obstacles = _try(held)
        if not obstacles:
            return
        for member in held:
            member.release() if member.writers_wait else None
        if time.monotonic() > deadline:
            for member, why in obstacles.items():
                member.refusal = member.refusal or why
        # Those that were locked first: the next try then waits for them while it holds nothing.
        members.sort(key=lambda member: member not in obstacles)
        time.sleep(_PAUSE)


def _try(members: list[Member]) -> dict[Member, str]:
    """Take all locks and pins; what kept this from being one moment, and why."""
    for member in members:
        if member.writers_wait and not member.lock():
            return {member: _LOCKED}
    for member in members:
        if member.in_wal and not member.refusal:
            member.pin()
    deadline = time.monotonic() + _LONGEST_LOOK
    while obstacles := _look([member for member in members if not member.refusal]):
        for member in obstacles:
            if member.in_wal and member.changed:
                member.pin()
        if time.monotonic() > deadline or any(member.refusal for member in obstacles):
            return dict.fromkeys(obstacles, _BUSY)
        time.sleep(_GLANCE)
    return {}


def _look(members: list[Member]) -> set[Member]:
    """The members that do not show the moment at which this began; first the locks, then the states."""
    writers = {member: member.writer for member in members}
    # A process that the kernel hides may be the same as another one.
    owners = {member: max(owner, 0) for member, owner in writers.items() if owner is not None}
    counts = Counter(owners.values())
    half_way = {member for member, owner in owners.items() if counts[owner] > 1}
    return half_way | {member for member in members if member.changed}
