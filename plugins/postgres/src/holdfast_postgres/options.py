"""The options of the engine: one frozen dataclass for backup, restore and drill."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

_SIZE = re.compile(r"[1-9][0-9]{0,8}(kB|MB|GB|TB)?")


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """Options of the engine; those that a verb does not know are without effect there."""

    format: Literal["parallel", "plain", "sql", "custom", "directory", "tar"] = _option(
        "parallel", "backup: parallel, or one of pg_dump's own: plain (or sql), custom, directory, tar"
    )
    schema_only: bool = _option(False, "backup: the definitions without the data")
    data_only: bool = _option(False, "backup: the data without the definitions")
    globals: bool = _option(
        False, "backup: roles and tablespaces too, with password hashes; restore: make those of the backup"
    )
    create: bool = _option(False, "restore: make the target database if it is not there")
    no_owner: bool = _option(False, "restore: everything belongs to the connecting role")
    no_privileges: bool = _option(False, "restore: no GRANT and REVOKE")
    older_server: bool = _option(False, "restore: allow a target older than the server that was backed up")
    disconnect: bool = _option(False, "restore --replace: end the sessions that use the target")
    analyze: bool = _option(True, "restore: collect the planner's statistics at the end")
    maintenance_work_mem: str = _option("", "restore: memory for building one index, such as 1GB; as the server is set")
    connect_timeout: int = _option(10, "seconds to wait for the server; connect_timeout in the URL goes first")
    lock_timeout: float = _option(5.0, "seconds to wait for a lock that another session holds on a table")
    large_table: int = _option(8, "backup: MB from which a table is read apart from pg_dump, in several lanes")
    part_size: int = _option(512, "backup: MB of a large table that one lane reads at a time, at most")

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        if self.schema_only and self.data_only:
            raise ValueError("schema_only and data_only exclude each other")
        if not 1 <= self.connect_timeout <= 3600:
            raise ValueError(f"connect_timeout is {self.connect_timeout}, expected 1 to 3600 seconds")
        if not 0.001 <= self.lock_timeout <= 86400:
            raise ValueError(f"lock_timeout is {self.lock_timeout}, expected 0.001 to 86400 seconds")
        if not 0 <= self.large_table <= 1_000_000:
            raise ValueError(f"large_table is {self.large_table}, expected 0 to 1000000 MB")
        if not 1 <= self.part_size <= 1_000_000:
            raise ValueError(f"part_size is {self.part_size}, expected 1 to 1000000 MB")
        if self.maintenance_work_mem and not _SIZE.fullmatch(self.maintenance_work_mem):
            raise ValueError(f"maintenance_work_mem is '{self.maintenance_work_mem}', expected a size such as 256MB")

    @property
    def pg_format(self) -> str:
        """The format, `sql` being another name for `plain`."""
        return "plain" if self.format == "sql" else self.format
