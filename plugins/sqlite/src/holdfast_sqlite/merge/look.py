"""What a merge would do, told before anything is touched."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.child.channel import Channel, TaskError
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.merge.access import open_uri, refuse_users
from holdfast_sqlite.merge.counts import Counter
from holdfast_sqlite.merge.plan import Plan, contents
from holdfast_sqlite.snapshot.side_files import SideFiles


def look(channel: Channel) -> None:
    """Tell what a merge would change, or without an image what the target holds; touches nothing."""
    task = channel.task
    path = task["path"]
    side_files = SideFiles(path)
    if task["image"]:
        refuse_users(task)
    side_files.watch()
    target = _open_to_look(path, task["lock_timeout"], dry_run=task["dry_run"])
    target.execute("BEGIN")
    image = open_uri(sqlite_uri(task["image"], "ro&immutable=1"), 0) if task["image"] else None
    counter = Counter(target)
    changes = Plan(image, target).changes(Counter(image), counter) if image else contents(target, counter)
    target.execute("ROLLBACK")
    target.close()
    side_files.remove()
    channel.send("looked", changes=changes)


def _open_to_look(path: str, lock_timeout: float, *, dry_run: bool) -> sqlite3.Connection:
    """Open the target for reading; a transaction that a crash has left in its journal is rolled back before a merge."""
    target = open_uri(sqlite_uri(path, "ro"), lock_timeout)
    try:
        target.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY_ROLLBACK":
            raise
        if dry_run:
            raise TaskError(
                "failed",
                "a crash has left an unfinished transaction in its journal, which a dry run does not roll back",
                hint="open the database once with a program that uses it, or sqlite3",
            ) from error
        target.close()
        return open_uri(sqlite_uri(path, "rw"), lock_timeout)
    return target
