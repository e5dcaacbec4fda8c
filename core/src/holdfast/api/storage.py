"""A storage: objects under paths, and leases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from holdfast.api.aliases import Chunk
from holdfast.field_docs import explain_fields


class Writer(Protocol):
    """A blob being written."""

    def write(self, data: Chunk, /) -> None:
        """Take all of the bytes, or raise."""
        ...


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Stat:
    """One object of a storage."""

    #: Its path, relative to the root of the storage, with `/`.
    path: str
    #: Its size in bytes.
    size: int
    #: False for what is not plain stored data, such as a link or a FIFO in a folder.
    regular: bool = True
    #: What changes whenever the content does, such as an ETag; empty where the storage has nothing of the kind.
    version: str = ""
    #: Of a folder that cannot be read, listed with a slash at its end: why not, else empty. What it holds is unknown.
    problem: str = ""


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What a store lets us do or guarantees, as `holdfast check` shows it."""

    #: What it is, in a word or two: `versioning`.
    name: str
    #: Whether it is so; None where that cannot be told.
    holds: bool | None
    #: What there is to know about it: a period, why it cannot be told, what is done without it.
    detail: str = ""


class Storage(Protocol):
    """A place that keeps objects under relative paths with `/`.

    Its methods may be called from several threads at once, and several objects may be written at once.
    Missing objects raise `FileNotFoundError`, existing ones `FileExistsError`, all else `OSError` or a
    `HoldfastError`.
    """

    @property
    def location(self) -> str:
        """Where this is, for people, without secrets: an absolute path or a URL."""
        ...

    def writer(self, path: str, /) -> AbstractContextManager[Writer]:
        """Create an object; it becomes visible, whole, at a clean exit and never otherwise.

        An object that exists already is never changed: `FileExistsError`.
        """
        ...

    def read(self, path: str, /, offset: int = 0, length: int | None = None) -> bytes:
        """Return up to `length` bytes from `offset`, fewer only at the end."""
        ...

    def list(self, prefix: str = "", /) -> Iterable[Stat]:
        """Every object below a folder (not: with that beginning), in any order, a missing folder being empty.

        Unfinished objects that a dead writer left are included, where they take up space, so that `delete` can
        remove them; leases are not. A folder that cannot be read, other than the root, is listed with its `problem`.
        """
        ...

    def stat(self, path: str, /) -> Stat:
        """Tell about one object."""
        ...

    def delete(self, path: str, /) -> None:
        """Remove an object, and folders that it leaves empty; a missing one is no error."""
        ...

    def barrier(self) -> None:
        """Return once all that was written or deleted so far survives a loss of power; it may raise `OSError`."""
        ...

    def lease(self, name: str, ttl: float = 60.0, /) -> AbstractContextManager[None]:
        """Hold a name that nobody else can hold; `LockedError`, at once, if somebody does.

        The storage renews it by itself for as long as the context is open, which may be days. A dead holder's
        lease ends after `ttl` seconds at the latest. The first lease may be taken before anything is written.
        Only a storage that `SupportsAge` may hold nobody off.
        """
        ...


@runtime_checkable
class SupportsFolder(Protocol):
    """A storage that keeps its objects as files in a folder of this machine.

    Whose the folder is, and whether a target of a restore lies in it, is then looked at; `location` is only for people.
    """

    @property
    def folder(self) -> str:
        """The absolute path of the folder."""
        ...


@runtime_checkable
class SupportsWalk(Protocol):
    """A storage that need not look into every folder to list some."""

    def walk(self, prefix: str, enter: Callable[[str], bool], /) -> Iterable[Stat]:
        """List as `list` does, without the folders whose path `enter` is false for."""
        ...


@runtime_checkable
class SupportsNames(Protocol):
    """A storage that can list what lies directly in a folder without all that is below."""

    def names(self, folder: str, /) -> Iterable[str]:
        """The names, without their paths, of the folders in a folder, `""` being the root, in any order."""
        ...


@runtime_checkable
class SupportsFingerprint(Protocol):
    """A storage that can tell that nothing has changed in a folder for less than a list of it takes.

    A listing of ten thousand backups is told of each folder, and lists only those that it does not know so.
    """

    def fingerprint(self, folder: str, /) -> str:
        """Return a text that is another as soon as `list` tells anything else of the folder; empty if it cannot tell.

        It changes with each path, size and `version` below the folder. What is missing, empty, no folder, or holds
        anything that is not plain data, has none.
        """
        ...


@runtime_checkable
class SupportsGuarantees(Protocol):
    """A storage that can say what its service guarantees, besides what the core can try itself."""

    def guarantees(self) -> Iterable[Guarantee]:
        """Ask the service, change nothing, and leave nothing behind; what it refuses to tell is `holds=None`."""
        ...


@runtime_checkable
class SupportsStreaming(Protocol):
    """A storage that can hand out a whole object in one request, instead of one for each piece.

    The core reads on at the byte where a connection broke, and asks once more where an object seems to end too early.
    """

    def stream(self, path: str, offset: int = 0, /) -> Iterator[bytes]:
        """Yield the bytes of an object from `offset` to its end, in pieces of any size; what is missing raises.

        It is a generator, which is closed early where no more is wanted. A connection that breaks raises `OSError`.
        """
        ...


@runtime_checkable
class SupportsDeleteMany(Protocol):
    """A storage that can remove many objects in one request."""

    def delete_many(self, paths: Sequence[str], /) -> None:
        """Remove objects as `delete` does; one that could not be removed raises, once the others are."""
        ...


@runtime_checkable
class SupportsSharedLease(Protocol):
    """A storage whose leases can be held by several readers at once."""

    def shared_lease(self, name: str, ttl: float = 60.0, /) -> AbstractContextManager[None]:
        """Hold a name beside others that share it; `LockedError` if somebody holds it alone, and the reverse."""
        ...


@runtime_checkable
class SupportsAge(Protocol):
    """A storage without leases, whose `lease` holds nobody off: what is unfinished is told from what is at work by age.

    It is for places where nothing can be overwritten or deleted, so that no lease could be renewed or given back.
    """

    def age(self, folder: str, /) -> float:
        """Seconds since anything below a folder was written, by the clock of the place; infinite where nothing is."""
        ...


@runtime_checkable
class SupportsShellFetch(Protocol):
    """A storage whose objects can be had with a program of its own, without Holdfast; RESTORE.md then says how."""

    def fetch_steps(self, folder: str, /) -> Sequence[str]:
        """Return lines of shell that copy all that lies below a folder, under the same names, to the current one.

        They hold no secret, and take those from where the program does: `aws s3 cp --recursive s3://bucket/FOLDER .`.
        """
        ...


@runtime_checkable
class SupportsRename(Protocol):
    """A storage that can give a whole folder another name at once."""

    def rename(self, old: str, new: str, /) -> None:
        """Let all that lies below `old` lie below `new`, in one step that is seen whole or not at all.

        `FileExistsError` where something lies below `new`, `FileNotFoundError` where nothing lies below `old`.
        """
        ...
