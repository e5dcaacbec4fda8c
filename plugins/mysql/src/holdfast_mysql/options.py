"""The options of the engine: one frozen dataclass for backup, restore and drill."""

from dataclasses import dataclass, field
from typing import Literal

from holdfast_mysql.definitions.storage_kinds import KINDS


@dataclass(frozen=True, kw_only=True)
class MysqlOptions:
    """Options of the engine; those of another operation are refused."""

    format: Literal["wire", "sql"] = field(
        default="wire",
        metadata={
            "help": "wire: rows as the server sends them, fast; sql: one portable script for any client",
            "operations": ("backup",),
        },
    )
    definer: Literal["keep", "current", "strip"] = field(
        default="keep",
        metadata={
            "help": "definer of views, routines, triggers, events: keep it, make it the restoring user, leave it out"
        },
    )
    users: bool = field(
        default=False,
        metadata={"help": "at backup: store accounts and grants of the whole server; at restore: apply them"},
    )
    on_error: Literal["stop", "continue"] = field(
        default="stop",
        metadata={
            "help": "continue restores as far as it goes: what the server refuses is listed, exit 3",
            "operations": ("restore",),
        },
    )
    lock_timeout: float | None = field(
        default=None,
        metadata={
            "help": "seconds to wait for locks of others: at a backup for the short global lock at its start (5), at a "
            "restore with --replace for the tables to change places (60)"
        },
    )
    lock_nontransactional: bool = field(
        default=False,
        metadata={
            "help": "block writes to MyISAM, Aria and MEMORY tables, for one moment",
            "operations": ("backup",),
        },
    )
    incomplete: bool = field(
        default=False,
        metadata={
            "help": "back up without what the account may not see, instead of refusing",
            "operations": ("backup",),
        },
    )
    local_infile: bool = field(
        default=True,
        metadata={
            "help": "load rows by LOAD DATA LOCAL where the server allows it, else by INSERT",
            "operations": ("restore",),
        },
    )

    strip: str = field(
        default="",
        metadata={
            "help": "make tables without these clauses, separated by commas: " + ", ".join(KINDS),
            "operations": ("restore",),
        },
    )

    @property
    def stripped(self) -> frozenset[str]:
        """The kinds of clauses that `strip` names; what only Aria knows goes with the engine."""
        named = frozenset(kind.strip() for kind in self.strip.split(",") if kind.strip())
        return named | {"page_checksum"} if "engine" in named else named

    def __post_init__(self) -> None:
        """Refuse times that the server could not wait for, and clauses that nobody knows."""
        if unknown := sorted(self.stripped - set(KINDS)):
            raise ValueError(f"strip has '{unknown[0]}' (it takes: {', '.join(KINDS)})")
        if self.lock_timeout is not None and not 1 <= self.lock_timeout <= 86400:
            raise ValueError(f"lock_timeout is {self.lock_timeout:g}, expected 1 to 86400 seconds")
