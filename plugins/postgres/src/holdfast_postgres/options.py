"""The options of the engine: one frozen dataclass for backup, restore and drill."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from holdfast.api import UsageError

Format = Literal["parallel", "plain", "custom", "directory", "tar"]

# As PostgreSQL writes sizes in its settings: kB, MB, GB and TB, each 1024 of the unit before. Manual: chapter "Setting
# Parameters".
_UNITS = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_MEMORY = re.compile(r"[1-9][0-9]{0,8}(kB|MB|GB|TB)?")
_LEAST_PART = 1 << 20
_SIZE = re.compile(r"([0-9]{1,9})(kB|MB|GB|TB)?")


def parse_setting(name: str, text: str) -> int:
    """The bytes of a size such as `512MB`, or of a plain number, which counts MB; anything else is a `UsageError`."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"option '{name}' is '{text}', expected a size such as 8MB",
            hint=f"use kB, MB, GB or TB, or a plain number of MB: {name}=8MB",
        )
    return int(match[1]) * _UNITS[match[2] or "MB"]


def _option(default: Any, text: str, *operations: str) -> Any:
    """An option of some operations, or of all."""
    return field(default=default, metadata={"help": text, "operations": operations})


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """Options of the engine; those of another operation are refused."""

    format: Literal["parallel", "plain", "sql", "custom", "directory", "tar"] = _option(
        "parallel", "parallel, or one of pg_dump's own: plain (or sql), custom, directory, tar", "backup"
    )
    schema_only: bool = _option(False, "the definitions without the data", "backup")
    data_only: bool = _option(False, "the data without the definitions", "backup")
    globals: bool | Literal["nopasswords"] = _option(
        False,
        "backup: roles and tablespaces too, with password hashes unless `nopasswords`; restore: make those of the "
        "backup",
    )
    create: bool = _option(False, "make the target database if it is not there", "restore")
    no_owner: bool = _option(False, "make the connecting role the owner of everything", "restore")
    no_privileges: bool = _option(False, "leave GRANT and REVOKE out", "restore")
    on_error: Literal["stop", "continue"] = _option(
        "stop", "continue restores as far as it goes: what the server refuses is listed, exit 3", "restore"
    )
    search_path: str = _option(
        "", "schemas for names without one, tried where a name is not found; by default those of the target", "restore"
    )
    older_server: bool = _option(False, "allow a target older than the server that was backed up", "restore")
    disconnect: bool = _option(False, "--replace: end the sessions that use the target", "restore")
    analyze: bool = _option(True, "collect the planner's statistics at the end", "restore")
    maintenance_work_mem: str = _option(
        "", "memory for building one index, such as 1GB; by default that of the server", "restore"
    )
    connect_timeout: int = _option(10, "seconds to wait for the server; connect_timeout in the URL takes precedence")
    lock_timeout: float = _option(5.0, "seconds to wait for a lock that another session holds on a table")
    large_table: str = _option("8MB", "size from which COPY reads a table in parallel parts, not pg_dump", "backup")
    part_size: str = _option("512MB", "size of one part of a large table, at most", "backup")

    def __post_init__(self) -> None:
        """Refuse values out of range, and options that exclude each other."""
        if self.schema_only and self.data_only:
            raise ValueError("schema_only and data_only exclude each other")
        if not 1 <= self.connect_timeout <= 3600:
            raise ValueError(f"connect_timeout is {self.connect_timeout}, expected 1 to 3600 seconds")
        if not 0.001 <= self.lock_timeout <= 86400:
            raise ValueError(f"lock_timeout is {self.lock_timeout}, expected 0.001 to 86400 seconds")
        parse_setting("large_table", self.large_table)
        if parse_setting("part_size", self.part_size) < _LEAST_PART:
            raise ValueError(f"part_size is {self.part_size}, expected 1MB or more")
        if self.maintenance_work_mem and not _MEMORY.fullmatch(self.maintenance_work_mem):
            raise ValueError(f"maintenance_work_mem is '{self.maintenance_work_mem}', expected a size such as 256MB")

    @property
    def pg_format(self) -> Format:
        """The format, `sql` being another name for `plain`."""
        return "plain" if self.format == "sql" else self.format

    @property
    def large_table_bytes(self) -> int:
        """The size from which a table is read in parallel parts."""
        return parse_setting("large_table", self.large_table)

    @property
    def part_size_bytes(self) -> int:
        """The size of a part, at most."""
        return parse_setting("part_size", self.part_size)
