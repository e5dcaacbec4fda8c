"""Operators of Airflow for Holdfast: backup, verify, drill, copy, prune, and restore once a person has approved it.

They are imported on first use: what needs no Airflow can be imported without it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast_airflow.operators import (
        BackupOperator,
        CopyOperator,
        DrillOperator,
        HoldfastOperator,
        PruneOperator,
        VerifyOperator,
    )
    from holdfast_airflow.restoring import (
        ApproveRestoreOperator,
        PlanRestoreOperator,
        RestoreOperator,
        restore_with_approval,
    )

_HOMES = {
    "ApproveRestoreOperator": "restoring",
    "BackupOperator": "operators",
    "CopyOperator": "operators",
    "DrillOperator": "operators",
    "HoldfastOperator": "operators",
    "PlanRestoreOperator": "restoring",
    "PruneOperator": "operators",
    "RestoreOperator": "restoring",
    "VerifyOperator": "operators",
    "restore_with_approval": "restoring",
}

__all__ = [
    "ApproveRestoreOperator",
    "BackupOperator",
    "CopyOperator",
    "DrillOperator",
    "HoldfastOperator",
    "PlanRestoreOperator",
    "PruneOperator",
    "RestoreOperator",
    "VerifyOperator",
    "restore_with_approval",
]

# Hidden from type checkers, which would otherwise believe in every name, also a misspelt one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'holdfast_airflow' has no attribute '{name}'")
        value = getattr(import_module(f"holdfast_airflow.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
