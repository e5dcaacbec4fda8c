"""A tiny engine, as a class: a "database" is a folder of text files, `notes:///folder`; each is a stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.api import (
    Blob,
    Component,
    DatabaseURL,
    DumpRequest,
    Facts,
    Kind,
    RestoreRequest,
    Step,
    Stream,
    UnreachableError,
    UnsafeError,
    hookimpl,
)


class Dump:
    """Reads every file of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.streams = [Stream(name=path.name, size=path.stat().st_size) for path in sorted(folder.iterdir())]

    def read(self, stream: Stream) -> Iterator[bytes]:
        """Yield one file."""
        yield (self._folder / stream.name).read_bytes()

    def proof(self) -> None:
        """Prove nothing."""

    def facts(self) -> Facts:
        """Tell nothing but how to restore."""
        names = (stream.name for stream in self.streams)
        return Facts(restore_steps=tuple(f"{{decode:{name}}} > 'TARGET_DB/{name}'" for name in names))


class Restore:
    """Writes every file, and removes what it wrote unless it is committed."""

    def __init__(self, folder: Path, request: RestoreRequest) -> None:
        self._folder = folder
        self._written: list[Path] = []
        self._made = False
        self.steps = [Step(stream=stream.name) for stream in request.streams]

    def load(self, step: Step, blob: Blob) -> None:
        """Write one file."""
        if not self._folder.exists():
            self._folder.mkdir()
            self._made = True
        path = self._folder / step.stream
        self._written.append(path)
        path.write_bytes(b"".join(blob.chunks()))

    def commit(self) -> None:
        """Keep what was written."""
        self._folder.mkdir(exist_ok=True)
        self._written.clear()
        self._made = False

    def undo(self) -> None:
        """Remove what was written."""
        for path in self._written:
            path.unlink(missing_ok=True)
        if self._made:
            self._folder.rmdir()


@contextmanager
def dumping(request: DumpRequest) -> Iterator[Dump]:
    """Open a folder."""
    folder = Path(DatabaseURL.parse(request.url).path)
    if not folder.is_dir():
        raise UnreachableError(f"there are no notes at {folder}")
    yield Dump(folder)


@contextmanager
def restoring(request: RestoreRequest) -> Iterator[Restore]:
    """Restore into an empty folder."""
    folder = Path(DatabaseURL.parse(request.url).path)
    if folder.exists() and any(folder.iterdir()) and not request.replace:
        raise UnsafeError(f"{folder} holds notes", hint="--replace takes their place")
    restore = Restore(folder, request)
    try:
        yield restore
    finally:
        restore.undo()


class Plugin:
    """An entry point may name a class too."""

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        """List the engine."""
        return [Component(kind=Kind.ENGINE, name="notes", summary="folders of text files")]

    @hookimpl
    def holdfast_dump(self, scheme: str, request: DumpRequest) -> Any:
        """Serve `notes`."""
        return dumping(request) if scheme == "notes" else None

    @hookimpl
    def holdfast_restore(self, scheme: str, request: RestoreRequest) -> Any:
        """Serve `notes`."""
        return restoring(request) if scheme == "notes" else None
