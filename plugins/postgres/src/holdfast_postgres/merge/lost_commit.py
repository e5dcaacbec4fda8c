"""Whether the transaction of a merge was committed, where the answer to its COMMIT was lost."""

import secrets
import time
from dataclasses import dataclass, field

import psycopg

from holdfast.api import HoldfastError, UnreachableError, quote_name
from holdfast_postgres.location import Location
from holdfast_postgres.merge.plan import MergePlan
from holdfast_postgres.merge.relations import read_relations
from holdfast_postgres.session import connected, literal
from holdfast_postgres.watched import WatchedConnection

_END_WAIT = 5.0  # seconds


@dataclass(frozen=True, kw_only=True)
class MergeSession:
    """The session that runs a merge, told from others by its name."""

    name: str = field(default_factory=lambda: f"holdfast merge {secrets.token_hex(8)}")

    @property
    def statement(self) -> str:
        """What gives the session its name."""
        return f"SET application_name TO {literal(self.name)};\n"

    def has_committed(self, location: Location, plan: MergePlan, cause: HoldfastError) -> bool:
        """Whether what was planned is there, once the session has ended.

        That it cannot be found out is an error that begins with the cause.
        """
        try:
            with connected(location) as connection:
                self._end(connection)
                relations = read_relations(connection)
        except (psycopg.Error, HoldfastError) as error:
            text = " ".join(str(error).split())
            raise UnreachableError(
                f"{cause.message}; whether the selection is in database {quote_name(location.database)} cannot be "
                f"asked: {text}",
                hint="all of it is there, or nothing has changed: look for it once the server answers",
            ) from cause
        if plan.dropped:
            return {relation.oid for relation in relations}.isdisjoint(relation.oid for relation in plan.dropped)
        return bool(plan.added) and {relation.key for relation in relations}.issuperset(plan.added)

    def _end(self, connection: WatchedConnection) -> None:
        query = """
            SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
            WHERE application_name = %s AND pid <> pg_catalog.pg_backend_pid()
        """
        deadline = time.monotonic() + _END_WAIT
        while connection.execute(query, (self.name,)).fetchone() and time.monotonic() < deadline:
            time.sleep(0.05)
