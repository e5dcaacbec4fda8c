"""What was written is read back before a backup is published: no storage and no codec is believed without."""

import hashlib
from collections.abc import Callable

from holdfast.errors import HoldfastError, IntegrityError, PluginError, os_error_text, quote_name
from holdfast.plan import VerifyWritten
from holdfast.plugins.guard import provider
from holdfast.run import Run
from holdfast.setup import BackupSetup
from holdfast.store.blob import StoredBlob
from holdfast.store.manifest import StreamRecord
from holdfast.streaming.samples import Sample
from holdfast.streaming.seal import SealedObject

_Read = Callable[[int, int], bytes | bytearray | memoryview]


def check_stream(
    setup: BackupSetup, run: Run, record: StreamRecord, samples: tuple[Sample, ...], how: VerifyWritten
) -> None:
    """Read a stored stream back, its samples or all of it, and compare it with what went in.

    Bytes that are not those written are an `IntegrityError` of the storage, those that do not decode to the block that
    they were made of a `PluginError` of the codec.
    """
    folder = f"{run.name}/{run.id}"
    # Of a sealed stream of one frame no digest says what lies in its chunks: all of it is read.
    if how == "all" or (how == "sample" and setup.encryption and not samples):
        key = setup.encryption.key if setup.encryption else None
        blob = StoredBlob(setup.storage, folder, record, setup.codec, stop=run.stop, hashers=setup.hashers, key=key)
        try:
            setup.storage.stat(f"{folder}/{record.blob.path}")
            blob.check(setup.hashers)
        except FileNotFoundError as error:
            raise _lost(setup, f"blob {record.blob.path} is missing") from error
        except IntegrityError as error:
            raise (_undecodable if blob.as_stored else _lost)(setup, error.message) from error
    elif how == "sample":
        read = _reader(setup, f"{folder}/{record.blob.path}", record)
        for sample in samples or (_whole(record),):
            run.stop.check()
            _check_sample(setup, f"{folder}/{record.blob.path}", sample, read)


def check_listing(setup: BackupSetup, run: Run, records: list[StreamRecord]) -> None:
    """Compare the sizes that the storage lists with what was written; `IntegrityError` if it lost anything.

    What it cannot list is not lost, and no backup that anybody could vouch for: `HoldfastError`.
    """
    folder = f"{run.name}/{run.id}"
    stats = list(setup.storage.list(folder))
    hidden = next((stat for stat in stats if stat.problem), None)
    if hidden is not None:
        raise HoldfastError(f"cannot read {quote_name(hidden.path)} back from the store: {hidden.problem}")
    sizes = {stat.path.removeprefix(f"{folder}/"): stat.size for stat in stats}
    for record in records:
        blob = record.blob
        if blob.path not in sizes:
            raise _lost(setup, f"blob {blob.path} is missing")
        if sizes[blob.path] != blob.size:
            raise _lost(setup, f"blob {blob.path} has {sizes[blob.path]} bytes, and {blob.size} were written")


def _reader(setup: BackupSetup, path: str, record: StreamRecord) -> _Read:
    """What reads the frames of a blob back, which are opened where they are sealed."""
    if setup.encryption is None:
        return lambda offset, size: setup.storage.read(path, offset, size)
    key, stored = setup.encryption.key, record.blob.size

    def read(offset: int, size: int) -> bytes:
        return SealedObject(key, lambda start, length: bytes(setup.storage.read(path, start, length)), stored).read(
            offset, size
        )

    return read


def _check_sample(setup: BackupSetup, path: str, sample: Sample, read: _Read) -> None:
    what = f"blob {path.partition('/')[2].partition('/')[2]} at byte {sample.offset}"
    try:
        frame = read(sample.offset, sample.size)
    except IntegrityError as error:
        raise _lost(setup, f"{what} is not what was written: {error.message}") from error
    except FileNotFoundError as error:
        raise _lost(setup, f"{what} is missing") from error
    except OSError as error:
        raise HoldfastError(f"cannot read {what} back from the store: {os_error_text(error)}") from error
    if hashlib.sha256(frame).hexdigest() != sample.stored:
        raise _lost(setup, f"{what} is not what was written")
    decoder = setup.codec.decoder()
    plain, size = hashlib.sha256(), 0
    try:
        for piece in decoder.decode(frame):
            plain.update(piece)
            size += len(piece)
            if size > sample.plain_size:
                break  # a decoder may go on without end
        else:
            decoder.finish()
    except IntegrityError as error:
        raise _undecodable(setup, f"{what}: {error.message}") from error
    if plain.hexdigest() != sample.plain:
        raise _undecodable(setup, f"{what} decodes to other bytes than went in")


def _whole(record: StreamRecord) -> Sample:
    """A stream of one frame as its sample."""
    blob = record.blob
    stored, plain = blob.digests["sha256"], record.digests["sha256"]
    return Sample(offset=0, size=blob.size, plain_size=record.size, stored=stored, plain=plain)


def _lost(setup: BackupSetup, what: str) -> IntegrityError:
    return IntegrityError(
        f"the store at {setup.storage.location} does not hold what was written: {what}",
        hint=f"no backup was published; check the disk or service that the store is on ({provider(setup.storage)})",
    )


def _undecodable(setup: BackupSetup, what: str) -> PluginError:
    return PluginError(
        f"codec '{setup.codec_name}' does not decode what it encoded: {what}",
        hint=f"no backup was published; choose another --codec, and tell the authors of {provider(setup.codec)}",
    )
