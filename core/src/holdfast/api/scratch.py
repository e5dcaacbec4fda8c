"""A database for a drill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.api.proof import Proof
from holdfast.field_docs import explain_fields


@explain_fields
@dataclass(frozen=True, kw_only=True)
class ScratchRequest:
    """Where a drill may restore to, and what."""

    #: The id of the backup.
    id: str
    #: A private empty folder, which the core removes.
    scratch: Path
    #: The URL of a server, with its secrets, or None for a place of the engine's own choice.
    into: str | None = field(default=None, repr=False)
    #: The engine's options, as for a restore.
    options: Any = None
    #: The number of threads that may work on `Scratch.check` and `Scratch.proof`.
    jobs: int = 1
    #: The plain bytes of the backup.
    size: int = 0
    #: The version of the server or library that the backup was made from.
    server_version: str = ""
    #: The `hints` that the dump left.
    facts: Mapping[str, Any] = field(default_factory=dict)


class Scratch(Protocol):
    """A database made for one drill; leaving its context drops it, whatever has happened.

    Errors tell that a drill could not be carried out; what is wrong with the backup is what `check` returns and
    how `proof` differs.
    """

    @property
    def url(self) -> str:
        """Where to restore to."""
        ...

    @property
    def server_version(self) -> str:
        """The version of the server or library that runs the drill; it is recorded with the result."""
        ...

    def check(self) -> Sequence[str]:
        """Run the engine's own check; each problem is one line, none is well.

        A problem is damage. What could not be checked is a warning (`SupportsWarnings`), and what was so in the source
        and can be put right there a fault (`SupportsFaults`).
        """
        ...

    def proof(self, recorded: Proof, /) -> Proof:
        """Compute what was recorded anew, by the same method and settings.

        Objects of kind `stream` may be left out, unless their digest can be taken from the restored database.
        """
        ...


@runtime_checkable
class SupportsFaults(Protocol):
    """A scratch database whose check tells what was wrong in the source from what is wrong with the backup."""

    @property
    def faults(self) -> Sequence[str]:
        """What the backup holds as its source had it and what to do about it there, a line each.

        An index that does not agree with its table, a row against its declaration. Asked once, after the proof.
        """
        ...
