"""What a backup or a drill needs of a database and its machine, and whether it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from holdfast.api.events import Operation
from holdfast.field_docs import explain_fields

RequirementState = Literal["ok", "warning", "failed", "unknown"]
"""Whether something is there: as it should be, not as it should be, not at all, or nobody can tell."""

_SKEW = 60.0  # seconds by which two clocks may differ


@explain_fields
@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """Which database to look at, and for what; nothing of it may be changed."""

    #: The URL of the database in full, with its secrets; of a drill the server, or None for the engine's own choice.
    url: str | None = field(repr=False)
    #: A private empty folder, which the core removes.
    scratch: Path
    #: `BACKUP` or `DRILL`.
    operation: Operation = Operation.BACKUP
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None
    #: As for a dump: the number of threads that would read at once.
    jobs: int = 1
    #: As for a dump: patterns of what is taken, empty for all.
    select: tuple[str, ...] = ()
    #: As for a dump: patterns of what is left out.
    exclude: tuple[str, ...] = ()
    #: As for a dump: the kinds of objects that are left out.
    exclude_kinds: tuple[str, ...] = ()
    #: As for a dump: whether a damaged source is backed up all the same.
    allow_damaged: bool = False


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One thing that is needed, and whether it is there.

    `failed` means that the run would fail; what its result would lack, or that it may be worse for it, is a `warning`;
    and what cannot be told is `unknown`, never `failed`.
    """

    #: What it is, in a word or two, such as `rights` or `clock`.
    name: str
    #: Whether it is there.
    state: RequirementState
    #: What was seen, for people; without secrets.
    detail: str = ""
    #: What mends it: a statement for the database's owner, or a command.
    remedy: str | None = None
    #: What a run would end with where it has `failed`, an exit code of `holdfast`; 0 where it would go on without.
    exit_code: int = 0

    @classmethod
    def of_clock(cls, seconds: float, asked: float, answered: float) -> Self:
        """Compare the clock of a server with ours: what it says, and ours before and after it was asked.

        All are seconds since 1970; a minute more than what the question took is a warning.
        """
        late = max(asked - seconds, seconds - answered, 0.0)
        if late <= _SKEW:
            return cls(name="clock", state="ok", detail=f"within {max(1, round(late + answered - asked))} s of ours")
        way = "behind" if seconds < asked else "ahead of"
        return cls(
            name="clock",
            state="warning",
            detail=f"the server's is {late:.0f} s {way} ours: times of backups and of its log do not agree",
            remedy="let both machines take their time from the same servers (NTP)",
        )
