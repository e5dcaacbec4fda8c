"""An engine's dump: what it is asked for, what it reads, and what it tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from holdfast.api.aliases import Check, Chunk
from holdfast.api.databases import Moment
from holdfast.api.proof import Proof
from holdfast.field_docs import explain_fields


def _say_nothing(_: str, /) -> None:
    """What is reported where nobody listens."""


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Stream:
    """A named sequence of bytes of a dump."""

    #: Unique in the dump, of any characters (`data/public.orders`); the core makes the file name.
    name: str
    #: What the plain bytes are, as the ending of a file name (".sql").
    suffix: str = ""
    #: Plain bytes: a hint for progress and planning at dump, of which nothing follows, exact at restore.
    size: int | None = None
    #: Whether `size` is known at dump, as that of a file is: then a read that yields more or less has lost something.
    exact: bool = False


@explain_fields
@dataclass(frozen=True, kw_only=True)
class DumpRequest:
    """What to dump, and how."""

    #: The source's URL in full, with its secrets.
    url: str = field(repr=False)
    #: A private empty folder, which the core removes.
    scratch: Path
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None
    #: The number of threads that may read at once.
    jobs: int = 1
    #: Patterns of the objects to dump; empty means all of them.
    select: tuple[str, ...] = ()
    #: Patterns of objects to leave out.
    exclude: tuple[str, ...] = ()
    #: Kinds of objects to leave out, of those that the component lists.
    exclude_kinds: tuple[str, ...] = ()
    #: Whether to record a proof; None is the engine's default: where it costs less than a third of the dump's time.
    proof: bool | None = None
    #: Whether to run the engine's own test of the source, `full` the deeper one of FULL_CHECK.
    check: Check = True
    #: Whether to go on and report `Facts.damage` when that test fails.
    allow_damaged: bool = False
    #: The moment that this engine holds for this database and others of the same run, or None.
    moment: Moment | None = field(default=None, repr=False)
    #: Called with what the engine is at, where it may take long before its streams are known: it waits for a lock, or
    #: counts rows. People see it while there is nothing else to show, observers as `preparing`. What is reported in
    #: another thread than that which opens the dump is told once it is open.
    report: Callable[[str], object] = field(default=_say_nothing, repr=False)


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an engine tells about a finished dump; all of it goes into the manifest, so it holds no secret."""

    #: The version of the server or library that the dump was made from.
    server_version: str = ""
    #: Which moment the dump shows: LSN, binlog position, change counter.
    consistency_point: Mapping[str, Any] = field(default_factory=dict)
    #: What the user has to know, one line each.
    warnings: tuple[str, ...] = ()
    #: The client programs that were used, with their versions.
    programs: Mapping[str, str] = field(default_factory=dict)
    #: The lines of shell that restore by hand: `{decode:NAME}` stands for a command that writes the plain stream NAME
    #: to standard output, TARGET_DB for the database to make.
    restore_steps: tuple[str, ...] = ()
    #: Further small files for the backup's folder, such as a decoder.
    files: Mapping[str, bytes] = field(default_factory=dict)
    #: Plain data that comes back in `RestoreRequest.facts`.
    hints: Mapping[str, Any] = field(default_factory=dict)
    #: What was wrong with the source, so that content may be lost; such a backup is `damaged` from the start. Neither
    #: what could not be checked nor an index that can be built anew is damage: those are warnings.
    damage: tuple[str, ...] = ()
    #: Why `proof` returned none, of an engine that computes them: the backup is complete without, and says so.
    unproven: str = ""


class DumpSession(Protocol):
    """One running dump.

    Leaving its context frees every lock, transaction and process, also after an error, which need not be passed
    to it, and also while a `read` is still running in another thread: that read must then end, with whatever error.
    """

    @property
    def streams(self) -> Sequence[Stream]:
        """The streams of the dump, known before the first read."""
        ...

    def read(self, stream: Stream, /) -> Iterator[Chunk]:
        """Yield the plain bytes of a stream; called once for each, in up to `jobs` threads (PARALLEL_DUMP)."""
        ...

    def proof(self) -> Proof | None:
        """What the snapshot held, or None; called after the last read."""
        ...

    def facts(self) -> Facts:
        """Tell about the dump; called once, after the last read."""
        ...


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Source:
    """Which database a URL led to."""

    #: Its name, for people; the name of the source in the store is made from it.
    name: str
    #: What tells it from every other database, and is the same for every way to write its URL.
    identity: str
    #: Whether that holds on one host only, as a path of a file does: another host's is another database then.
    local: bool = False
    #: Which server that was: where it was reached, such as `db1:5432`, or `:5432` on this host, or an id of its own;
    #: empty where that does not matter.
    address: str = ""
    #: How far its history has come, in numbers that grow as long as it is one and the same, the most important first.
    #: A copy of a server has the identity of the original: whose position is behind at another address is another one.
    position: tuple[int, ...] = ()

    @classmethod
    def of_path(cls, path: str | os.PathLike[str]) -> Self:
        """That of a database that is a file or folder: named as this is, without the ending of a file."""
        real = os.path.realpath(path)
        name = os.path.basename(real)
        return cls(name=name if os.path.isdir(real) else os.path.splitext(name)[0], identity=real, local=True)


@runtime_checkable
class SupportsSource(Protocol):
    """A dump session that knows which database it reads; without this, the redacted URL stands for it."""

    @property
    def source(self) -> Source:
        """The database that this session reads."""
        ...
