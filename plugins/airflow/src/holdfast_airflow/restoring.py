"""A restore that a person approves: planned, shown, and carried out only if it would still do what was shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param, TaskGroup
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from holdfast import RestorePlan, tasks
from holdfast_airflow.operators import Backup, HoldfastOperator, check_either, check_options


class _RestoresOperator(HoldfastOperator):
    """What a restore is: of which backup, into the database of which connection, and how."""

    template_fields: Sequence[str] = ("backup", "conn_id", "target", "database", "store", "store_options", "options")
    _urls = ("target",)

    def __init__(
        self,
        *,
        backup: Backup,
        conn_id: str | None = None,
        target: str | None = None,
        database: str | None = None,
        store: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.backup = backup
        self.conn_id = conn_id
        self.target = target
        self.database = database
        self.store = store
        self.store_options = store_options
        self.options = options
        check_either(conn_id=conn_id, target=target)
        check_options(options, RestorePlan, "backup", "target", "store", "store_options")
        self._refuse_secrets()

    @property
    def _arguments(self) -> dict[str, Any]:
        return {
            "target": self._url(self.conn_id, self.target, self.database),
            "store": self.store,
            "store_options": self.store_options,
            **dict(self.options or {}),
        }


class PlanRestoreOperator(_RestoresOperator):
    """Look what a restore would do, and touch nothing; what it would refuse fails the task.

    `options` are fields of `holdfast.RestorePlan`, such as `{"replace": True}`. The result has the `changes`, and the
    `digest` of what would be done.
    """

    def work(self) -> dict[str, Any]:
        """Plan it."""
        plan = tasks.plan_restore_task(self.backup, **self._arguments)
        self.log.info("the restore of %s/%s into %s would do:", plan["name"], plan["id"], plan["target"])
        for change in plan["changes"]:
            self.log.info("%s", change)
        return plan


class ApproveRestoreOperator(ApprovalOperator):
    """Show a person what a restore would do, and wait until it is approved or rejected.

    `plan` is the output of a `PlanRestoreOperator`. Once rejected, what comes after is skipped. The result is for the
    `RestoreOperator`: the digest of what was shown, who approved it, and when.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, **arguments: Any) -> None:
        arguments.setdefault("subject", "Restore a backup?")
        super().__init__(**arguments)
        self.plan = plan

    def execute(self, context: Context) -> Any:
        """Ask."""
        self._describe()
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any] | None:
        """Take the answer; it counts for what was shown, and for nothing that was planned since."""
        self._describe()
        answer = super().execute_complete(context, event)
        if answer["chosen_options"] != [self.APPROVE]:
            return None
        digest = answer["params_input"].get("digest")
        if digest != self.plan["digest"]:
            raise AirflowFailException(
                "the approval is not of what is planned now" if digest else "the approval names no digest"
            )
        user = answer["responded_by_user"] or {}
        return {
            "digest": digest,
            "approved_by": user["name"] if isinstance(user, Mapping) else getattr(user, "name", ""),
            "approved_at": answer["responded_at"].isoformat(),
        }

    def _describe(self) -> None:
        plan = self.plan
        if not isinstance(plan, Mapping) or "digest" not in plan:
            raise AirflowFailException("there is no plan to approve: expected the output of a PlanRestoreOperator")
        self.subject = f"Restore {plan['name']}/{plan['id']} into {plan['target']}?"
        self.body = _body(plan)
        seen = Param(plan["digest"], type="string", const=plan["digest"], description="What is approved; leave it.")
        self.params = ParamsDict({"digest": seen})


class RestoreOperator(_RestoresOperator):
    """Restore a backup into the database of a connection, or at a URL without secrets.

    With `approval`, the output of an `ApproveRestoreOperator`, it does what was approved or nothing: if backup, target
    or options are others by now, or a table has other rows, it fails. Without, it is done at once; a target that holds
    data is refused unless `options` has `{"replace": True}`.
    """

    template_fields: Sequence[str] = (*_RestoresOperator.template_fields, "approval")

    def __init__(self, *, approval: Any = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.approval = approval
        self.needs_approval = approval is not None

    def work(self) -> dict[str, Any]:
        """Restore it."""
        digest = None
        if self.needs_approval:
            digest = self.approval.get("digest") if isinstance(self.approval, Mapping) else None
            if not isinstance(digest, str):
                raise AirflowFailException("the restore has not been approved")
            self.log.info("approved by %s at %s", self.approval.get("approved_by"), self.approval.get("approved_at"))
        return tasks.restore_task(self.backup, **self._arguments, digest=digest)


def restore_with_approval(
    group_id: str,
    *,
    backup: Backup,
    conn_id: str | None = None,
    target: str | None = None,
    database: str | None = None,
    store: str | None = None,
    store_options: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **asking: Any,
) -> TaskGroup:
    """Plan a restore, let a person approve it, and carry it out: the tasks `plan`, `approve` and `restore` of a group.

    Further arguments are those of the approval: `assigned_users`, `notifiers`, `response_timeout`.

    Example::

        with DAG("restore_shop", schedule=None):
            restore_with_approval("restore", backup="shop/latest", conn_id="shop", options={"replace": True})
    """
    with TaskGroup(group_id) as group:
        what: dict[str, Any] = {
            "conn_id": conn_id,
            "target": target,
            "database": database,
            "store": store,
            "store_options": store_options,
            "options": options,
        }
        plan = PlanRestoreOperator(task_id="plan", backup=backup, **what)
        approve = ApproveRestoreOperator(task_id="approve", plan=plan.output, **asking)
        RestoreOperator(task_id="restore", backup=plan.output, approval=approve.output, **what)
    return group


def _body(plan: Mapping[str, Any]) -> str:
    """What would be done, as Markdown; names of tables are what somebody chose, and stand in a block of code."""
    changes = [*plan.get("changes", ())]
    more = plan.get("changes_count", 0) - len(changes)
    first = (
        "The backup takes the place of the whole database."
        if plan.get("whole")
        else "What is not named here stays."
        if changes
        else "The target holds nothing."
    )
    lines = [*changes, *([f"and {more} more, which the log of the plan lists"] if more > 0 else [])]
    code = "\n".join(f"    {line}" for line in lines)  # no fence that a name could close
    return f"{first}\n\n{code}\n" if lines else first
