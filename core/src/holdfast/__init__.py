"""Holdfast backs up and restores databases, and proves that the backups can be restored.

The short way is `holdfast.backup(url)` and `holdfast.restore(id, url)`; `holdfast.Pipeline` assembles a run from
parts; `holdfast.api` is what plugins import. Names are imported on first use, so that `holdfast --help` and
programs that need one name pay for no more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.api import Event
    from holdfast.assembly import Pipeline
    from holdfast.errors import (
        CredentialsError,
        HoldfastError,
        IntegrityError,
        LockedError,
        NotFoundError,
        OverdueError,
        PartialError,
        PluginError,
        UnreachableError,
        UnsafeError,
        UsageError,
    )
    from holdfast.legacy import (
        BackupFormat,
        BackupManager,
        BackupMetadata,
        BackupResult,
        DatabaseBackup,
        backup_database,
    )
    from holdfast.manager import backup, delete, drill, list_backups, pin, prune, restore, tag, verify
    from holdfast.operations.drill import DrillResult
    from holdfast.operations.restore import RestoreResult
    from holdfast.operations.retention import PruneResult
    from holdfast.operations.verify import VerifyResult
    from holdfast.plan import BackupPlan, RestorePlan
    from holdfast.policy import Policy
    from holdfast.record import Backup
    from holdfast.registry import Registry

_HOMES = {
    "Backup": "record",
    "BackupFormat": "legacy",
    "BackupManager": "legacy",
    "BackupMetadata": "legacy",
    "BackupPlan": "plan",
    "BackupResult": "legacy",
    "CredentialsError": "errors",
    "DatabaseBackup": "legacy",
    "DrillResult": "operations.drill",
    "Event": "api",
    "HoldfastError": "errors",
    "IntegrityError": "errors",
    "LockedError": "errors",
    "NotFoundError": "errors",
    "OverdueError": "errors",
    "PartialError": "errors",
    "Pipeline": "assembly",
    "PluginError": "errors",
    "Policy": "policy",
    "PruneResult": "operations.retention",
    "Registry": "registry",
    "RestorePlan": "plan",
    "RestoreResult": "operations.restore",
    "UnreachableError": "errors",
    "UnsafeError": "errors",
    "UsageError": "errors",
    "VerifyResult": "operations.verify",
    "backup": "manager",
    "backup_database": "legacy",
    "delete": "manager",
    "drill": "manager",
    "list_backups": "manager",
    "pin": "manager",
    "prune": "manager",
    "restore": "manager",
    "tag": "manager",
    "verify": "manager",
}

__all__ = [
    "Backup",
    "BackupFormat",
    "BackupManager",
    "BackupMetadata",
    "BackupPlan",
    "BackupResult",
    "CredentialsError",
    "DatabaseBackup",
    "DrillResult",
    "Event",
    "HoldfastError",
    "IntegrityError",
    "LockedError",
    "NotFoundError",
    "OverdueError",
    "PartialError",
    "Pipeline",
    "PluginError",
    "Policy",
    "PruneResult",
    "Registry",
    "RestorePlan",
    "RestoreResult",
    "UnreachableError",
    "UnsafeError",
    "UsageError",
    "VerifyResult",
    "backup",
    "backup_database",
    "delete",
    "drill",
    "list_backups",
    "pin",
    "prune",
    "restore",
    "tag",
    "verify",
    "version",
]


def version() -> str:
    """The version of the installed core."""
    from importlib.metadata import version as installed_version

    return installed_version("holdfast")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"holdfast.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'holdfast' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
