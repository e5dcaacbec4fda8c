"""What stands below a wrapper under test: parts in memory that can do more than they must."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from holdfast.api import (
    Blob,
    Change,
    Guarantee,
    Preview,
    RestoreRequest,
    Retention,
    Scratch,
    ScratchRequest,
    Stat,
    UsageError,
    Version,
)
from holdfast.plugins.builtin import NoCodec
from holdfast.testing.memory import MemoryEngine, MemoryRestore, MemoryStorage, MemoryWriter


class AbleStorage(MemoryStorage):
    """A storage in memory with optional abilities."""

    def walk(self, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
        """What lies below a folder, without those that `enter` refuses."""
        for stat in self.list(prefix):
            parts = stat.path.split("/")[:-1]
            above = ["/".join(parts[: number + 1]) for number in range(len(parts))]
            if all(enter(path) for path in above if len(path) > len(prefix)):
                yield stat

    def names(self, folder: str) -> Iterator[str]:
        """The folders in a folder."""
        begin = len(folder) + 1 if folder else 0
        below = [stat.path[begin:].partition("/") for stat in self.list(folder)]
        yield from dict.fromkeys(name for name, slash, _ in below if slash)

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """An object in pieces."""
        data = self.read(path, offset)
        for at in range(0, len(data), 1 << 20):
            yield data[at : at + (1 << 20)]

    def delete_many(self, paths: Sequence[str]) -> None:
        """Remove objects."""
        for path in paths:
            self.delete(path)


class AllAbleStorage(AbleStorage):
    """A storage in memory with every ability that there is."""

    folder = "/nowhere"

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.kept: dict[str, Retention] = {}  #: for how long objects are kept, by path

    def rename(self, old: str, new: str) -> None:
        """Give a folder another name."""
        for stat in list(self.list(old)):
            self.objects[new + stat.path[len(old) :]] = self.objects.pop(stat.path)

    def guarantees(self) -> Iterator[Guarantee]:
        """One thing."""
        yield Guarantee(name="encryption", holds=False)

    def fetch_steps(self, folder: str) -> list[str]:
        """A line."""
        return [f"fetch {folder}"]

    def shared_lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name, which nobody shares in memory."""
        return self.lease(f"{name} shared", ttl)

    def age(self, folder: str) -> float:
        """Long ago."""
        return float(len(folder))

    def check_retention(self, retention: Retention) -> None:
        """Keep whatever is not to be kept for ever."""
        if retention.mode == "compliance":
            raise UsageError("nothing is kept for ever in memory")

    @contextmanager
    def retained_writer(self, path: str, retention: Retention | None) -> Iterator[MemoryWriter]:
        """Create an object that is kept."""
        with self.writer(path) as writer:
            yield writer
        if retention:
            self.kept[path] = retention

    def retain(self, path: str, retention: Retention) -> None:
        """Keep an object for longer."""
        self.kept[path] = retention

    def retention(self, path: str) -> Retention | None:
        """For how long an object is kept."""
        return self.kept.get(path)

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """What there is."""
        at = datetime(2026, 1, 1, tzinfo=UTC)
        for stat in self.list(prefix):
            yield Version(path=stat.path, id="1", size=stat.size, at=at, newest=True, deletion=False)

    def read_version(self, path: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        """What there is."""
        return self.read(path, offset, length) if version == "1" else b""

    def bring_back(self, path: str, version: str) -> None:
        """Note that it was asked for."""
        self.trace.append(f"brought {path} {version} back")


class AllAbleEngine(MemoryEngine):
    """An engine in memory whose sessions have every ability that there is."""

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[MemoryRestore]:
        """Open a restore."""
        with super().restore(request) as session:
            vars(session).update(warnings=("a warning",), failures=(), skipped_streams=("none",), preview=_preview)
            yield session

    @contextmanager
    def scratch(self, request: ScratchRequest) -> Iterator[Scratch]:
        """Make a database for a drill."""
        with super().scratch(request) as scratch:
            vars(scratch).update(faults=("a fault",), warnings=("a warning",))
            yield scratch


def _preview(blobs: Mapping[str, Blob]) -> Preview:
    return Preview(changes=tuple(Change(action="added", kind="content", name=name) for name in blobs), whole=True)


class AbleCodec(NoCodec):
    """Plain bytes, and the command that shows them."""

    command = "cat"
    frame_magic = b""
