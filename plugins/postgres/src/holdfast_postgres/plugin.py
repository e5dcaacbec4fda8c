"""What the plugin offers, as data, and where its parts are."""

from holdfast.api import Capability, Component, EngineHooks, Kind
from holdfast_postgres.options import PostgresOptions

plugin = EngineHooks(
    Component(
        kind=Kind.ENGINE,
        name="postgresql",
        aliases=("postgres",),
        summary="PostgreSQL 12 and newer, by pg_dump and parallel COPY in one snapshot",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.PARALLEL_DUMP,
                Capability.PARALLEL_RESTORE,
                Capability.SELECT,
                Capability.PROOF,
            }
        ),
        options=PostgresOptions,
    ),
    dump="holdfast_postgres.dump:open_dump",
    restore="holdfast_postgres.restore:open_restore",
    scratch="holdfast_postgres.scratch:open_scratch",
    databases="holdfast_postgres.scratch:list_databases",
)
