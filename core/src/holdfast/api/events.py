"""What happens in a run, as observers and programs are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from holdfast.field_docs import explain_fields


class EventType(StrEnum):
    """What an event tells; each is equal to its text."""

    #: What the engine is at before its streams are known: `message`. It comes before `started`, or not at all.
    PREPARING = "preparing"
    #: Work begins: everything is found and open. `total` is known now, or never.
    STARTED = "started"
    #: More bytes have been read: `done` of `total`; about ten times a second.
    PROGRESS = "progress"
    #: A stream of a backup is stored; `detail` has `size_bytes` and `stored_bytes`.
    STREAM = "stream"
    #: Something that the user has to know and that does not end the run: `message`.
    WARNING = "warning"
    #: The operation was carried out; `detail` is its whole result, which may say that a backup is damaged.
    FINISHED = "finished"
    #: The operation was not carried out: `message`; `detail` has the class of the `error`, `exit_code` and `hint`.
    FAILED = "failed"


class Operation(StrEnum):
    """What a run does; each is equal to its text."""

    #: Makes one backup.
    BACKUP = "backup"
    #: Restores one backup into a database.
    RESTORE = "restore"
    #: Checks one backup; several are as many runs.
    VERIFY = "verify"
    #: Restores one backup into a scratch database and compares it with what was recorded.
    DRILL = "drill"
    #: Deletes one backup, alone or as a part of a prune.
    DELETE = "delete"
    #: Deletes what a policy does not keep; each deletion is a run of its own in this one.
    PRUNE = "prune"
    #: Gives a source another name.
    RENAME = "rename"
    #: Makes a backup of one file of the earlier BackupManager; several are as many runs.
    IMPORT = "import"
    #: Copies one backup into another store; several are as many runs.
    COPY = "copy"
    #: Brings back a backup that was deleted or overwritten; several are as many runs.
    UNDELETE = "undelete"


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run. Further types and operations may come: ignore those that you do not know.

    A run ends with one `finished` or one `failed` and tells nothing afterwards. A failure is told from the first line
    on, so that `failed` may be the only event of a run. A dry run tells of warnings and of a failure alone, in whose
    detail `dry_run` is true.
    """

    #: What happened.
    type: EventType
    #: What is being done.
    operation: Operation
    #: The id of the backup; empty in a run of a whole store, and in one that failed before it was known.
    id: str
    #: When it happened (UTC).
    time: datetime
    #: The name of the backup's source; empty where `id` is.
    name: str = ""
    #: The stream that an event of type `stream` is about.
    stream: str | None = None
    #: Bytes read so far: plain ones, and stored ones where these are checked first.
    done: int = 0
    #: Bytes to read altogether, or None while unknown.
    total: int | None = None
    #: The text of a warning or failure.
    message: str = ""
    #: Further plain data that JSON can hold; with `finished` the whole result, with `failed` its class and exit code.
    detail: Mapping[str, Any] = field(default_factory=dict)


#: What a program passes as `on_event`: called in the thread that runs the operation; its errors end the run.
Watcher = Callable[[Event], object]
