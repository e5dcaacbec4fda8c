"""Where a child process begins and ends."""

from __future__ import annotations

import os
import sqlite3
import sys

from holdfast_sqlite.child.channel import Channel, TaskError

_MORE_MEMORY = "give it more (ulimit -v, the limit of its container); without --proof and --check full it needs least"


def main() -> None:
    """Do the task that comes by standard input, and end without any clean-up of SQLite's."""
    code = _run()
    sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    channel = Channel()
    try:
        if channel.task["task"] == "dump":
            from holdfast_sqlite.child.dump import dump

            dump(channel)
        elif channel.task["task"] == "moment":
            from holdfast_sqlite.child.moment import moment

            moment(channel)
        elif channel.task["task"] == "kinds":
            from holdfast_sqlite.child.kinds import look

            look(channel)
        elif channel.task["task"] == "look":
            from holdfast_sqlite.merge.look import look as look_at_target

            look_at_target(channel)
        elif channel.task["task"] == "merge":
            from holdfast_sqlite.merge.transaction import merge

            merge(channel)
        else:
            from holdfast_sqlite.child.target import TASKS

            TASKS[channel.task["task"]](channel)
        return 0
    except TaskError as error:
        channel.send("error", kind=error.kind, text=str(error), hint=error.hint)
    except MemoryError as error:
        text = str(error) or "there is not enough memory"
        channel.send("error", kind="memory", text=text, hint=_MORE_MEMORY)
    except sqlite3.Error as error:
        from holdfast_sqlite.child.schema import is_unreadable

        kind = "newer" if is_unreadable(error) else getattr(error, "sqlite_errorname", "")
        if kind.startswith("SQLITE_IOERR"):
            kind, error = "os", sqlite3.OperationalError(f"disk I/O error ({kind})")
        channel.send("error", kind=kind, text=str(error), hint=None)
    except OSError as error:
        channel.send("error", kind="os", text=str(error), hint=None, errno=error.errno, file=error.filename)
    except Exception:  # noqa: BLE001 (a bug of ours: the parent shows the last line of standard error)
        import traceback

        traceback.print_exc()
    return 1
