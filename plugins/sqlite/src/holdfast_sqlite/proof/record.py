"""The proof of an SQLite database: its image, and what it holds object by object.

The image of the database is its own proof: the core's plain digest of it, recorded as an object of kind `stream`,
tells of any changed bit. The other objects are there to say which one it was, and for backups that are restored
from SQL text.
"""

from collections.abc import Iterable

from holdfast.api import ObjectProof, Proof
from holdfast_sqlite.proof.content import Described

METHOD = "sqlite-1"


def assemble(described: Iterable[Described], *, image: str | None) -> Proof:
    """Make the proof of what `describe` found; `image` is the name of the stream that holds the image, if one does."""
    objects = [
        ObjectProof(kind=kind, name=printable(name), rows=rows, digest=digest) for kind, name, rows, digest in described
    ]
    stream = [ObjectProof(kind="stream", name=image)] if image else []
    return Proof(
        method=METHOD,
        objects=(*stream, *objects),
        settings={"digests": any(entry.kind == "table" and entry.digest for entry in objects)},
    )


def printable(name: str) -> str:
    """A name as a manifest can hold it: bytes that are not UTF-8 as backslash escapes."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
