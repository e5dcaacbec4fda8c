"""A stored stream as restore, verify and cat read it: bytes are compared with the manifest as they pass."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from holdfast.api import Codec, Hasher, HasherFactory, Storage, Stream
from holdfast.errors import HoldfastError, IntegrityError, os_error_text, quote_name
from holdfast.filesystem import free_bytes
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.guard import provider
from holdfast.store.manifest import StreamRecord
from holdfast.store.missing import missing_text
from holdfast.store.object_bytes import object_bytes
from holdfast.store.plugin_faults import FaultClassifier
from holdfast.store.published import check_published
from holdfast.streaming.decode import plain_chunks
from holdfast.streaming.seal import BackupKey, opened
from holdfast.streaming.workers import Stop


class _Passing:
    """Stored bytes that are digested as they pass; whoever iterates over it again goes on where the last one ended."""

    def __init__(
        self, stored: Iterator[bytes], hashers: Mapping[str, HasherFactory], count: Callable[[int], object]
    ) -> None:
        self.running = {name: start() for name, start in hashers.items()}
        self.size = 0
        self.failure: IntegrityError | None = None  # of the reading itself
        self._stored = stored
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._stored:
                self.size += len(piece)
                for hasher in self.running.values():
                    hasher.update(piece)
                self._count(len(piece))
                yield piece
        except IntegrityError as error:
            self.failure = error
            raise


class StoredBlob:
    """One blob of one backup.

    `hashers` digest the plain bytes and must include sha256. With `tolerate` set, a wrong size or digest is
    given to it as a message instead of raised, and where the rest cannot be decompressed the bytes end: `missing` then
    says what came out and what did not, and `read` is the number of bytes that did. `whole` tells whether all of it
    has been read and agreed, or as much as there is, `begun` whether anybody has begun to read it, and `as_stored` that
    the stored bytes agreed when they were compared; `taken` is the most that anybody took. `classify` sees what does
    not agree before it is raised. Of a further checksum that differs where SHA-256 agrees, `warn` tells. `key` opens
    what is encrypted.
    """

    def __init__(
        self,
        storage: Storage,
        folder: str,
        record: StreamRecord,
        codec: Codec,
        *,
        stop: Stop,
        scratch: Path | None = None,
        hashers: Mapping[str, HasherFactory],
        count: Callable[[int], object] = lambda _size: None,
        tolerate: Callable[[str], object] | None = None,
        classify: FaultClassifier | None = None,
        warn: Callable[[str], object] = lambda _text: None,
        key: BackupKey | None = None,
    ) -> None:
        self.record = record
        self.whole = self.begun = self.as_stored = False
        self.missing = ""
        self.read = self.taken = 0
        self._storage = storage
        self._folder = folder
        self._path = f"{folder}/{record.blob.path}"
        self._codec = codec
        self._stop = stop
        self._scratch = scratch
        self._hashers = hashers
        self._count = count
        self._tolerate = tolerate
        self._classify = classify
        self._warn = warn
        self._key = key
        self._spooled: Path | None = None
        self._spooling = threading.Lock()

    @property
    def stream(self) -> Stream:
        """The stream with its exact size."""
        return Stream(name=self.record.name, suffix=self.record.suffix, size=self.record.size)

    def stored(self) -> Iterator[bytes]:
        """Yield the stored bytes, and not more than a piece beyond the recorded size."""
        try:
            yield from object_bytes(self._storage, self._path, size=self.record.blob.size, stop=self._stop)
        except FileNotFoundError as error:
            check_published(self._storage, self._folder)
            raise IntegrityError(f"blob {self.record.blob.path} is missing") from error
        except OSError as error:
            raise HoldfastError(f"cannot read blob {self.record.blob.path}: {os_error_text(error)}") from error

    def check_stored(self, hashers: Mapping[str, HasherFactory]) -> None:
        """Compare size and digests of the stored bytes with the manifest; `IntegrityError` if they differ."""
        with self._classifying():
            self._compare_stored(_Passing(self.stored(), hashers, self._count))

    def check(self, hashers: Mapping[str, HasherFactory]) -> None:
        """Compare the stored and the plain bytes with the manifest, and read them once for that.

        `IntegrityError` if they differ; `as_stored` tells whether the stored ones agree all the same.
        """
        with self._classifying():
            passing = _Passing(self.stored(), hashers, self._count)
            try:
                for _ in self._chunks(passing):
                    pass
            except IntegrityError:
                # Of what is stored wrongly nobody need know how far it can be decoded.
                self._compare_stored(passing)
                raise
            self._compare_stored(passing)

    def _compare_stored(self, passing: "_Passing") -> None:
        for _ in passing:
            pass
        if passing.failure:
            raise passing.failure
        blob = self.record.blob
        self._compare(f"blob {blob.path}", passing.size, blob.size, passing.running, blob.digests)
        self.as_stored = True

    def chunks(self) -> Iterator[bytes]:
        """Yield the plain bytes; see `holdfast.api.Blob`."""
        with self._classifying():
            yield from self._chunks(self.stored())

    @contextmanager
    def _classifying(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            classified = self._classify(self._path, self.record.blob, error) if self._classify else error
            if classified is error:
                raise
            raise classified from error

    def _chunks(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        self.begun = True
        running = {name: start() for name, start in self._hashers.items()}
        total = 0
        frames = stored if self._key is None else opened(stored, self._key)
        pieces = plain_chunks(frames, self._codec, stop=self._stop, size=self.record.size)
        try:
            for piece in pieces:
                for hasher in running.values():
                    hasher.update(piece)
                total += len(piece)
                self._count(len(piece))
                self.taken = max(self.taken, total)
                yield piece
        except IntegrityError as error:
            text = f"blob {self.record.blob.path} is damaged: {error.message}"
            if self._tolerate is None:
                raise IntegrityError(text) from error
            self._damaged(text, total)
        finally:
            pieces.close()
        what = f"stream {quote_name(self.record.name)}"
        if self._tolerate is not None and total < self.record.size and not self.missing:
            self._damaged(f"{what} ends too early", total)
        if not self.missing:
            self._compare(what, total, self.record.size, running, self.record.digests)
        self.read, self.whole = total, True

    def _damaged(self, text: str, read: int) -> None:
        """Note what is missing of a blob that could be decompressed only so far; tell it where nothing is."""
        if read == self.record.size and self._tolerate is not None:
            self._tolerate(f"{text}; all {read} bytes that were recorded came out before it")
        elif not self.missing:
            # Of what is encrypted nothing behind the damage can be opened in order.
            codec = self._codec if self._key is None else NoCodec()
            self.missing = f"{text}; {missing_text(self.stored(), self.record, codec, read)}"

    def drain(self) -> None:
        """Read and compare all of it, if nobody has."""
        if not self.whole:
            for _ in self.chunks():
                pass

    def spool(self) -> Path:
        """Return a plain file with the verified bytes, made once; see `holdfast.api.Blob`."""
        with self._spooling:  # steps of one stream may run in parallel
            if self._spooled is None:
                self._spooled = self._spool()
            return self._spooled

    def _spool(self) -> Path:
        if self._scratch is None:
            raise HoldfastError("there is no scratch folder to spool to")
        free = free_bytes(str(self._scratch))
        if free is not None and free < self.record.size:
            raise HoldfastError(
                f"not enough space in {quote_name(str(self._scratch.parent))}: {self.record.size} bytes are needed, "
                f"{free} are free",
                hint="set TMPDIR to a folder with more space",
            )
        path = self._scratch / f"{hashlib.sha256(self._path.encode()).hexdigest()[:16]}{self.record.suffix}"
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
                for piece in self.chunks():
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _compare(
        self, what: str, size: int, expected: int, running: Mapping[str, Hasher], digests: Mapping[str, str]
    ) -> None:
        problem = ""
        if size != expected:
            # Of what is too long not all was read.
            problem = f"{what} has {f'{size} bytes' if size < expected else 'more bytes'}, expected {expected}"
        differing = [name for name, hasher in running.items() if digests.get(name) != hasher.hexdigest()]
        if not problem and "sha256" in differing:
            problem = f"{what} is not what was stored: its sha256 differs from the manifest"
        if not problem:
            for name in differing:
                self._warn(
                    f"{provider(running[name])} gives another digest of {what} than the manifest records, while its "
                    "SHA-256 agrees: the bytes are as they were, and the plugin is wrong, or was"
                )
        if problem and self._tolerate is None:
            raise IntegrityError(problem)
        if problem and self._tolerate is not None:
            self._tolerate(problem)
