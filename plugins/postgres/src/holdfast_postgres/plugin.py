"""What the plugin offers, as data, and where its parts are."""

from holdfast.api import Capability, Component, EngineHooks, Kind, ObjectKind
from holdfast_postgres.options import PostgresOptions

# Of the URL's query: they say how to connect and never who may, so that their values may be shown.
_HARMLESS = frozenset(
    [
        "application_name",
        "channel_binding",
        "client_encoding",
        "dbname",
        "fallback_application_name",
        "gssencmode",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "lock_timeout",
        "passfile",
        "require_auth",
        "service",
        "schema",
        "sslcert",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslcertmode",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "sslsni",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "target_session_attrs",
        "tcp_user_timeout",
    ]
)

# All of them but jobs of a scheduler, which is an extension here; `kinds` has what they are in an archive.
_KINDS = frozenset(ObjectKind) - {ObjectKind.EVENT}

plugin = EngineHooks(
    Component(
        kind=Kind.ENGINE,
        name="postgresql",
        # Of SQLAlchemy with its drivers, GeoDjango, dj-database-url, django-environ, Phoenix and PHP.
        aliases=(
            "postgres",
            "postgresql+psycopg",
            "postgresql+psycopg2",
            "postgresql+psycopg2cffi",
            "postgresql+psycopg_async",
            "postgresql+asyncpg",
            "postgresql+pg8000",
            "postgres+psycopg",
            "postgres+psycopg2",
            "postgres+asyncpg",
            "postgis",
            "pgsql",
            "psql",
            "timescale",
            "timescalegis",
            "timescaledb",
            "ecto",
        ),
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
        kinds=_KINDS,
        options=PostgresOptions,
        harmless_parameters=_HARMLESS,
    ),
    dump="holdfast_postgres.dump:open_dump",
    restore="holdfast_postgres.restore:open_restore",
    scratch="holdfast_postgres.scratch:open_scratch",
    check="holdfast_postgres.requirements:requirements",
    databases="holdfast_postgres.scratch:list_databases",
)
