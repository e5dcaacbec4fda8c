"""The streams of a dump on their way into the store."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from threading import Semaphore

from holdfast.api import Capability, Chunk, DumpSession, EventType, Stream
from holdfast.error_boundary import translate_errors
from holdfast.errors import PluginError, quote_name
from holdfast.operations._written import check_stream
from holdfast.plugins.guard import check_fields, provider
from holdfast.run import Run
from holdfast.setup import BackupSetup
from holdfast.store.manifest import BlobRecord, StreamRecord
from holdfast.store.names import blob_path, is_suffix
from holdfast.store.retention import writer_for
from holdfast.streaming.encode import Flow, Stored
from holdfast.streaming.workers import TICK, Stop, Workers, run_tasks
from holdfast.url import redact


def check_streams(setup: BackupSetup, streams: Sequence[Stream]) -> None:
    """Refuse what would make a manifest that no restore could read."""
    for stream in streams:
        check_fields(setup.engine, "streams", stream)
        if stream.exact and stream.size is None:
            raise PluginError(
                f"{provider(setup.engine)} has a stream {quote_name(stream.name)} of an exact, unknown size"
            )
    names = {stream.name for stream in streams}
    if not streams:
        raise PluginError(f"{provider(setup.engine)} has no stream: a dump has at least one, which may be empty")
    if len(names) != len(streams) or "" in names:
        raise PluginError(f"{provider(setup.engine)} names a stream twice, or not at all")
    parts = [(setup.codec, setup.codec.suffix), *((setup.engine, stream.suffix) for stream in streams)]
    if setup.encryption is not None:
        parts.append((setup.encryption.cipher, setup.encryption.cipher.suffix))
    for part, suffix in parts:
        if not is_suffix(suffix):
            raise PluginError(
                f"{provider(part)} breaks its contract: {suffix!r} cannot be the suffix of a file, expected one "
                "such as '.sql' or '.zst'"
            )


def store_streams(
    setup: BackupSetup, session: DumpSession, streams: Sequence[Stream], run: Run, release: Callable[[], None]
) -> list[StreamRecord]:
    """Run the pipeline over all streams, in up to `jobs` threads where the engine can.

    After a failure `release` leaves the session early, so that a read that waits for its source ends.
    """
    how = setup.plan.verify_written or "sample"
    parallel = setup.jobs if Capability.PARALLEL_DUMP in setup.engine.capabilities else 1
    readers = min(parallel, len(streams))
    seats = Semaphore(readers)
    workers = Workers(setup.jobs)
    flow = Flow(
        codec=setup.codec,
        hashers=setup.hashers,
        workers=workers,
        stop=run.stop,
        # With every reader each worker has a block at hand, another waits, and one may wait to be written: a twentieth
        # less time than with two for each worker, and three more gain nothing.
        window=2 + 3 * setup.jobs // readers,
        count=run.count,
        sample=how == "sample",
        key=setup.encryption.key if setup.encryption else None,
    )
    paths = _paths(setup, streams)
    records: dict[str, StreamRecord] = {}
    source = redact(setup.plan.source)

    def store(stream: Stream, path: str) -> None:
        # The error of a failed write holds on to the frames that it passed: only closing ends the read in time.
        with (
            closing(_reading(session, stream, source, _seat(seats, run.stop))) as chunks,
            writer_for(setup.storage, f"{run.name}/{run.id}/{path}", setup.retention) as writer,
        ):
            stored = flow.store(chunks, writer)
        if stream.exact and stored.size != stream.size:
            raise PluginError(
                f"{provider(setup.engine)} said that stream {quote_name(stream.name)} has {stream.size} bytes, and "
                f"{stored.size} came",
                hint="no backup was published; a source that others change while it is read is another possible cause",
            )
        record = _stream_record(stream, path, stored)
        check_stream(setup, run, record, stored.samples, how)
        records[stream.name] = record

    tasks = [lambda stream=stream, path=path: store(stream, path) for stream, path in zip(streams, paths, strict=True)]
    # While the end of one stream is compressed, written and read back, the source is read on with one thread more.
    threads = readers + 1 if readers > 1 else 1
    try:
        run_tasks(tasks, jobs=threads, stop=run.stop, tick=run.tick, release=release)
    finally:
        workers.close()
    for stream in streams:
        record = records[stream.name]
        run.emit(EventType.STREAM, stream=stream.name, size_bytes=record.size, stored_bytes=record.blob.size)
    return [records[stream.name] for stream in streams]


def _paths(setup: BackupSetup, streams: Sequence[Stream]) -> list[str]:
    """Where the blobs of the streams go; those of what is encrypted have names that say nothing of the content."""
    taken: set[str] = set()
    if setup.encryption is None:
        return [blob_path(stream.name, stream.suffix + setup.codec.suffix, taken) for stream in streams]
    suffix = setup.codec.suffix + setup.encryption.cipher.suffix
    return [f"b{number:04d}{suffix}" for number in range(1, len(streams) + 1)]


@contextmanager
def _seat(seats: Semaphore, stop: Stop) -> Iterator[None]:
    """One of the seats of those who read at the same time; no longer waited for once the run has to end."""
    stop.check()
    while not seats.acquire(timeout=TICK):
        stop.check()
    try:
        yield
    finally:
        seats.release()


def _reading(
    session: DumpSession, stream: Stream, source: str, seat: AbstractContextManager[None]
) -> Generator[Chunk, None, None]:
    """Read a stream in a seat of its own; what goes wrong here is the source's fault and says so."""
    with seat, translate_errors(f"cannot read {quote_name(stream.name)} of {source}"):
        yield from session.read(stream)


def _stream_record(stream: Stream, path: str, stored: Stored) -> StreamRecord:
    return StreamRecord(
        name=stream.name,
        suffix=stream.suffix,
        size=stored.size,
        digests=dict(stored.digests),
        blob=BlobRecord(path=path, size=stored.stored_size, digests=dict(stored.stored_digests)),
    )
