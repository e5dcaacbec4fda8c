"""What a machine knows of the backups of a store before it lists them, so that a list looks only into what has changed.

It serves what shows; what restores, copies or deletes reads all that it acts upon.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from holdfast.api import Storage, SupportsFingerprint
from holdfast.store import findings, labels, manifest
from holdfast.store.entry import Entry
from holdfast.store.manifest_cache import Key, Row, mark_of
from holdfast.store.names import FINDINGS, LABELS, MANIFEST
from holdfast.store.retention import noted_in

_Note = TypeVar("_Note")
_FOLDERS = (f"{FINDINGS}/", f"{LABELS}/")


class Known:
    """The `rows` of the cache of one store while it is listed, and of which backups the folder is as it was then."""

    def __init__(self, rows: Mapping[Key, Row], storage: Storage) -> None:
        self.rows = rows
        self.unchanged: set[Key] = set()
        self._fingerprints: dict[Key, str] = {}
        self._fingerprint = storage.fingerprint if isinstance(storage, SupportsFingerprint) else None

    def is_unchanged(self, folder: str) -> bool:
        """Whether the folder of a backup holds what it held; else it is looked into after this, and known by this.

        What changes in between is seen next time: it has another fingerprint than the one that is kept.
        """
        name, _, backup_id = folder.partition("/")
        if self._fingerprint is None or not backup_id or "/" in backup_id:
            return False
        key = (name, backup_id)
        fingerprint = self._fingerprint(folder)
        row = self.rows.get(key)
        if row is not None and fingerprint and row.fingerprint == fingerprint:
            self.unchanged.add(key)
            return True
        self._fingerprints[key] = fingerprint
        return False

    def entry(self, key: Key) -> Entry | None:
        """A backup that has not changed, as it was; None where what is known of it cannot be read."""
        row = self.rows[key]
        document = row.outline()
        if document is None:
            return None
        notes = row.notes.split("\n") if row.notes else ()
        return Entry(
            name=key[0],
            id=key[1],
            manifest=document,
            checksum=row.checksum,
            outlined=True,
            was_cached=True,
            findings=notes_in(notes, FINDINGS, findings.parse_name),
            labels=notes_in(notes, LABELS, labels.parse_name),
            noted_retention=noted_in(notes),
        )

    def new_row(self, entry: Entry) -> Row | None:
        """What is to be known of a backup that was looked into; None for what is known already.

        One that lacks something, or that cannot be told all of, is looked into every time.
        """
        key = (entry.name, entry.id)
        fingerprint = "" if entry.problem or entry.doubt else self._fingerprints.get(key, "")
        known = self.rows.get(key)
        if entry.manifest is None or (entry.was_cached and known and known.fingerprint == fingerprint):
            return None
        notes = [path for path in entry.files if path.startswith(_FOLDERS)]
        outline = manifest.outline(entry.manifest)
        return Row.of(mark_of(entry.files[MANIFEST]), entry.checksum, outline, fingerprint, notes)


def notes_in(paths: Iterable[str], folder: str, parse: Callable[[str], _Note | None]) -> tuple[_Note, ...]:
    """The notes of one kind among the files of a backup, by their names alone."""
    beginning = f"{folder}/"
    names = [path for path in paths if path.startswith(beginning)]
    return tuple(note for name in names if (note := parse(name[len(beginning) :])) is not None) if names else ()
