"""The options of the engine: one frozen dataclass for backup, restore and drill."""

import os
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SqliteOptions:
    """Options of the engine."""

    lock_timeout: float = field(
        default=10.0, metadata={"help": "seconds to wait for a lock that another process holds"}
    )
    method: Literal["auto", "raw", "backup"] = field(
        default="auto",
        metadata={
            "help": "raw copies pages as they lie, backup asks SQLite for them, auto is raw wherever it is safe",
            "operations": ("backup",),
        },
    )
    format: Literal["image", "sql"] = field(
        default="image",
        metadata={
            "help": "image is the database file, sql a script for the sqlite3 shell",
            "operations": ("backup",),
        },
    )
    owner: str = field(
        default="",
        metadata={
            "help": "whom a restored file belongs to: USER, USER:GROUP, :GROUP, or folder for its folder's",
            "operations": ("restore",),
        },
    )
    mode: str = field(
        default="",
        metadata={
            "help": "the mode of a restored file, in octal digits such as 0640",
            "operations": ("restore",),
        },
    )
    one_moment: bool = field(
        default=True,
        metadata={
            "help": "read the files of a run of several at one moment, as far as their locks allow",
            "operations": ("backup",),
        },
    )
    load_extension: str | tuple[str, ...] = field(
        default=(),
        metadata={"help": "extensions of SQLite to load, for functions, collations and modules of the application"},
    )

    @property
    def extensions(self) -> tuple[str, ...]:
        """The paths to load, absolute; a bare name that is no file here is left to the loader of the system."""
        given = self.load_extension
        names = (given,) if isinstance(given, str) else given
        return tuple(os.path.abspath(name) if os.path.dirname(name) or os.path.exists(name) else name for name in names)

    def __post_init__(self) -> None:
        """Refuse times that SQLite cannot wait for."""
        if not 0 <= self.lock_timeout <= 86400:
            raise ValueError(f"lock_timeout is {self.lock_timeout}, expected 0 to 86400 seconds")
