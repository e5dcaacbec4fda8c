"""An engine's restore: what it is asked for, its steps, and what it may be able to besides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.api.aliases import Check, Chunk
from holdfast.api.dump import Stream
from holdfast.changes import Preview
from holdfast.failure import Failure
from holdfast.field_docs import explain_fields


@explain_fields
@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What to restore, where to, and how."""

    #: The target's URL in full, with its secrets.
    url: str = field(repr=False)
    #: A private empty folder, which the core removes.
    scratch: Path
    #: The streams of the backup, with their exact sizes.
    streams: tuple[Stream, ...]
    #: The `hints` that the dump left.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None
    #: The number of threads that may load at once.
    jobs: int = 1
    #: Whether a target that holds data may be replaced; otherwise it is refused with `UnsafeError`, untouched.
    replace: bool = False
    #: Whether to restore into a database that others have open.
    live: bool = False
    #: Whether to run the engine's own test of what was restored, before it becomes visible, `full` the deeper one.
    check: Check = True
    #: Whether to restore a damaged backup as far as possible.
    allow_damaged: bool = False
    #: Patterns of the objects to restore; empty means all of them.
    select: tuple[str, ...] = ()
    #: Patterns of objects to leave out.
    exclude: tuple[str, ...] = ()
    #: Kinds of objects to leave out, of those that the component lists, also those that the backup was to be without.
    exclude_kinds: tuple[str, ...] = ()
    #: Whether the backup itself was made of a selection, and holds only a part of its source.
    partial: bool = False
    #: Whether the target is a scratch database: what acts by itself (events, jobs, subscriptions) stays off, and
    #: accounts and other objects of the whole server are not made, whatever the options say.
    drill: bool = False
    #: Whether nothing will be loaded: a session may say what it would do to the target (`SupportsPreview`).
    dry_run: bool = False

    @property
    def selective(self) -> bool:
        """Whether only some objects are restored: then whatever else the target holds stays, `replace` or not.

        So it is with `select` and `exclude`, and with a backup that was made of a selection.
        """
        return bool(self.select or self.exclude or self.partial)


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of a restore."""

    #: The name of the stream to load; a stream may occur in several steps.
    stream: str
    #: Phases run in ascending order.
    phase: int = 0
    #: Whether it may run at the same time as the other parallel steps of its phase; the largest begin first.
    parallel: bool = False


class Blob(Protocol):
    """A stored stream, as a restore step sees it: plain bytes, compared with the manifest as they pass."""

    @property
    def stream(self) -> Stream:
        """The stream, with its exact size."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Yield the plain bytes from the start; may be called anew.

        Raises `IntegrityError` as soon as more comes than was recorded, or at the end when size or digest
        differ: nothing may be made visible before the iterator has ended. Of a damaged backup with `allow_damaged` it
        ends where the damage is instead, and the core tells of what is missing.
        """
        ...

    def spool(self) -> Path:
        """Return a private file in the request's scratch folder that holds the plain, verified bytes."""
        ...


class RestoreSession(Protocol):
    """One running restore: leaving its context without `commit` undoes it, or says what is left.

    An engine without ATOMIC_RESTORE removes every object it made, so that an empty target is empty again. Whether
    `commit` was called decides, not whether an exception is passed to the context: after a failure it may be left
    without one, and while a `load` is still running in another thread, which must then end, with whatever error.
    """

    @property
    def steps(self) -> Sequence[Step]:
        """What to load, in which order."""
        ...

    def load(self, step: Step, blob: Blob, /) -> None:
        """Load one stream; called in up to `jobs` threads for parallel steps."""
        ...

    def commit(self) -> None:
        """Make the result visible; called once, after every digest has agreed."""
        ...


@runtime_checkable
class SupportsWarnings(Protocol):
    """A restore session that can tell what it restored in another form, or a scratch database what it cannot check."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user has to know, one line each; read once, after `commit` or after the proof."""
        ...


@runtime_checkable
class SupportsFailures(Protocol):
    """A restore session that can go on after errors: then all else stays, and the command line returns 3.

    It does so where its options say it (`on_error=continue`), of a damaged backup with `allow_damaged`, and in a drill,
    which records each failure as damage.
    """

    @property
    def failures(self) -> Sequence[Failure]:
        """The objects that were not restored, or not as they were; read once, after `commit`."""
        ...


@runtime_checkable
class SupportsPreview(Protocol):
    """A restore session that can tell what it would do to its target, object by object."""

    def preview(self, blobs: Mapping[str, Blob], /) -> Preview:
        """Say what `commit` would change in the target; called in a dry run, where nothing is loaded.

        `blobs` are the stored streams by name: a session reads those that it has to, and touches nothing.
        """
        ...


@runtime_checkable
class SupportsSelection(Protocol):
    """A restore session that learns only from the streams themselves which of them a selection needs."""

    @property
    def skipped_streams(self) -> Collection[str]:
        """Streams with a step that had nothing to load from them; asked after the last step, they are not read."""
        ...
