"""Retentions: until when a service keeps the objects of a backup from everybody, and the note that says so.

What the service says holds. The note is for listings, which would have to ask for each backup, and for keys that may
not ask; it lies with the labels, speaks of this store alone, and does not go along with a copy.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial

import msgspec

from holdfast.api import Retention, RetentionMode, Storage, SupportsRetention, Writer
from holdfast.errors import CredentialsError, UsageError, os_error_text, quote_name
from holdfast.plugins.guard import provider
from holdfast.retention_period import check_retention, parse_period
from holdfast.store.names import LABELS, MANIFEST
from holdfast.streaming.workers import Stop, run_tasks

log = logging.getLogger("holdfast.store")

_TIME = "%Y%m%dT%H%M%SZ"
_NOTE = re.compile(r"\d{8}T\d{6}\.\d{6}Z-retain-(\d{8}T\d{6}Z)-(governance|compliance)\.json")
_ASKED = 32  # backups at once: most of a question is the way to the service


def new_retention(
    storage: Storage, retain: str | None, mode: RetentionMode | None, now: datetime | None = None
) -> Retention | None:
    """The retention of a backup that is begun now; a storage that cannot keep it is a `UsageError`."""
    check_retention(retain, mode)
    if retain is None:
        return None
    if not isinstance(storage, SupportsRetention):
        raise UsageError(
            f"the store at {quote_name(storage.location)} cannot keep a backup from everybody for a time: "
            f"{provider(storage)} has no object lock",
            hint="leave out --retain, or name a store that can, such as a bucket of S3 with object lock",
        )
    until = (now or datetime.now(UTC)).replace(microsecond=0) + parse_period(retain)
    retention = Retention(until=until, mode=mode or "governance")
    storage.check_retention(retention)
    return retention


def writer_for(storage: Storage, path: str, retention: Retention | None) -> AbstractContextManager[Writer]:
    """Write an object of a backup, which is kept as long as the backup is."""
    if retention is None or not isinstance(storage, SupportsRetention):  # which was refused before anything was begun
        return storage.writer(path)
    return storage.retained_writer(path, retention)


def free_writer(storage: Storage, path: str) -> AbstractContextManager[Writer]:
    """Write what may have to be replaced, such as a claim: it is kept by no retention, as far as that can be."""
    return storage.retained_writer(path, None) if isinstance(storage, SupportsRetention) else storage.writer(path)


def note_of(retention: Retention) -> tuple[str, bytes]:
    """The path of the note in the folder of a backup, and what it holds."""
    now = datetime.now(UTC)
    body = {"time": now, "act": "retain", "until": retention.until, "mode": retention.mode}
    path = f"{LABELS}/{now:%Y%m%dT%H%M%S.%fZ}-retain-{retention.until.astimezone(UTC):{_TIME}}-{retention.mode}.json"
    return path, msgspec.json.encode(body) + b"\n"


def retention_of(
    storage: Storage, folder: str, noted: Callable[[], Retention | None] | None = None
) -> Retention | None:
    """Until when a backup is kept, as the service says, else as is noted; None for what nothing keeps now."""
    if not isinstance(storage, SupportsRetention):
        return None
    try:
        retention = storage.retention(f"{folder}/{MANIFEST}")
    except FileNotFoundError:
        return None
    except CredentialsError as error:
        log.info("cannot ask until when %s is kept: %s", folder, error.message)
        retention = noted() if noted else _noted(storage, folder)
    return retention if retention is not None and retention.until > datetime.now(UTC) else None


def retentions_of(storage: Storage, noted: Mapping[str, Retention | None]) -> Mapping[str, Retention]:
    """The same for several backups, by their folders, each with what is noted; what nothing keeps is left out."""
    kept: dict[str, Retention] = {}
    if not isinstance(storage, SupportsRetention) or not noted:
        return kept

    def ask(folder: str) -> None:
        if (retention := retention_of(storage, folder, lambda: noted[folder])) is not None:
            kept[folder] = retention

    tasks = [partial(ask, folder) for folder in noted]
    run_tasks(tasks, jobs=_ASKED, stop=Stop(), tick=lambda: None, release=lambda: None)
    return kept


def noted_in(paths: Iterable[str]) -> Retention | None:
    """What the notes among the files of a backup say: the retention that ends last."""
    beginning = f"{LABELS}/"
    noted = [
        retention
        for path in paths
        if path.startswith(beginning) and (retention := _parse(path[len(beginning) :])) is not None
    ]
    return max(noted, key=lambda retention: retention.until, default=None)


def write_note(storage: Storage, backup: str, path: str, data: bytes) -> None:
    """Write a note of a backup, kept as the backup is, or without that where the key may keep nothing."""
    try:
        retention = retention_of(storage, backup)
    except OSError as error:
        log.info("cannot tell until when %s is kept: %s", backup, os_error_text(error))
        retention = None
    if retention is not None:
        try:
            with writer_for(storage, path, retention) as kept:
                kept.write(data)
        except CredentialsError as error:
            log.info("%s is written without a retention: %s", path, error.message)
        else:
            return
    with storage.writer(path) as plain:
        plain.write(data)


def until_text(retention: Retention) -> str:
    """Until when, and who can lift that, for people."""
    return f"{retention.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({retention.mode})"


def _noted(storage: Storage, folder: str) -> Retention | None:
    return noted_in(stat.path.removeprefix(f"{folder}/") for stat in storage.list(f"{folder}/{LABELS}"))


def _parse(name: str) -> Retention | None:
    match = _NOTE.fullmatch(name)
    try:
        until = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None
    mode: RetentionMode = "compliance" if match and match[2] == "compliance" else "governance"
    return Retention(until=until, mode=mode) if until else None
