"""Backup: open a snapshot, stream it into the store, publish the manifest last."""

import hashlib
import logging
import platform
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from holdfast.api import (
    Capability,
    Chunk,
    DumpRequest,
    DumpSession,
    Facts,
    Proof,
    Source,
    Stream,
    SupportsSource,
    Watcher,
)
from holdfast.error_boundary import scrub, translate_errors, translate_os_errors
from holdfast.errors import HoldfastError, IntegrityError, PluginError, os_error_text, quote_name
from holdfast.plan import BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.run import Run
from holdfast.scratch import run_cleanup, scratch_folder
from holdfast.setup import BackupSetup, Parts, resolve_backup
from holdfast.store import sums
from holdfast.store.catalog import Catalog, identity_digest
from holdfast.store.entry import Entry
from holdfast.store.manifest import (
    FORMAT_VERSION,
    BlobRecord,
    CodecRecord,
    Manifest,
    ProofRecord,
    SourceRecord,
    StreamRecord,
    ToolRecord,
    encode,
)
from holdfast.store.manual_restore import restore_instructions
from holdfast.store.names import INSTRUCTIONS, MANIFEST, SUMS, blob_path, check_blob_path, is_suffix, slug
from holdfast.streaming.encode import Flow, Stored
from holdfast.streaming.workers import Workers, run_tasks
from holdfast.url import redact

log = logging.getLogger("holdfast.backup")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a backup would do."""

    source: str  #: the source's URL, without its secrets
    name: str  #: the name that the source has in the store
    engine: str  #: the engine that would dump it
    codec: str  #: the codec, such as `zstd:1`
    checksums: tuple[str, ...]  #: the algorithms of all digests
    store: str  #: where the store is
    jobs: int  #: the number of parallel jobs
    streams: tuple[Stream, ...]  #: the streams, with the engine's hints of their sizes


def backup(
    plan: BackupPlan,
    *,
    registry: Registry,
    parts: Parts | None = None,
    on_event: Watcher | None = None,
    at: datetime | None = None,
) -> Backup:
    """Make one backup and return its record; on any failure nothing is published and what was written is removed.

    Raises `HoldfastError`s. `on_event` is called in this thread. `at` is the time of what is backed up, now if None.
    """
    with ExitStack() as stack, translate_errors("backup failed", plan.source):
        setup, session, opened = _open(plan, registry, parts, stack)
        with translate_os_errors(f"cannot write to the store at {quote_name(setup.storage.location)}"):
            catalog = Catalog(setup.storage)
            catalog.open_or_create()
            backup_id, created_at = stack.enter_context(catalog.begin(at))
            source = _source(session, setup)
            name = catalog.claim(
                source, name=plan.name or slug(source.name), explicit=plan.name is not None, adopt=plan.adopt
            )
            catalog.sweep(name)
            run = Run("backup", backup_id, name=name, registry=registry, on_event=on_event, url=plan.source)
            with run.telling(), _discarding(catalog, name, backup_id, source):
                manifest, files = _write(setup, session, opened, run=run, source=source, created_at=created_at)
                # A run of the same name that failed meanwhile may have given it back, and another taken it.
                catalog.claim(source, name=name, explicit=True, adopt=False)
                checksum = _publish(setup, manifest, files)
        entry = Entry(name=name, id=backup_id, manifest=manifest, checksum=checksum)
        record = Backup.of(entry, setup.storage)
        run.emit("finished", **record.as_data())
        return record


def preview(plan: BackupPlan, *, registry: Registry, parts: Parts | None = None) -> Preview:
    """Say what a backup would do: opens the source, writes nothing."""
    with ExitStack() as stack, translate_errors("backup failed", plan.source):
        setup, session, _ = _open(plan, registry, parts, stack)
        catalog, source = Catalog(setup.storage), _source(session, setup)
        name = plan.name or slug(source.name)
        if catalog.usable():
            name = catalog.name_for(source, name=name, explicit=plan.name is not None, adopt=plan.adopt)
        return Preview(
            source=redact(plan.source),
            name=name,
            engine=setup.engine.name,
            codec=setup.codec_spec,
            checksums=tuple(setup.hashers),
            store=setup.storage.location,
            jobs=setup.jobs,
            streams=tuple(session.streams),
        )


def _open(
    plan: BackupPlan, registry: Registry, parts: Parts | None, stack: ExitStack
) -> tuple[BackupSetup, DumpSession, ExitStack]:
    """Resolve a plan and open its source; the last of the three leaves the session when it is closed."""
    with translate_errors(f"cannot open {redact(plan.source)}", plan.source):
        setup = resolve_backup(plan, registry, parts or Parts())
    with translate_errors(f"cannot use the store at {quote_name(setup.storage.location)}", plan.source):
        Catalog(setup.storage).usable()  # found out before the source is opened, whose check may take long
    with translate_errors(f"cannot open {redact(plan.source)}", plan.source):
        scratch = stack.enter_context(scratch_folder())
        opened = stack.enter_context(ExitStack())
        return setup, opened.enter_context(setup.engine.dump(_request(setup, scratch))), opened


@contextmanager
def _discarding(catalog: Catalog, name: str, backup_id: str, source: Source) -> Iterator[None]:
    """Remove what was written if the block ends early."""
    try:
        yield
    except BaseException:
        try:
            run_cleanup(lambda: catalog.discard(name, backup_id, source))
        except (OSError, HoldfastError) as error:
            why = os_error_text(error) if isinstance(error, OSError) else error.message
            log.warning("could not remove the unfinished %s/%s: %s", name, backup_id, why)
        raise


def _request(setup: BackupSetup, scratch: Path) -> DumpRequest:
    plan = setup.plan
    return DumpRequest(
        url=plan.source, scratch=scratch, options=setup.options, jobs=setup.jobs, **plan.request_fields(DumpRequest)
    )


def _source(session: DumpSession, setup: BackupSetup) -> Source:
    """Which database this is: as the engine says, else as its URL says."""
    if isinstance(session, SupportsSource):
        found = session.source
        return Source(name=found.name, identity=f"{setup.engine.name}\0{found.identity}")
    redacted = setup.url.redacted().partition("?")[0]
    last = setup.url.path.rstrip("/").rpartition("/")[2]
    return Source(name=last.partition(".")[0] or setup.engine.name, identity=f"{setup.engine.name}\0{redacted}")


def _write(
    setup: BackupSetup, session: DumpSession, opened: ExitStack, *, run: Run, source: Source, created_at: datetime
) -> tuple[Manifest, dict[str, bytes]]:
    """Store every stream, free the source, and return the manifest with the small files that go beside it."""
    streams = list(session.streams)
    _check_streams(setup, streams)
    if all(stream.size is not None for stream in streams):
        run.total = sum(stream.size or 0 for stream in streams)
    run.emit("started", url=setup.url.redacted(), engine=setup.engine.name, codec=setup.codec_spec)
    records = _store_streams(setup, session, streams, run, opened.close)
    with translate_errors(f"cannot read {redact(setup.plan.source)}", setup.plan.source):
        proof = _proof(setup, session)
        facts = session.facts()
        opened.close()  # frees the source before the store is synced
    for warning in (*facts.warnings, *facts.damage):
        run.warn(warning)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        id=run.id,
        created_at=created_at,
        duration_seconds=round(run.seconds, 3),
        source=SourceRecord(
            name=run.name,
            url=setup.url.redacted(),
            engine=setup.engine.name,
            identity=identity_digest(source),
            server_version=facts.server_version,
        ),
        codec=CodecRecord(name=setup.codec_name, spec=setup.codec_spec),
        checksums=list(setup.hashers),
        streams=records,
        tool=_tool(setup, facts),
        consistency_point=dict(facts.consistency_point),
        options={key: str(value) for key, value in setup.plan.options.items()},
        selection={key: list(value) for key in ("select", "exclude") if (value := getattr(setup.plan, key))},
        proof=ProofRecord.of(proof, records),
        damage=[scrub(line, setup.plan.source) for line in facts.damage],
        warnings=[scrub(line, setup.plan.source) for line in facts.warnings],
        tags=list(setup.plan.tags),
        hints=dict(facts.hints),
    )
    text = restore_instructions(manifest, setup.codec, facts.restore_steps)
    return manifest, {**_files(setup, facts, records), INSTRUCTIONS: text.encode()}


def _check_streams(setup: BackupSetup, streams: list[Stream]) -> None:
    """Refuse what would make a manifest that no restore could read."""
    names = {stream.name for stream in streams}
    if len(names) != len(streams) or not streams or "" in names:
        raise PluginError(f"engine '{setup.engine.name}' names a stream twice, or none")
    for suffix in {setup.codec.suffix, *(stream.suffix for stream in streams)}:
        if not is_suffix(suffix):
            raise PluginError(f"{suffix!r} cannot be the suffix of a file, expected one such as '.sql' or '.zst'")


def _files(setup: BackupSetup, facts: Facts, records: list[StreamRecord]) -> dict[str, bytes]:
    """The small files that the engine adds, none in the place of another."""
    taken = {record.blob.path.lower() for record in records}
    for name in facts.files:
        try:
            check_blob_path(name)
        except IntegrityError as error:
            raise PluginError(
                f"engine '{setup.engine.name}' adds a file {quote_name(name)}, which is no name"
            ) from error
        if name.lower() in taken:
            raise PluginError(f"engine '{setup.engine.name}' adds a file {quote_name(name)}, which is there already")
        taken.add(name.lower())
    return dict(facts.files)


def _proof(setup: BackupSetup, session: DumpSession) -> Proof | None:
    """What the engine recorded; nothing is an error where a proof was asked for, unless the source may be damaged."""
    if setup.plan.proof is False:
        return None
    proof = session.proof()
    if proof is None and setup.plan.proof and not setup.plan.allow_damaged:
        raise PluginError(f"engine '{setup.engine.name}' recorded no proof, though one was asked for")
    names = [(one.kind, one.name) for one in proof.objects] if proof else []
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PluginError(f"engine '{setup.engine.name}' recorded {twice[0]} {quote_name(twice[1])} twice in its proof")
    return proof


def _store_streams(
    setup: BackupSetup, session: DumpSession, streams: list[Stream], run: Run, release: Callable[[], None]
) -> list[StreamRecord]:
    """Run the pipeline over all streams, in up to `jobs` threads where the engine can.

    After a failure `release` leaves the session early, so that a read that waits for its source ends.
    """
    parallel = setup.jobs if Capability.PARALLEL_DUMP in setup.engine.capabilities else 1
    readers = min(parallel, len(streams))
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
    )
    taken: set[str] = set()
    paths = [blob_path(stream.name, stream.suffix + setup.codec.suffix, taken) for stream in streams]
    records: dict[str, StreamRecord] = {}

    def store(stream: Stream, path: str) -> None:
        # The error of a failed write holds on to the frames that it passed: only closing ends the read in time.
        with (
            closing(_reading(session, stream, setup.plan.source)) as chunks,
            setup.storage.writer(f"{run.name}/{run.id}/{path}") as writer,
        ):
            stored = flow.store(chunks, writer)
        records[stream.name] = _stream_record(stream, path, stored)

    tasks = [lambda stream=stream, path=path: store(stream, path) for stream, path in zip(streams, paths, strict=True)]
    try:
        run_tasks(tasks, jobs=readers, stop=run.stop, tick=run.tick, release=release)
    finally:
        workers.close()
    for stream in streams:
        done = records[stream.name]
        run.emit("stream", stream=stream.name, size_bytes=done.size, stored_bytes=done.blob.size)
    return [records[stream.name] for stream in streams]


def _reading(session: DumpSession, stream: Stream, url: str) -> Generator[Chunk, None, None]:
    """Read a stream; what goes wrong here is the source's fault and says so."""
    with translate_errors(f"cannot read {quote_name(stream.name)} of {redact(url)}", url):
        yield from session.read(stream)


def _stream_record(stream: Stream, path: str, stored: Stored) -> StreamRecord:
    return StreamRecord(
        name=stream.name,
        suffix=stream.suffix,
        size=stored.size,
        digests=dict(stored.digests),
        blob=BlobRecord(path=path, size=stored.stored_size, digests=dict(stored.stored_digests)),
    )


def _tool(setup: BackupSetup, facts: Facts) -> ToolRecord:
    from holdfast import __version__

    return ToolRecord(
        holdfast=__version__,
        python=platform.python_version(),
        plugins=dict(setup.plugins),
        programs=dict(facts.programs),
    )


def _publish(setup: BackupSetup, manifest: Manifest, files: dict[str, bytes]) -> str:
    """Write what goes beside the blobs, make all of it durable, then the manifest; returns its SHA-256."""
    folder = f"{manifest.source.name}/{manifest.id}"
    data = encode(manifest)
    checksum = hashlib.sha256(data).hexdigest()
    digests = {stream.blob.path: stream.blob.digests["sha256"] for stream in manifest.streams}
    digests |= {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    contents = {**files, SUMS: sums.sums({**digests, MANIFEST: checksum})}
    for name, content in contents.items():
        with setup.storage.writer(f"{folder}/{name}") as writer:
            writer.write(content)
    setup.storage.barrier()
    with setup.storage.writer(f"{folder}/{MANIFEST}") as writer:
        writer.write(data)
    setup.storage.barrier()
    return checksum
