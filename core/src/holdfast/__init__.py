"""Holdfast backs up and restores databases, and proves that the backups can be restored.

The short way is `holdfast.backup(url)` and `holdfast.restore(id, url)`; `holdfast.Pipeline` assembles a run from
parts; `holdfast.api` is what plugins import. Names are imported on first use, so that `holdfast --help` and
programs that need one name pay for no more.
"""

import sys

# `typing` takes most of the time until the program can see to a Ctrl-C (`__main__`): checkers know this name too.
TYPE_CHECKING = False

if sys.platform == "win32":
    raise ImportError("holdfast does not run on Windows: it needs a POSIX system, for instance Linux in WSL")

if TYPE_CHECKING:
    from holdfast.api import Event
    from holdfast.backup_set import BackupSet, FailedBackup
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
    from holdfast.functions import (
        backup,
        backup_all,
        copy,
        drill,
        list_backups,
        list_databases,
        restore,
        verify,
    )
    from holdfast.housekeeping import delete, pin, prune, rename, tag
    from holdfast.jobs.calling import (
        ConfigCheck,
        ConfigProblem,
        DatabaseRun,
        FailedJob,
        JobSetting,
        JobsResult,
        PlannedRun,
        SkippedJob,
        StepRun,
        check_config,
        run_jobs,
        show_config,
    )
    from holdfast.legacy.manager import (
        BackupFormat,
        BackupManager,
        BackupMetadata,
        BackupResult,
        DatabaseBackup,
        backup_database,
    )
    from holdfast.operations.copy import CopyResult, CopySet, FailedCopy
    from holdfast.operations.drill import DrillResult
    from holdfast.operations.prune import PruneResult
    from holdfast.operations.rename import RenameResult
    from holdfast.operations.restore import RestoreResult
    from holdfast.operations.source_check import SourceCheck, check_source
    from holdfast.operations.store_check import StoreCheck, check_store
    from holdfast.operations.undelete import DeletedBackup, UndeleteResult, list_deleted, undelete
    from holdfast.operations.verify import VerifyResult
    from holdfast.pipeline import Pipeline
    from holdfast.plan import BackupPlan, RestorePlan
    from holdfast.plugins.registry import Registry
    from holdfast.policy import Policy
    from holdfast.record import Backup
    from holdfast.watching import metrics, report

    __version__: str

_HOMES = {
    "Backup": "record",
    "BackupFormat": "legacy.manager",
    "BackupManager": "legacy.manager",
    "BackupMetadata": "legacy.manager",
    "BackupPlan": "plan",
    "BackupResult": "legacy.manager",
    "BackupSet": "backup_set",
    "ConfigCheck": "jobs.calling",
    "ConfigProblem": "jobs.calling",
    "CopyResult": "operations.copy",
    "CopySet": "operations.copy",
    "CredentialsError": "errors",
    "DatabaseBackup": "legacy.manager",
    "DatabaseRun": "jobs.calling",
    "DeletedBackup": "operations.undelete",
    "DrillResult": "operations.drill",
    "Event": "api",
    "FailedBackup": "backup_set",
    "FailedCopy": "operations.copy",
    "FailedJob": "jobs.calling",
    "HoldfastError": "errors",
    "IntegrityError": "errors",
    "JobSetting": "jobs.calling",
    "JobsResult": "jobs.calling",
    "LockedError": "errors",
    "NotFoundError": "errors",
    "OverdueError": "errors",
    "PartialError": "errors",
    "Pipeline": "pipeline",
    "PlannedRun": "jobs.calling",
    "PluginError": "errors",
    "Policy": "policy",
    "PruneResult": "operations.prune",
    "Registry": "plugins.registry",
    "RenameResult": "operations.rename",
    "RestorePlan": "plan",
    "RestoreResult": "operations.restore",
    "SourceCheck": "operations.source_check",
    "SkippedJob": "jobs.calling",
    "StepRun": "jobs.calling",
    "StoreCheck": "operations.store_check",
    "UndeleteResult": "operations.undelete",
    "UnreachableError": "errors",
    "UnsafeError": "errors",
    "UsageError": "errors",
    "VerifyResult": "operations.verify",
    "backup": "functions",
    "backup_all": "functions",
    "backup_database": "legacy.manager",
    "check_source": "operations.source_check",
    "check_config": "jobs.calling",
    "check_store": "operations.store_check",
    "copy": "functions",
    "delete": "housekeeping",
    "drill": "functions",
    "list_backups": "functions",
    "list_databases": "functions",
    "list_deleted": "operations.undelete",
    "metrics": "watching",
    "pin": "housekeeping",
    "prune": "housekeeping",
    "rename": "housekeeping",
    "report": "watching",
    "restore": "functions",
    "run_jobs": "jobs.calling",
    "show_config": "jobs.calling",
    "tag": "housekeeping",
    "undelete": "operations.undelete",
    "verify": "functions",
}

__all__ = [
    "Backup",
    "BackupFormat",
    "BackupManager",
    "BackupMetadata",
    "BackupPlan",
    "BackupResult",
    "BackupSet",
    "ConfigCheck",
    "ConfigProblem",
    "CopyResult",
    "CopySet",
    "CredentialsError",
    "DatabaseBackup",
    "DatabaseRun",
    "DeletedBackup",
    "DrillResult",
    "Event",
    "FailedBackup",
    "FailedCopy",
    "FailedJob",
    "HoldfastError",
    "IntegrityError",
    "JobSetting",
    "JobsResult",
    "LockedError",
    "NotFoundError",
    "OverdueError",
    "PartialError",
    "Pipeline",
    "PlannedRun",
    "PluginError",
    "Policy",
    "PruneResult",
    "Registry",
    "RenameResult",
    "RestorePlan",
    "RestoreResult",
    "SkippedJob",
    "SourceCheck",
    "StepRun",
    "StoreCheck",
    "UndeleteResult",
    "UnreachableError",
    "UnsafeError",
    "UsageError",
    "VerifyResult",
    "__version__",
    "backup",
    "backup_all",
    "backup_database",
    "check_config",
    "check_source",
    "check_store",
    "copy",
    "delete",
    "drill",
    "list_backups",
    "list_databases",
    "list_deleted",
    "metrics",
    "pin",
    "prune",
    "rename",
    "report",
    "restore",
    "run_jobs",
    "show_config",
    "tag",
    "undelete",
    "verify",
]

# Hidden from type checkers, which would otherwise believe in every name, also a misspelt one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            from importlib.metadata import version

            value = version("holdfast")
        elif name in _HOMES:
            value = getattr(import_module(f"holdfast.{_HOMES[name]}"), name)
        else:
            raise AttributeError(f"module 'holdfast' has no attribute '{name}'")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
