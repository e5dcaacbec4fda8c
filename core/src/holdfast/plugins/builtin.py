"""What the core offers on the same terms as any plugin: the codec `none`, the storage of folders, and threads."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.api import Chunk, Codec, Component, Kind, Storage, hookimpl

if TYPE_CHECKING:
    from concurrent.futures import Executor

_THREADS = 1024  # at most; what runs at once is bounded by [limits] and, without, by the usable CPUs


class NoCodec:
    """Stores plain bytes."""

    suffix = ""

    def encode(self, block: Chunk) -> Chunk:
        """Return the block itself."""
        return block

    def decoder(self) -> "NoCodec":
        """Return itself, since there is no state."""
        return self

    def decode(self, data: Chunk) -> Iterator[bytes]:
        """Yield the bytes as they are."""
        yield bytes(data)

    def finish(self) -> None:
        """Plain bytes end anywhere."""


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the codec, the storage and the executor."""
    yield Component(kind=Kind.CODEC, name="none", summary="no compression")
    yield Component(kind=Kind.STORAGE, name="file", summary="a folder: ./backups, /srv/backups, file:///srv/backups")
    yield Component(kind=Kind.EXECUTOR, name="threads", summary="threads of `holdfast run` itself, on this host")


@hookimpl
def holdfast_compress(codec: str) -> Codec | None:
    """Serve `none`."""
    return NoCodec() if codec == "none" else None


@hookimpl
def holdfast_storage(scheme: str, url: str, options: Any) -> Storage | None:  # noqa: ARG001
    """Serve folders."""
    from holdfast.store.folder import FolderStorage

    return FolderStorage.at(url) if scheme == "file" else None


@hookimpl
def holdfast_executor(scheme: str, url: str) -> "Executor | None":  # noqa: ARG001
    """Serve threads."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_THREADS, "databases") if scheme == "threads" else None
