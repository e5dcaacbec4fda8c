"""What the loaders of one restore share: the target, the sessions and programs in it, the warnings."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg

from holdfast.api import Failure, HoldfastError, IntegrityError, PluginError, RestoreRequest, UnreachableError
from holdfast_postgres.client.client_process import ClientProcesses
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.client.stalls import Stalls
from holdfast_postgres.errors import (
    RESTORE_DENIED,
    content_error,
    restore_error,
    server_error,
    some_names,
    translate_errors,
)
from holdfast_postgres.hints import Hints
from holdfast_postgres.location import Location
from holdfast_postgres.money import writes_alike
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.pooler import is_pooled
from holdfast_postgres.restore.failed_statement import BROKEN_BY_ROWS, EXTENSION, FailedStatement
from holdfast_postgres.restore.unfound_names import Computed, NotThere, Unfound, read_unfound
from holdfast_postgres.session import Server, connect
from holdfast_postgres.silence import Peer
from holdfast_postgres.target import RestoreTarget
from holdfast_postgres.target.checks import Adjustments, continues
from holdfast_postgres.watched import Connections, WatchedConnection

# The phases of a restore, in their order; rows of data alone take one more for each level of foreign keys.
GLOBALS, PRE_DATA, ROWS, LATER_ROWS, SEQUENCES, POST_DATA = range(6)
_CONNECTION_CHECKS_SINCE = 14
# Settings without which rows would be refused or changed; the others only make a restore faster, or pg_restore makes
# them itself.
_NEEDED = (
    "default_transaction_read_only",
    "array_nulls",
    "transform_null_equals",
    "session_replication_role",
    "lc_monetary",
)


_SETTINGS = {
    "synchronous_commit": "off",
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    # Left by pg_dump as role or database have them: a NULL in an array would become a text.
    "array_nulls": "on",
    "transform_null_equals": "off",
}


class RowsRefusedError(HoldfastError):
    """A constraint refused rows, perhaps since those of another table were not there yet."""


class RestoreRun:
    """One restore into one target; its methods may be called by any thread."""

    def __init__(
        self,
        request: RestoreRequest,
        hints: Hints,
        target: RestoreTarget,
        programs: Programs,
        server: Server,
        adjustments: Adjustments,
        stack: ExitStack,
    ) -> None:
        self.request = request
        self.options: PostgresOptions = request.options
        self.hints = hints
        self.target = target
        self.programs = programs
        self.server = server
        self.adjustments = adjustments
        self._stack = stack
        self._lock = threading.RLock()
        self._prepared = False
        self._processes: ClientProcesses | None = None
        self._connections = Connections()
        self._warnings: list[str] = []
        self._failures: list[Failure] = []
        self.client_location = target.into  #: With the settings of client programs, once `prepare` has been called.
        #: Whether something was found only by a search_path.
        self.needs_path = False

    @property
    def continues(self) -> bool:
        """Whether what the server refuses is listed, and all else restored."""
        return continues(self.request)

    @property
    def failures(self) -> Sequence[Failure]:
        """What was not restored, or not as it was."""
        with self._lock:
            return list(self._failures)

    def tries_again(self, refusal: FailedStatement) -> bool:
        """Whether a second attempt may succeed, or is needed to know what a refusal means."""
        if refusal.ends:
            return False
        if refusal.state in BROKEN_BY_ROWS and (self.continues or refusal.table):
            return True  # perhaps since rows belong into another partition here
        return refusal.is_undefined or refusal.follows or not refusal.state or bool(self.options.search_path)

    def keeps(self, refusal: FailedStatement) -> bool:
        """Whether a refusal is looked at once all else has been tried, since it may not end the restore."""
        return self.tries_again(refusal) or (not refusal.ends and (self.continues or self.request.drill))

    def found_by_path(self, labels: Sequence[str]) -> None:
        """Say what was made only once it had a search_path."""
        if labels:
            self.needs_path = True
            names = some_names(labels)
            self.warn([f"restored with a search_path, since names in it have no schema: {names}"])

    def fail(self, failure: Failure, action: str, *, before: Failure | None = None) -> None:
        """List what was refused where the restore goes on, and in a drill what tells of damage; all else is raised.

        `before` is what was refused of it under another search_path.
        """
        refusal = FailedStatement(about=f"{failure.kind} {failure.name}", text=failure.message, state=failure.code)
        error = restore_error(str(refusal), action, state=failure.code)
        if unfound := self._unfound(failure, before):
            error = HoldfastError(f"{error.message}; {unfound.said}", hint=unfound.hint)
            if self.request.drill:  # it says nothing about the backup
                raise error
        elif failure.kind != EXTENSION:  # for which the server runs a script of its own: no fault of the backup
            error = self.judge(error, failure.code)
        if refusal.ends or not (self.continues or (self.request.drill and isinstance(error, IntegrityError))):
            if refusal.is_undefined and error.hint is None:
                error.hint = _hint_of_name(refusal.text, selected=self.hints.selected or self.request.selective)
            raise error
        with self._lock:
            if failure not in self._failures:
                self._failures.append(failure)

    def _unfound(self, failure: Failure, before: Failure | None) -> "Unfound | Computed | NotThere | None":
        """Where it is for a name that says nothing about the backup."""
        selected = self.hints.selected or self.request.selective
        guessed, major = self.needs_path and not self.options.search_path, self.server.major
        return read_unfound(self.connected, failure, before, major=major, selected=selected, guessed=guessed)

    @property
    def disables_triggers(self) -> bool:
        """Rows alone come into tables that have triggers and foreign keys, which only a superuser can disable."""
        return self.hints.data_only and self.server.superuser

    @property
    def follows_foreign_keys(self) -> bool:
        """Without that, no table may be loaded before those that it refers to."""
        return self.hints.data_only and not self.server.superuser and self.target.exists

    @property
    def warnings(self) -> Sequence[str]:
        """What was restored otherwise than it was dumped."""
        with self._lock:
            return [*self.target.warnings, *self._warnings]

    def warn(self, warnings: Iterable[str]) -> None:
        """Add warnings, each once: every session of a client program may say the same."""
        with self._lock:
            self._warnings += [text for text in dict.fromkeys(warnings) if text not in self._warnings]

    def prepare(self) -> None:
        """Prepare the target, once; later calls return when that is done."""
        with self._lock:
            if self._prepared:
                return
            self._prepared = True
            with self.target.prepared() as connection:
                self.client_location, peer = self._client_location(connection)
            self._processes = self._stack.enter_context(
                ClientProcesses(self.client_location, self.request.scratch, peer=peer, stalls=Stalls(self.connected))
            )

    def _client_location(self, connection: WatchedConnection) -> tuple[Location, Peer | None]:
        """The target for client programs, with the settings of their sessions, and the address that it has.

        A pooler refuses a start-up packet that has some: there the sessions must have them already.
        """
        location, settings = self.target.into, self._settings()
        with translate_errors(f"cannot read {location.label}"):
            peer = connection.peer
            if not is_pooled(connection):
                return location.with_options(settings), peer
            unlike = [name for name in _NEEDED if name in settings and not _has(connection, name, settings[name])]
        if unlike:
            raise UnreachableError(
                f"{location.label} is reached through a pooler, where the sessions of client programs cannot be given "
                f"{', '.join(f'{name} = {settings[name]}' for name in unlike)}, as this restore needs it",
                hint="restore by the address of the server itself",
            )
        if self.options.maintenance_work_mem:
            self._warnings.append("maintenance_work_mem has no effect on indexes that are built through a pooler")
        return location, peer

    @property
    def unchecked_location(self) -> Location | None:
        """The target for client programs whose sessions fire no triggers, those of foreign keys included.

        None where a pooler is between, which would refuse that setting.
        """
        location = self.target.into
        with self.connected() as connection, translate_errors(f"cannot read {location.label}"):
            if is_pooled(connection):
                return None
        return location.with_options({**self._settings(), "session_replication_role": "replica"})

    def _settings(self) -> dict[str, str]:
        settings = dict(_SETTINGS)
        if self.options.maintenance_work_mem:
            settings["maintenance_work_mem"] = self.options.maintenance_work_mem
        if self.hints.money:
            settings["lc_monetary"] = self.hints.money
        if self.disables_triggers:
            # --disable-triggers would enable those, too, that somebody has disabled.
            settings["session_replication_role"] = "replica"
        if self.server.major >= _CONNECTION_CHECKS_SINCE:
            settings["client_connection_check_interval"] = "2s"
        return settings

    def judge(self, error: HoldfastError, state: str) -> HoldfastError:
        """What a refusal of the server means: in a drill that the backup is damaged, if it is for what is in it."""
        if not self.request.drill:
            return error
        return content_error(error, state, same_major=self.server.major == self.hints.major)

    @contextmanager
    def translated(self, action: str) -> Iterator[None]:
        """Raise psycopg's errors of the block as what they mean for this restore."""
        try:
            yield
        except psycopg.Error as error:
            raise self.judge(server_error(error, action, denied=RESTORE_DENIED), error.sqlstate or "") from error

    @property
    def processes(self) -> ClientProcesses:
        """The client programs of the restore, once `prepare` has been called."""
        if self._processes is None:
            raise PluginError("the restore has not been prepared")
        return self._processes

    @contextmanager
    def connected(self, location: Location | None = None) -> Iterator[WatchedConnection]:
        """A connection to the target that `abort` can cut while this thread waits for the server."""
        with self._connections.holding(connect(location or self.target.into)) as connection:
            yield connection

    def abort(self) -> None:
        """End what other threads do: the sockets of their connections are shut, their programs killed."""
        self._connections.cut()
        self.target.connections.cut()
        if self._processes is not None:
            self._processes.close()


def _hint_of_name(text: str, *, selected: bool) -> str:
    """What to do about a name that was not found: only one without its schema is looked for in a path."""
    if selected and "." in text.partition("(")[0]:
        return "the body of a routine may name it, of which the server keeps no dependency: select it too"
    return "use -o search_path=SCHEMA,… if a function of the backup names it without its schema"


def keeper(
    run: RestoreRun, kept: list[FailedStatement], *, in_order: bool = False
) -> Callable[[FailedStatement], bool]:
    """What takes the statements that `run` keeps, for a classifier; `in_order` says that each may need those before."""

    def take(failed: FailedStatement) -> bool:
        if in_order and kept:
            failed = replace(failed, follows=True)
        keeps = run.keeps(failed)
        if keeps:
            kept.append(failed)
        return keeps

    return take


def _has(connection: WatchedConnection, name: str, value: str) -> bool:
    """Whether a setting of a session is this already, or does the same."""
    if name == "lc_monetary":
        return writes_alike(connection, value)
    return connection.execute("SELECT pg_catalog.current_setting(%s)", (name,)).fetchone() == (value,)


def ender(run: RestoreRun) -> Callable[[FailedStatement], bool]:
    """What tells whether a late step that was refused is no warning: its session is gone, and all that follows in it.

    A drill would take what is missing then for damage, for want of space or time as well.
    """
    return lambda refusal: refusal.loses_session or (run.request.drill and refusal.ends)
