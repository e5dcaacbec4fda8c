"""What reading leaves beside a database, after a child process that could not remove it itself."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.api import HoldfastError, quote_name
from holdfast_sqlite.session import Child

log = logging.getLogger("holdfast.sqlite")


@contextmanager
def cleaned_up(path: str, scratch: Path) -> Iterator[None]:
    """Remove the side files that a child has made which could not do so itself: it failed, or was killed.

    That opens the database, which this process must not do.
    """
    absent = [suffix for suffix in ("-wal", "-shm") if not os.path.exists(path + suffix)]
    try:
        yield
    finally:
        if "-wal" in absent and os.path.exists(f"{path}-wal"):
            try:
                with Child("clean-up", scratch=scratch, path=path, absent=absent) as child:
                    child.receive()
            except HoldfastError as error:  # must not take the place of what ended the backup
                log.warning("the side files of %s were not removed: %s", quote_name(path), error.message)
