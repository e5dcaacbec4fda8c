"""What stands below a wrapper under test: a storage in memory and a codec that can do more than they must."""

from collections.abc import Callable, Iterator, Sequence

from holdfast.api import Stat
from holdfast.plugins.builtin import NoCodec
from holdfast.testing.memory import MemoryStorage


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


class AbleCodec(NoCodec):
    """Plain bytes, and the command that shows them."""

    command = "cat"
