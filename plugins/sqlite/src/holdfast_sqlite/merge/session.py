"""The parent's part of a merge: the private image of what is selected, and the child processes at the target."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.api import (
    Change,
    HoldfastError,
    LockedError,
    Preview,
    RestoreRequest,
    UnsafeError,
    quote_name,
    refuse_replacing,
)
from holdfast_sqlite.errors import WAIT_LONGER, error_class
from holdfast_sqlite.files import free_bytes, size_of
from holdfast_sqlite.session import Child
from holdfast_sqlite.target.file import PATIENCE, Target
from holdfast_sqlite.target.in_place import STOP


class Merge:
    """A restore of selected tables into a database that holds others; `image` is where these are to be put."""

    def __init__(self, target: Target, request: RestoreRequest) -> None:
        self.image = str(request.scratch / "selected.sqlite")
        self._target = target
        self._request = request
        self.warnings: list[str] = []

    def check(self) -> Preview:
        """Say what would be done to the target; refused is what `--replace` has not allowed, and what hits others."""
        changes = _changes(_ask("look", self._target, self._request, image=self.image, dry_run=self._request.dry_run))
        if not self._request.replace:
            refuse_replacing(quote_name(self._target.path), changes)
        return Preview(changes=changes)

    def commit(self) -> None:
        """Do it, in one transaction."""
        message = _ask("merge", self._target, self._request, image=self.image, replace=self._request.replace)
        self.warnings += message["warnings"]


def preview_replacement(target: Target, request: RestoreRequest) -> Preview:
    """Say what would be gone if the whole target were replaced."""
    if not target.exists or not target.holds_data(Path(request.scratch)):
        return Preview()
    try:
        return Preview(changes=_changes(_ask("look", target, request, image=None, dry_run=True)), whole=True)
    except _NoDatabaseError:
        return Preview(whole=True)  # what it holds only its own program can tell


class _NoDatabaseError(UnsafeError):
    """The target is a file, and no database."""


def _changes(message: dict[str, Any]) -> tuple[Change, ...]:
    return tuple(Change(**change) for change in message["changes"])


def _ask(task: str, target: Target, request: RestoreRequest, **arguments: Any) -> dict[str, Any]:
    timeout = request.options.lock_timeout if request.live else PATIENCE
    scratch = Path(request.scratch)
    arguments |= {"lock_timeout": timeout, "live": request.live, "load_extension": request.options.extensions}
    with Child(task, scratch=scratch, path=target.path, **arguments) as child:
        message = child.receive()
    if message["event"] == "error":
        if message["kind"] == "SQLITE_FULL":
            message["text"] += _space(target.path, arguments["image"])
        raise _error(message, quote_name(target.path), timeout, live=request.live)
    return message


def _space(path: str, image: str | None) -> str:
    """What a full disk lacks: a transaction takes the space of what it puts in, and a journal besides."""
    free = free_bytes(os.path.dirname(path))
    needed = size_of(image) if image else 0
    numbers = [f"{needed} bytes are needed"] if needed else []
    numbers += [f"{free} bytes are free"] if free is not None else []
    return f" ({', '.join(numbers)})" if numbers else ""


def _error(message: Mapping[str, Any], path: str, timeout: float, *, live: bool) -> HoldfastError:
    kind, text, hint = str(message["kind"]), str(message["text"]), message["hint"]
    if kind == "SQLITE_NOTADB":
        return _NoDatabaseError(
            f"{path} is no SQLite database, and tables cannot be put into it: {text}", hint="restore into another file"
        )
    error = error_class(kind)
    if error is LockedError and not live:
        return UnsafeError(f"{path} is in use: {text}", hint=STOP)
    if error is LockedError:
        return LockedError(f"could not lock {path} within {timeout:g} s: {text}", hint=hint or WAIT_LONGER)
    return error(f"cannot restore into {path}: {text}", hint=hint)
