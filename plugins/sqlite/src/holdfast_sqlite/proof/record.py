"""The proof of an SQLite database: its image, and what it holds object by object.

The image of the database is its own proof: the core's plain digest of it, recorded as an object of kind `stream`,
tells of any changed bit. The other objects are there to say which one it was, and for backups that are restored
from SQL text.
"""

from collections.abc import Iterable, Sequence

from holdfast.api import ObjectProof, Proof
from holdfast_sqlite.catalog import printable
from holdfast_sqlite.proof.content import METHOD, Described


def assemble(described: Iterable[Described], *, image: str | None, method: str = METHOD) -> Proof:
    """Make the proof of what `describe` found; `image` is the name of the stream that holds the image, if one does."""
    objects = _distinct(
        [
            ObjectProof(kind=kind, name=printable(name), rows=rows, digest=digest)
            for kind, name, rows, digest in described
        ]
    )
    stream = [ObjectProof(kind="stream", name=image)] if image else []
    return Proof(
        method=method,
        objects=(*stream, *objects),
        settings={"digests": any(entry.kind == "table" and entry.digest for entry in objects)},
    )


def _distinct(objects: Sequence[ObjectProof]) -> list[ObjectProof]:
    """Give names a number that became the same one when they were made printable."""
    times: dict[tuple[str, str], int] = {}
    distinct = []
    for entry in objects:
        key = (entry.kind, entry.name)
        times[key] = times.get(key, 0) + 1
        name = f"{entry.name} ({times[key]})" if times[key] > 1 else entry.name
        distinct.append(ObjectProof(kind=entry.kind, name=name, rows=entry.rows, digest=entry.digest))
    return distinct


def in_terms_of(recorded: Proof, restored: Proof, unread: Iterable[str]) -> Proof:
    """What was restored as far as it can be compared.

    What the dump could not read it has recorded without count and digest; what cannot be read here, `unread` by name,
    is taken as it was recorded.
    """
    before = {(entry.kind, entry.name): entry for entry in recorded.objects}
    names = set(unread)
    return Proof(
        method=restored.method,
        objects=tuple(_comparable(before.get((entry.kind, entry.name)), entry, names) for entry in restored.objects),
        settings=recorded.settings,
    )


def _comparable(before: ObjectProof | None, entry: ObjectProof, unread: set[str]) -> ObjectProof:
    if before is None or entry.kind != "table":
        return entry
    nothing = before.rows is None and not before.digest
    return before if nothing or entry.name in unread else entry
