"""The parameters of libpq in a URL, as drivers, frameworks and hosters write them.

Manual: "Connection Strings" and "Parameter Key Words" in the chapter on libpq.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from psycopg import pq

from holdfast.api import DatabaseURL, UsageError, quote_name

# What a libpq older than that refuses: the driver may have a newer one than the client programs.
_SINCE = {
    "require_auth": 16,
    "sslcertmode": 16,
    "gssdelegation": 16,
    "load_balance_hosts": 16,
    "sslnegotiation": 17,
    "min_protocol_version": 18,
    "max_protocol_version": 18,
    "servicefile": 18,
    "sslkeylogfile": 18,
    "scram_client_key": 18,
    "scram_server_key": 18,
    "oauth_issuer": 18,
    "oauth_client_id": 18,
    "oauth_client_secret": 18,
    "oauth_scope": 18,
}


def known_since(parameters: Mapping[str, str]) -> tuple[int, str]:
    """The major version of the first libpq that knows all of these, and the parameter that needs it."""
    return max(((_SINCE[name], name) for name in parameters if name in _SINCE), default=(0, ""))


def libpq_parameters(parsed: DatabaseURL) -> dict[str, str]:
    """What libpq gets of a URL; a parameter that nobody is known to have is a `UsageError`."""
    parameters: dict[str, str] = {}
    if any(name for name, _ in parsed.hosts):
        parameters["host"] = ",".join(name for name, _ in parsed.hosts)
    if any(port for _, port in parsed.hosts):
        parameters["port"] = ",".join("" if port is None else str(port) for _, port in parsed.hosts)
    if parsed.user:
        parameters["user"] = parsed.user
    if parsed.password:
        parameters["password"] = parsed.password
    if parsed.path.strip("/"):
        parameters["dbname"] = parsed.path.removeprefix("/")
    for key, value in parsed.query:
        name, text = _alias(key, value)
        if name.lower() in _OF_APPLICATIONS:
            continue
        if name == "schema":
            _check_schema(text, parsed)
            continue
        if name not in _keywords():
            raise UsageError(
                f"the URL {parsed.redacted()} has a parameter {quote_name(key)} that libpq does not know",
                hint="leave it out if it is for an application; percent-encode / ? # % @ : in a user name or password, "
                "for instance ? as %3F",
            )
        parameters[name] = text
    _check_text(parameters, parsed)
    _check_values(parameters, parsed)
    return parameters


def _alias(key: str, value: str) -> tuple[str, str]:
    # libpq takes JDBC's ssl=true too, asyncpg has a mode there; SQLAlchemy's and psycopg2's `database` is common.
    if key == "ssl":
        return "sslmode", _SSL.get(value, value)
    if key == "sslmode":
        return key, "require" if value == "no-verify" else value  # of node-postgres: encrypted, and not verified
    return _NAMES.get(key, key), value


# The last two are of JDBC.
_NAMES = {"database": "dbname", "currentSchema": "schema", "ApplicationName": "application_name"}
_SSL = {"true": "require", "1": "require", "false": "disable", "0": "disable"}

# How an application keeps its connections and reads through them: nothing of it changes what is reached. Django,
# SQLAlchemy, Rails (Active Record), Prisma, pgx, sqlx, Symfony (Doctrine), Ecto, node-postgres, JDBC.
_OF_APPLICATIONS = frozenset(
    [
        "conn_max_age",
        "autocommit",
        "conn_health_checks",
        "disable_server_side_cursors",
        "atomic_requests",
        "async_fallback",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "pool",
        "reaping_frequency",
        "checkout_timeout",
        "idle_timeout",
        "prepared_statements",
        "advisory_locks",
        "encoding",
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "pgbouncer",
        "pool_max_conns",
        "pool_min_conns",
        "pool_max_conn_lifetime",
        "pool_max_conn_idle_time",
        "pool_health_check_period",
        "default_query_exec_mode",
        "statement_cache_capacity",
        "description_cache_capacity",
        "statement-cache-capacity",
        "serverversion",
        "charset",
        "pool_size",
        "uselibpqcompat",
        "preparethreshold",
        "rewritebatchedinserts",
        "defaultrowfetchsize",
        "stringtype",
    ]
)


def _check_schema(schema: str, parsed: DatabaseURL) -> None:
    """Prisma's `schema`: a backup is of the whole database, which is what `public` mostly means."""
    if schema != "public":
        raise UsageError(
            f"the URL {parsed.redacted()} names the schema {quote_name(schema)}, but a URL means a whole database",
            hint=f"leave schema= out, and use --select {quote_name(schema)} for that schema alone",
        )


def _check_text(parameters: Mapping[str, str], parsed: DatabaseURL) -> None:
    for key, value in parameters.items():
        try:
            whole = "\0" not in value and value.encode()
        except UnicodeEncodeError:
            whole = False
        if whole is False:
            raise UsageError(f"{key} in the URL {parsed.redacted()} is not UTF-8 text without zero bytes")


# libpq itself refuses others only as it connects, in words that do not tell them from a server out of reach.
_VALUES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_NUMBERS = frozenset(
    ["connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"]
)
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*", re.ASCII)


def _check_values(parameters: Mapping[str, str], parsed: DatabaseURL) -> None:
    for key, value in parameters.items():
        known = _VALUES.get(key)
        if value and (value not in known if known else key in _NUMBERS and not _NUMBER.fullmatch(value)):
            raise UsageError(
                f"{key} in the URL {parsed.redacted()} is {quote_name(value)}",
                hint=f"it can be {', '.join(known)}" if known else "it is a whole number",
            )


@lru_cache(maxsize=1)
def _keywords() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())
