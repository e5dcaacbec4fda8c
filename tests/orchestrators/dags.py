"""The DAGs of `airflow_operators.py`, as Airflow reads them."""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from holdfast_airflow import (
    BackupOperator,
    CopyOperator,
    DrillOperator,
    PlanRestoreOperator,
    PruneOperator,
    RestoreOperator,
    VerifyOperator,
    restore_with_approval,
)

ROOT = os.environ["HOLDFAST_TEST_ROOT"]
STORE = f"{ROOT}/store"
RETRIED: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=1)}


class InterruptedBackup(BackupOperator):
    """A backup whose worker is lost at the worst moment: it is made, and Airflow does not know."""

    def execute(self, context: Any) -> dict[str, Any]:
        result = super().execute(context)
        if context["ti"].try_number < 3:
            raise AirflowException("the worker is lost")
        return result


with DAG("nightly", schedule=None):
    made = BackupOperator(task_id="backup", conn_id="app", store=STORE, options={"tags": ["nightly"]})
    checked = VerifyOperator(task_id="verify", backup=made.output, read_data=True)
    proven = DrillOperator(task_id="drill", backup=made.output)
    copied = CopyOperator(task_id="copy", backup=made.output, to=f"{ROOT}/copies")
    pruned = PruneOperator(task_id="prune", store=STORE, rules={"keep_daily": 7})
    checked >> proven >> copied >> pruned

with DAG("interrupted", schedule=None):
    InterruptedBackup(task_id="backup", conn_id="app", store=f"{ROOT}/interrupted", **RETRIED)

with DAG("several", schedule=None):
    BackupOperator.partial(task_id="backup", store=f"{ROOT}/several").expand(conn_id=["app", "other"])

with DAG("failing", schedule=None):
    BackupOperator(task_id="unreachable", conn_id="nowhere", store=STORE, **RETRIED)  # 15
    BackupOperator(task_id="refused", conn_id="wrong_password", store=STORE, **RETRIED)  # 12
    BackupOperator(task_id="absent", source="nothing:///app.db", store=STORE, **RETRIED)  # 14
    VerifyOperator(task_id="missing", backup="app/20200101T000000Z-aaaaaa", store=STORE, **RETRIED)  # 10
    BackupOperator(task_id="secret", source="{{ params.url }}", params={"url": "postgresql://u:hunter2@h/d"}, **RETRIED)

with DAG("server", schedule=None):
    of_server = BackupOperator(task_id="backup", conn_id="shop", store=STORE)
    DrillOperator(task_id="drill", backup=of_server.output, conn_id="shop")

with DAG("slow", schedule=None):
    slow: dict[str, Any] = {"conn_id": "large", "options": {"codec": "zstd:22", "jobs": 1}}
    BackupOperator(task_id="killed", store=f"{ROOT}/killed", **slow, **RETRIED)
    BackupOperator(task_id="timed_out", store=f"{ROOT}/timed_out", execution_timeout=timedelta(seconds=4), **slow)

for number in range(3):
    with DAG(f"restore_{number}", schedule=None):
        restore_with_approval(
            "back", backup="app/latest", store=STORE, conn_id=f"target_{number}", options={"replace": True}
        )

with DAG("restore_alone", schedule=None):
    planned = PlanRestoreOperator(task_id="plan", backup="app/latest", store=STORE, target=f"sqlite:///{ROOT}/alone.db")
    RestoreOperator(task_id="unapproved", backup=planned.output, conn_id="target_0", approval="{{ none }}")
    planned >> RestoreOperator(task_id="new", backup="app/latest", store=STORE, target=f"sqlite:///{ROOT}/alone.db")
    RestoreOperator(task_id="full", backup=planned.output, conn_id="target_0", **RETRIED)  # 16
