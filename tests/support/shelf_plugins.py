"""What a command finds installed: a plugin of each kind and an observer, of which an environment variable disturbs one.

Databases are folders below the current one, `shelf://host/app` is `shelves/app`, and a store is a folder too.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.api import (
    Blob,
    DatabaseURL,
    DumpRequest,
    Facts,
    ObjectProof,
    Proof,
    RestoreRequest,
    ScratchRequest,
    Step,
    Stream,
    UnreachableError,
    UnsafeError,
    hookimpl,
)
from holdfast.plugins.builtin import NoCodec
from holdfast.store.folder import FolderStorage
from support.saboteur import ACTS, KINDS, MORE, Sabotage, Saboteur

VARIABLE = "SABOTAGE"
ALL = (*KINDS, "observer")


def folder_of(url: str) -> Path:
    return Path("shelves", DatabaseURL.parse(url).path.removeprefix("/"))


def proof_of(folder: Path) -> Proof:
    files = sorted(folder.iterdir())
    digests = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    objects = (ObjectProof(kind="file", name=path.name, digest=each) for path, each in zip(files, digests, strict=True))
    return Proof(method="files", objects=tuple(objects))


class Dump:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.streams = [Stream(name=path.name, suffix=".txt") for path in sorted(folder.iterdir())]

    def read(self, stream: Stream) -> Iterator[bytes]:
        data = (self._folder / stream.name).read_bytes()
        yield from (data[at : at + 1_000_000] for at in range(0, len(data), 1_000_000))

    def proof(self) -> Proof:
        return proof_of(self._folder)

    def facts(self) -> Facts:
        return Facts()


class Restore:
    def __init__(self, folder: Path, request: RestoreRequest) -> None:
        self._folder = folder
        self._loaded: dict[str, bytes] = {}
        self.steps = [Step(stream=stream.name) for stream in request.streams]

    def load(self, step: Step, blob: Blob) -> None:
        self._loaded[step.stream] = b"".join(map(bytes, blob.chunks()))

    def commit(self) -> None:
        self._folder.mkdir(parents=True)
        for name, data in self._loaded.items():
            (self._folder / name).write_bytes(data)


class Scratch:
    server_version = "1"

    def __init__(self, name: str) -> None:
        self.url = f"shelf://host/{name}"

    def check(self) -> list[str]:
        return []

    def proof(self, recorded: Proof) -> Proof:
        return proof_of(folder_of(self.url))


class Shelves:
    """An engine whose databases are folders of files."""

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[Dump]:
        if not folder_of(request.url).is_dir():
            raise UnreachableError("there is no such shelf")
        yield Dump(folder_of(request.url))

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[Restore]:
        if folder_of(request.url).exists():
            raise UnsafeError("there is such a shelf")
        yield Restore(folder_of(request.url), request)

    @contextmanager
    def scratch(self, request: ScratchRequest) -> Iterator[Scratch]:
        scratch = Scratch(f"holdfast_drill_{request.id}")
        try:
            yield scratch
        finally:
            shutil.rmtree(folder_of(scratch.url), ignore_errors=True)

    def databases(self, url: str) -> Sequence[str]:
        return [f"shelf://host/{path.name}" for path in sorted(Path("shelves").iterdir())]


class Watching:
    """An observer."""

    def __init__(self, sabotage: Sabotage) -> None:
        self._sabotage = sabotage

    @hookimpl
    def holdfast_observe(self) -> None:
        self._sabotage.pass_by("observer: observe", None)


class _Traced(Sabotage):
    """Writes the points that it comes by into a file, and a file when it disturbs one."""

    def __init__(self, point: str, act: Callable[..., Any] | None, trace: str) -> None:
        super().__init__(point, act)
        self._trace = trace

    def pass_by(self, point: str, value: Any) -> Any:
        if point not in self.points:
            with open(self._trace, "a") as file:
                file.write(f"{point}\n")
        return super().pass_by(point, value)


def _hang() -> None:
    Path(os.environ[f"{VARIABLE}_REACHED"]).touch()
    threading.Event().wait(60)


def _opened(url: str) -> FolderStorage:
    return FolderStorage(url.partition("://")[2])


def make(kind: str) -> Any:
    """The plugin of a kind, disturbed if the variable says so: at its import, in its components or at any call."""
    wanted = json.loads(os.environ.get(VARIABLE, "{}"))
    sabotage = Sabotage()
    if wanted.get("kind") == kind:
        act = {**ACTS, **MORE, "hang": _hang}.get(wanted["act"])
        sabotage = _Traced(wanted["point"], act, wanted["trace"])
    sabotage.pass_by(f"{kind}: import", None)
    if kind == "observer":
        return Watching(sabotage)
    inner = {"engine": Shelves(), "codec": NoCodec(), "storage": _opened, "checksum": None}[kind]
    return Saboteur(kind, inner, sabotage)
