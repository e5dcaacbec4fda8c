"""What a dump does not hold, or holds in a way that its owner should know of."""

from collections.abc import Iterator

from holdfast.api import quote_name
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.dump.extensions import unmarked_rows
from holdfast_postgres.dump.omissions import omissions
from holdfast_postgres.dump.requirements import foreign_column_options
from holdfast_postgres.errors import some_names, translate_errors
from holdfast_postgres.leniency import leniency_warnings
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.snapshot import Snapshot
from holdfast_postgres.unfinished import read_remnant

# PostgreSQL 14 and later.
_HALF_DETACHED = """
SELECT i.inhrelid::int8 FROM pg_catalog.pg_inherits i WHERE pg_catalog.to_jsonb(i) ->> 'inhdetachpending' = 'true'
"""


def dump_warnings(
    snapshot: Snapshot, options: PostgresOptions, programs: Programs, *, passwords: bool
) -> Iterator[str]:
    """The warnings that are known before anything is read; `passwords` tells whether roles are taken with theirs."""
    if snapshot.scope:
        yield from snapshot.scope.warnings(archive=options.pg_format != "plain")
    yield from leniency_warnings(snapshot.lenient)
    yield from _unfinished(snapshot)
    yield from _missing_rows(snapshot)
    yield from _half_detached(snapshot)
    if not options.schema_only:
        with translate_errors(f"cannot read {snapshot.location.label}"):
            tables = unmarked_rows(snapshot.connection, snapshot.scope)
        if tables:
            yield f"rows that extensions do not let pg_dump take are not in the backup: those of {some_names(tables)}"
    if not options.data_only:
        with translate_errors(f"cannot read {snapshot.location.label}"):
            yield from omissions(snapshot)
    server = snapshot.server
    if programs.major > server.major:
        with translate_errors(f"cannot read {snapshot.location.label}"):
            column_options = foreign_column_options(snapshot.connection)
        if column_options:
            yield (
                f"pg_dump {programs.version} may write column options of PostgreSQL {server.version} that other "
                f"servers refuse ({some_names(column_options)}): install postgresql-client-{server.major}"
            )
    if passwords:
        yield "the backup holds roles with their password hashes: keep it secret"
    elif options.globals is True:
        yield f"not in the backup, since role {quote_name(server.role)} may not read pg_authid: the passwords of roles"


def _unfinished(snapshot: Snapshot) -> Iterator[str]:
    """That the source is half of something else: its backup is complete, and yet not what somebody takes it for."""
    with translate_errors(f"cannot read {snapshot.location.label}"):
        remnant = read_remnant(snapshot.connection, snapshot.server.database)
    if remnant:
        where = f"database {quote_name(snapshot.server.database)}"
        yield f"a restore into {where} has not ended, {remnant.which}: the backup has what is there now"


def _half_detached(snapshot: Snapshot) -> Iterator[str]:
    """Partitions that readers of the table no longer see, and that pg_dump attaches again."""
    with translate_errors(f"cannot read {snapshot.location.label}"):
        pending = {oid for (oid,) in snapshot.connection.execute(_HALF_DETACHED)}
    names = [f"{relation.schema}.{relation.name}" for relation in snapshot.relations
             if relation.oid in pending and snapshot.takes(relation)]  # fmt: skip
    if names:
        yield (
            "a restore attaches partitions again whose DETACH PARTITION CONCURRENTLY was interrupted: "
            f"{some_names(names)}; finish it with FINALIZE, and back up again"
        )


def _missing_rows(snapshot: Snapshot) -> Iterator[str]:
    unlogged = [table.label for table in snapshot.tables if table.persistence == "u"]
    if snapshot.server.standby and unlogged:
        yield (
            f"the rows of {len(unlogged)} unlogged tables are not in the backup, since a standby does not have them: "
            f"{some_names(unlogged)}"
        )
    foreign = [
        f"{relation.schema}.{relation.name}"
        for relation in snapshot.relations
        if relation.kind == "f" and snapshot.takes(relation)
    ]
    if foreign:
        yield (
            f"the rows of {len(foreign)} foreign tables are on other servers and not in the backup: "
            f"{some_names(foreign)}"
        )
