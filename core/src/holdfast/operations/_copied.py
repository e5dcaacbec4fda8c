"""Copying one backup into another store: every object byte for byte, compared with the manifest, which comes last.

What a run that was ended has copied stays where it is, unlisted, so that the next one goes on from there: an object is
seen whole or not at all, and none is seen whose bytes are not those that the manifest records.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import msgspec

from holdfast.api import EventType, Retention, Stat, SupportsRetention, Writer
from holdfast.command_text import command_text
from holdfast.errors import (
    CredentialsError,
    HoldfastError,
    IntegrityError,
    NotFoundError,
    UnsafeError,
    cleaning_up,
    os_error_text,
    quote_name,
)
from holdfast.run import Run
from holdfast.store import findings, labels
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.findings import Depth, State
from holdfast.store.key_files import parse_key_name, read_key_file
from holdfast.store.leasing import held
from holdfast.store.manifest import MAX_SIZE, Manifest
from holdfast.store.names import FINDINGS, INSTRUCTIONS, KEYS, LABELS, MANIFEST, SUMS
from holdfast.store.object_bytes import object_bytes
from holdfast.store.origin import Origin
from holdfast.store.plugin_faults import reads_otherwise
from holdfast.store.published import check_published
from holdfast.store.readers import reading, using_source
from holdfast.store.removal import discard
from holdfast.store.retention import note_of, retention_of, writer_for
from holdfast.store.sums import parse_sums
from holdfast.streaming.workers import run_tasks

log = logging.getLogger("holdfast.copy")

_DELETE = "delete it there (holdfast delete --allow-last), and copy it again"
_TRAVELLING = (Depth.RESTORE, Depth.DRILL)
"""Findings that speak of the content, which digests show to be the same; others speak of what one disk holds."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One backup to copy, the stores that it is in and shall be in, and until when it shall be kept there."""

    entry: Entry
    source: Catalog
    target: Catalog
    retention: Retention | None = None

    @property
    def folder(self) -> str:
        """Where it lies, in both."""
        return self.entry.folder


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: whether the backup is new there, stored bytes of its objects, and notes."""

    copied: bool
    stored_bytes: int
    notes: int


@contextmanager
def holding(task: Task) -> Iterator[None]:
    """Keep a backup from being deleted in one store and from being taken for a leftover in the other."""
    entry = task.entry
    with (
        reading(task.source.storage, entry),
        using_source(task.target.storage, entry.name),
        held(task.target.storage.lease(entry.id), entry.id),
    ):
        yield


def copy_backup(task: Task, run: Run, jobs: int, settle_name: Callable[[], None]) -> Outcome:
    """Copy what the target lacks of a backup; both stores must be held, see `holding`.

    `settle_name` is called before anything is written. A backup that is there already gets the notes that it lacks.
    Bytes that are not as recorded are an `IntegrityError`, and nothing is published; another backup of this id in the
    target is an `UnsafeError`.
    """
    theirs = task.target.reload(task.entry)
    published = theirs is not None
    if theirs is not None:  # what it lacks is kept as long as the rest
        retention = retention_of(task.target.storage, task.folder, lambda: theirs.noted_retention)
        task = msgspec.structs.replace(task, retention=retention)
    there = _readable(task, theirs.files) if theirs else _files(task)
    if theirs:
        _check_same(task, theirs)
    elif not task.entry.usable:
        raise _damaged(task, task.entry.problem or "a check of it has failed")
    document = task.entry.manifest
    if document is None:
        raise _damaged(task, task.entry.problem)
    try:
        written, notes = _bring_all(task, run, jobs, document, there, settle_name, published=published)
    except IntegrityError as error:
        if not published:  # nobody can go on from there
            with cleaning_up(error, f"could not remove the unfinished {task.folder}"):
                discard(task.target, task.entry.name, task.entry.id, Origin.recorded(document.source))
        raise
    if not published:
        _publish(task)
    return Outcome(copied=not published, stored_bytes=written, notes=notes)


def _bring_all(
    task: Task,
    run: Run,
    jobs: int,
    document: Manifest,
    there: Mapping[str, Stat],
    settle_name: Callable[[], None],
    *,
    published: bool,
) -> tuple[int, int]:
    """Copy all but the manifest that the target lacks; returns the bytes and the number of notes that were written."""
    objects = _objects(task, document) if task.entry.usable else []
    settle_name()
    if not published:
        there = _without_remains(task, objects, there)
    lacking = [wanted for wanted in objects if not (published and _is_there(task, wanted, there))]
    run.total = sum(wanted.size for wanted in lacking)
    run.emit(EventType.STARTED, store=task.source.storage.location, to=task.target.storage.location)
    written: list[int] = []
    # The largest first, so that no job is left alone with it.
    ordered = sorted(lacking, key=lambda wanted: -wanted.size)
    tasks = [partial(_bring, task, run, wanted, there, written.append) for wanted in ordered]
    run_tasks(tasks, jobs=jobs, stop=run.stop, tick=run.tick, release=lambda: None)
    notes = _copy_notes(task, there, published=published)
    if written or notes or not published:
        task.target.storage.barrier()
    if not published:
        _check_sizes(task, objects)
    return sum(written), notes


def _files(task: Task) -> dict[str, Stat]:
    """What the target has below the folder of the backup, by its path in there."""
    stats = task.target.storage.list(task.folder)
    return _readable(task, {stat.path.removeprefix(f"{task.folder}/"): stat for stat in stats})


def _readable(task: Task, files: dict[str, Stat]) -> dict[str, Stat]:
    """The same files; a part of them that cannot be read is a `NotFoundError`."""
    for path, stat in files.items():
        if stat.problem:
            raise NotFoundError(f"cannot read {quote_name(f'{task.folder}/{path}')} in the store: {stat.problem}")
    return files


def _check_same(task: Task, theirs: Entry) -> None:
    """Make sure that what the target has under this id is this backup, and not known to be damaged there."""
    where = quote_name(task.target.storage.location)
    theirs.check_readable()
    known = theirs.manifest is not None and not theirs.problem and theirs.state is State.DAMAGED
    if theirs.manifest is None or (known and task.entry.usable):
        raise IntegrityError(
            f"the copy of {task.entry.id} in {where} is damaged: {theirs.problem or 'a check of it has failed'}",
            hint=_DELETE,
        )
    if theirs.checksum != task.entry.checksum:
        raise UnsafeError(
            f"{where} has another backup {task.folder}, whose manifest differs",
            hint="see which of the two is sound: holdfast verify",
        )


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    """One object to copy before the manifest, with the bytes and SHA-256 that it must have."""

    path: str
    size: int
    digest: str


def _objects(task: Task, document: Manifest) -> list[_Object]:
    entry = task.entry
    data = _read_small(task, SUMS)
    recorded = parse_sums(data)
    if recorded.get(MANIFEST) != entry.checksum:
        raise _damaged(task, f"{SUMS} and the manifest differ")
    blobs = [stream.blob for stream in document.streams]
    differing = [blob.path for blob in blobs if recorded.get(blob.path) != blob.digests["sha256"]]
    if INSTRUCTIONS in entry.files and INSTRUCTIONS not in recorded:
        differing.append(INSTRUCTIONS)
    if differing:
        raise _damaged(task, f"{SUMS} and the manifest differ on {quote_name(differing[0])}")
    objects = [_Object(path=blob.path, size=blob.size, digest=blob.digests["sha256"]) for blob in blobs]
    for path in recorded.keys() - {MANIFEST, *(blob.path for blob in blobs)}:
        stat = entry.files.get(path)
        if stat is None or not stat.regular:
            check_published(task.source.storage, task.folder)
            raise _damaged(task, f"{quote_name(path)} is missing")
        objects.append(_Object(path=path, size=stat.size, digest=recorded[path]))
    return [*objects, _Object(path=SUMS, size=len(data), digest=hashlib.sha256(data).hexdigest())]


def _read_small(task: Task, path: str) -> bytes:
    try:
        return task.source.storage.read(f"{task.folder}/{path}", 0, MAX_SIZE)
    except FileNotFoundError as error:
        check_published(task.source.storage, task.folder)
        raise _damaged(task, f"{path} is missing") from error


def _without_remains(task: Task, objects: Sequence[_Object], there: Mapping[str, Stat]) -> dict[str, Stat]:
    """What an unfinished copy has of a backup, once all that can be no part of it is removed."""
    sizes = {wanted.path: wanted.size for wanted in objects}
    kept = {}
    for path, stat in there.items():
        if stat.regular and (sizes.get(path) == stat.size or _travels(path)):
            kept[path] = stat
        else:
            task.target.storage.delete(f"{task.folder}/{path}")
    return kept


def _is_there(task: Task, wanted: _Object, there: Mapping[str, Stat]) -> bool:
    """Whether a backup that the target lists has an object; one that is not the same is an `IntegrityError`."""
    stat = there.get(wanted.path)
    if stat is None or (stat.regular and stat.size == wanted.size):
        return stat is not None
    raise IntegrityError(
        f"the copy of {task.entry.id} in {quote_name(task.target.storage.location)} is damaged: "
        f"{quote_name(wanted.path)} has {stat.size} bytes, expected {wanted.size}",
        hint=_DELETE,
    )


def _bring(task: Task, run: Run, wanted: _Object, there: Mapping[str, Stat], written: Callable[[int], object]) -> None:
    """Copy one object, unless a run that was ended has brought all of it.

    That is read once more: what was not yet on the disk when the power failed can have its size and other bytes.
    """
    if wanted.path in there:
        if _digest_of(task, run, wanted) == wanted.digest and _is_retained(task, wanted.path):
            return
        task.target.storage.delete(f"{task.folder}/{wanted.path}")
    _copy_object(task, run, wanted)
    written(wanted.size)


def _is_retained(task: Task, path: str) -> bool:
    """Keep what an ended run has brought as long as the rest of its backup; False where it has to be written anew."""
    if task.retention is not None and isinstance(task.target.storage, SupportsRetention):
        try:
            task.target.storage.retain(f"{task.folder}/{path}", task.retention)
        except CredentialsError as error:  # a retention that is there is not made stricter
            log.info("%s/%s is copied anew: %s", task.folder, path, error.message)
            return False
    return True


def _digest_of(task: Task, run: Run, wanted: _Object) -> str:
    running = hashlib.sha256()
    for piece in object_bytes(task.target.storage, f"{task.folder}/{wanted.path}", size=wanted.size, stop=run.stop):
        running.update(piece)
        run.count(len(piece))
    return running.hexdigest()


def _copy_object(task: Task, run: Run, wanted: _Object) -> None:
    """Copy one object; it becomes visible only with the bytes that were recorded."""
    running, offset = hashlib.sha256(), 0
    path, name = wanted.path, quote_name(wanted.path)
    with _writing(task, path), _writer(task, path) as writer:
        for piece in _read(task, wanted, run):
            running.update(piece)
            writer.write(piece)
            run.count(len(piece))
            offset += len(piece)
        if offset != wanted.size:
            listed = task.source.storage.stat(f"{task.folder}/{path}").size
            if listed == wanted.size:
                raise reads_otherwise(task.source.storage, name, offset, listed)
            short = f"{offset} bytes" if offset < wanted.size else "more bytes"
            raise _damaged(task, f"{name} has {short}, expected {wanted.size}")
        if running.hexdigest() != wanted.digest:
            raise _damaged(task, f"{name} is not what was stored: its sha256 differs from the recorded one")


def _read(task: Task, wanted: _Object, run: Run) -> Iterator[bytes]:
    """Yield the bytes of an object; what goes wrong is the source's fault and says so."""
    name = quote_name(wanted.path)
    try:
        yield from object_bytes(task.source.storage, f"{task.folder}/{wanted.path}", size=wanted.size, stop=run.stop)
    except FileNotFoundError as error:
        check_published(task.source.storage, task.folder)
        raise _damaged(task, f"{name} is missing") from error
    except OSError as error:
        raise HoldfastError(f"cannot read {name} of {task.entry.id}: {os_error_text(error)}") from error


def _writer(task: Task, path: str) -> AbstractContextManager[Writer]:
    return writer_for(task.target.storage, f"{task.folder}/{path}", task.retention)


@contextmanager
def _writing(task: Task, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = quote_name(task.target.storage.location)
        raise HoldfastError(
            f"cannot write {quote_name(f'{task.folder}/{path}')} to the store at {where}: {os_error_text(error)}"
        ) from error


def _damaged(task: Task, why: str) -> IntegrityError:
    return IntegrityError(
        f"backup {task.entry.id} is damaged and was not copied: {why}",
        hint="record that with "
        + command_text("holdfast", "verify", task.entry.id, "--store", task.source.storage.location),
    )


def _check_sizes(task: Task, objects: Sequence[_Object]) -> None:
    """Compare what the target lists with what it was given, before the backup is published there."""
    files = _files(task)
    for wanted in objects:
        size = files[wanted.path].size if wanted.path in files else None
        if size != wanted.size:
            what = "is missing" if size is None else f"has {size} bytes, and {wanted.size} were written"
            raise IntegrityError(
                f"the store at {quote_name(task.target.storage.location)} does not hold what was written: "
                f"{quote_name(wanted.path)} {what}",
                hint="no backup was published there; check the disk or service that the store is on",
            )


def _publish(task: Task) -> None:
    if task.retention is not None:
        path, note = note_of(task.retention)
        with _writing(task, path), _writer(task, path) as writer:
            writer.write(note)
        task.target.storage.barrier()
    data = _read_small(task, MANIFEST)
    if hashlib.sha256(data).hexdigest() != task.entry.checksum:
        raise _damaged(task, "its manifest is not the one that was read before")
    with _writing(task, MANIFEST), _writer(task, MANIFEST) as writer:
        writer.write(data)
    task.target.storage.barrier()


def _copy_notes(task: Task, there: Mapping[str, Stat], *, published: bool) -> int:
    """Add the notes that the target lacks: all labels, and of the findings those that hold for the content."""
    added = 0
    for path, stat in task.entry.files.items():
        if not stat.regular or not _travels(path):
            continue
        if path in there and not published:
            _is_retained(task, path)  # a note that is kept less long is none the worse
        elif path not in there:
            data = _read_note(task, path)
            with _writing(task, path), _writer(task, path) as writer:
                writer.write(data)
            added += 1
    return added


def _read_note(task: Task, path: str) -> bytes:
    file = parse_key_name(path.removeprefix(f"{KEYS}/")) if path.startswith(f"{KEYS}/") else None
    if file is not None:  # its name says what it holds
        return read_key_file(task.source.storage, task.folder, file)
    return task.source.storage.read(f"{task.folder}/{path}", 0, MAX_SIZE)


def _travels(path: str) -> bool:
    folder, _, name = path.partition("/")
    if folder == KEYS:
        return parse_key_name(name) is not None
    if folder == LABELS:
        return labels.parse_name(name) is not None
    finding = findings.parse_name(name) if folder == FINDINGS else None
    return finding is not None and finding.depth in _TRAVELLING
