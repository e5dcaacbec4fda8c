"""An engine of plain files, so that a benchmark of the pipeline has nothing of a database in its way.

`python -m benchmarks.plainfile dump|load PATH STORE CODEC` is one run, to be timed as a process.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast import Pipeline, Registry, RestorePlan
from holdfast.api import Blob, Capability, Chunk, DumpRequest, Engine, Facts, RestoreRequest, Step, Stream
from holdfast.operations.restore import restore

SCHEME = "plain://"


class FileEngine(Engine):
    """Dumps a file and restores it."""

    name = "plain"
    capabilities = frozenset({Capability.ATOMIC_RESTORE})

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator["FileDump"]:
        yield FileDump(request.url.removeprefix(SCHEME))

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator["FileLoad"]:
        yield FileLoad(request.url.removeprefix(SCHEME))


class FileDump:
    def __init__(self, path: str) -> None:
        self._path = path
        self.streams = (Stream(name="file", size=os.path.getsize(path)),)

    def read(self, stream: Stream) -> Iterator[Chunk]:
        del stream
        with open(self._path, "rb", buffering=0) as file:
            while chunk := file.read(1 << 20):
                yield chunk

    def proof(self) -> None:
        return None

    def facts(self) -> Facts:
        return Facts()


class FileLoad:
    steps = (Step(stream="file"),)

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self, step: Step, blob: Blob) -> None:
        del step
        with open(self._path, "wb", buffering=0) as file:
            file.writelines(blob.chunks())
            os.fsync(file.fileno())

    def commit(self) -> None:
        """The file is complete."""


def dump(path: str, store: str, codec: str) -> None:
    Pipeline(source=f"{SCHEME}{path}", engine=FileEngine(), codec=codec, store=store, name="bench").run()


def load(path: str, store: str) -> None:
    plan = RestorePlan(backup="bench/latest", target=f"{SCHEME}{path}", store=store)
    restore(plan, registry=Registry(), engine=FileEngine())


if __name__ == "__main__":
    actions: dict[str, Callable[..., None]] = {"dump": dump, "load": load}
    actions[sys.argv[1]](*sys.argv[2:])
