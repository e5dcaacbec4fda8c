"""What a DAG does with backups: each operator calls a function of `holdfast.tasks` in the process of its task.

A failure that may pass by itself, a lock or a server that does not answer, is tried again as often as the task says;
every other one fails at once. What Airflow keeps of a task, rendered templates, XCom and logs, has no secrets: those
are in connections, and only the process of the task sees them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseHook, BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.log import mask_secret

from holdfast import BackupPlan, Policy, tasks
from holdfast.api import DatabaseURL, redact
from holdfast.errors import HoldfastError, UsageError
from holdfast_airflow.connections import database_url, secret_forms
from holdfast_airflow.failures import may_pass, message
from holdfast_airflow.occurrence import OCCURRENCE, occurrence
from holdfast_airflow.results import small

Backup = str | Mapping[str, Any]
"""A backup: a reference such as `app/latest`, or the output of the task that made it."""


class HoldfastOperator(BaseOperator):
    """What all have in common: how they fail, how they end, and what they return."""

    ui_color = "#d7e8d4"
    _urls: ClassVar[tuple[str, ...]] = ()  # fields with the URL of a database, in which no secret may stand
    _busy = False

    def work(self) -> dict[str, Any]:
        """Do it, and return plain data."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 (part of Airflow's interface)
        """Do it; what Airflow is told of a failure decides whether it is tried again."""
        self._busy = True
        try:
            result = self.work()
        except HoldfastError as error:
            # Not "from error": drivers may quote what they were given, and Airflow logs the whole chain.
            raise (AirflowException if may_pass(error) else AirflowFailException)(message(error)) from None
        finally:
            self._busy = False
        for warning in result.get("warnings") or ():
            self.log.warning("%s", warning)
        return small(result)

    def on_kill(self) -> None:
        """End what is being done, which cleans up; Airflow calls this in its handler of SIGTERM and would go on."""
        if self._busy:
            raise KeyboardInterrupt

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the templates, and refuse a secret before Airflow keeps it."""
        super().render_template_fields(context, jinja_env)
        self._refuse_secrets()

    def _refuse_secrets(self) -> None:
        for name in self._urls:
            url = getattr(self, name)
            if isinstance(url, str) and "{{" not in url and "://" in url and _secrets(url):
                raise AirflowFailException(
                    f"{name} is {redact(url)}, with a secret that Airflow would keep; name a connection instead"
                )

    def _url(self, conn_id: str | None, url: str | None, database: str | None) -> str:
        """The URL of a database in full, of a connection or as it was given."""
        if not conn_id:
            return url or ""
        connection = BaseHook.get_connection(conn_id)
        for secret in secret_forms(connection.password):
            mask_secret(secret)
        return database_url(connection, database)


class BackupOperator(HoldfastOperator):
    """Back up the database of a connection, or at a URL without secrets; returns its record.

    A task that is tried again, and a run that is cleared, returns the backup that it has made before, by the name of
    its `run`. `options` are fields of `holdfast.BackupPlan`, such as `{"codec": "zstd:3", "tags": ["nightly"]}`.
    """

    template_fields: Sequence[str] = ("conn_id", "source", "database", "store", "store_options", "run", "options")
    _urls = ("source",)

    def __init__(
        self,
        *,
        conn_id: str | None = None,
        source: str | None = None,
        database: str | None = None,
        store: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        run: str | None = OCCURRENCE,
        options: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.conn_id = conn_id
        self.source = source
        self.database = database
        self.store = store
        self.store_options = store_options
        self.run = run
        self.options = options
        check_either(conn_id=conn_id, source=source)
        check_options(options, BackupPlan, "source", "store", "store_options", "run")
        self._refuse_secrets()

    def work(self) -> dict[str, Any]:
        """Make the backup."""
        url = self._url(self.conn_id, self.source, self.database)
        where: dict[str, Any] = {"store": self.store, "store_options": self.store_options}
        run = occurrence(self.run) if self.run else None
        record = tasks.backup_task(url, **where, run=run, **dict(self.options or {}))
        done = "was there already" if record["reused"] else "is made"
        self.log.info("backup %s/%s of %s %s", record["name"], record["id"], record["source_url"], done)
        return record


class _BackupsOperator(HoldfastOperator):
    """What is done with one backup of a store."""

    template_fields: Sequence[str] = ("backup", "store", "store_options")

    def __init__(
        self,
        *,
        backup: Backup,
        store: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        jobs: int | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.backup = backup
        self.store = store
        self.store_options = store_options
        self.jobs = jobs

    @property
    def _where(self) -> dict[str, Any]:
        return {"store": self.store, "store_options": self.store_options, "jobs": self.jobs}


class VerifyOperator(_BackupsOperator):
    """Verify a backup; damage fails the task at once. With `read_data` all of it is decoded as well."""

    def __init__(self, *, read_data: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.read_data = read_data

    def work(self) -> dict[str, Any]:
        """Verify it."""
        return tasks.verify_task(self.backup, **self._where, read_data=self.read_data)


class DrillOperator(_BackupsOperator):
    """Restore a backup into a scratch database and compare it; a difference fails the task at once.

    `conn_id` is a connection to a server for the scratch database, or `into` its URL without secrets; without either it
    is what the environment or the engine says. `options` are the engine's own.
    """

    template_fields: Sequence[str] = (*_BackupsOperator.template_fields, "conn_id", "into", "options")
    _urls = ("into",)

    def __init__(
        self,
        *,
        conn_id: str | None = None,
        into: str | None = None,
        options: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.conn_id = conn_id
        self.into = into
        self.options = options
        if conn_id and into:
            raise UsageError("conn_id and into are both given, expected one of them")
        self._refuse_secrets()

    def work(self) -> dict[str, Any]:
        """Drill it."""
        into = self._url(self.conn_id, self.into, None) or None
        return tasks.drill_task(self.backup, **self._where, into=into, options=self.options)


class CopyOperator(_BackupsOperator):
    """Copy a backup into the store `to`; returns the copy, which can be drilled there."""

    template_fields: Sequence[str] = (*_BackupsOperator.template_fields, "to", "to_options")

    def __init__(self, *, to: str, to_options: Mapping[str, Any] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.to = to
        self.to_options = to_options

    def work(self) -> dict[str, Any]:
        """Copy it."""
        return tasks.copy_task(self.backup, **self._where, to=self.to, to_options=self.to_options)


class PruneOperator(HoldfastOperator):
    """Prune a store by `rules`, which are fields of `holdfast.Policy`; `names` are the sources, all if none is given.

    With `preview` nothing is deleted: the result is what would be.
    """

    template_fields: Sequence[str] = ("store", "store_options", "names", "rules")

    def __init__(
        self,
        *,
        rules: Mapping[str, Any],
        store: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        names: Sequence[str] = (),
        preview: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.store = store
        self.store_options = store_options
        self.names = names
        self.rules = rules
        self.preview = preview
        if isinstance(rules, Mapping):
            Policy(**{key: value for key, value in rules.items() if "{{" not in str(value)})

    def work(self) -> dict[str, Any]:
        """Prune it."""
        where: dict[str, Any] = {"store": self.store, "store_options": self.store_options}
        return tasks.prune_task(**where, names=tuple(self.names), dry_run=self.preview, **dict(self.rules))


def check_either(**given: str | None) -> None:
    """Refuse arguments of which not exactly one is given."""
    if len([value for value in given.values() if value]) != 1:
        raise UsageError(f"expected one of {' and '.join(given)}")


def check_options(options: Mapping[str, Any] | None, plan: type, *own: str) -> None:
    """Refuse options that a plan does not have, as a DAG is read; `own` are arguments of the operator."""
    known = [name for name in plan.__struct_fields__ if name not in own]  # type: ignore[attr-defined]
    for name in options if isinstance(options, Mapping) else ():
        if name not in known:
            raise UsageError(f"there is no option '{name}' (there are: {', '.join(known)})")


def _secrets(url: str) -> Sequence[str]:
    try:
        return DatabaseURL.parse(url).secrets
    except UsageError:
        return ()  # the task says what is wrong with it
