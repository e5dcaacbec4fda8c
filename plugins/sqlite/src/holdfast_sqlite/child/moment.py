"""The moment task: hold several databases at one moment, and copy each when the parent asks for it."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from holdfast_sqlite.child.channel import Channel, TaskError
from holdfast_sqlite.files import free_bytes
from holdfast_sqlite.snapshot.member import Member, reason_of
from holdfast_sqlite.snapshot.moment import hold

_WRITERS_WAIT = (
    "there is no room for copies of {size} bytes in {folder}: whoever writes to the databases waits until each is "
    "backed up (TMPDIR names another folder)"
)


def moment(channel: Channel) -> None:
    """Hold the files of the task; then, for each number that comes, copy that one and let go of it, until `end`."""
    _raise_limit()
    task = channel.task
    members = [Member(path, uri) for path, uri in zip(task["paths"], task["uris"], strict=True)]
    hold([*members], task["lock_timeout"])
    for member in members:
        if member.refusal:
            member.let_go()
    warnings = _copy_early(members, task["scratch"])
    channel.send("held", refusal=[member.refusal for member in members], warnings=warnings)
    while (command := channel.wait()) != "end":
        member = members[int(command)]
        _copy(member, os.path.join(task["scratch"], f"{command}.sqlite"))
        channel.send(
            "image", path=member.image, size=member.size, method=member.method, frames=member.frames,
            warnings=member.warnings, refusal=member.refusal,
        )  # fmt: skip
    for member in members:
        member.let_go()
    channel.send("ended")


def _raise_limit() -> None:
    """A database takes up to six descriptors, and a process may have 1024 unless it asks for more."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # some systems say "no limit", and take none: who is too many is left out
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _copy_early(members: list[Member], scratch: str) -> list[str]:
    """Copy at once what writers wait for, where there is room for all of it."""
    waited_for = [member for member in members if member.writers_wait and not member.refusal]
    size = sum(member.size for member in waited_for)
    free = free_bytes(scratch)
    if free is not None and free < size:
        return [_WRITERS_WAIT.format(size=size, folder=os.path.dirname(scratch))]
    for member in waited_for:
        _copy(member, os.path.join(scratch, f"{members.index(member)}.sqlite"))
    return []


def _copy(member: Member, target: str) -> None:
    """Copy a member unless that was done; what cannot be copied is left out, and its own backup says why."""
    if member.image or member.refusal:
        return
    try:
        member.copy(target)
    except (OSError, sqlite3.Error, TaskError) as error:
        member.refusal = reason_of(error)
        member.image = ""
        if os.path.exists(target):
            os.unlink(target)
    member.let_go()
