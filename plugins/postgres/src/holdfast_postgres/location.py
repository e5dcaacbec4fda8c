"""From a URL to libpq's parameters: for psycopg as they are, for child processes without secrets in argv.

Manual: "Connection Strings" and "Parameter Key Words" in the chapter on libpq.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Self
from urllib.parse import quote

from psycopg import pq
from psycopg.conninfo import make_conninfo

from holdfast.api import DatabaseURL, UsageError, quote_name

# A peer that is gone is noticed after a minute instead of libpq's two hours.
_KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
_EXAMPLE = "postgresql://user@host:5432/database, or postgresql:///database?host=/var/run/postgresql"


@dataclass(frozen=True, kw_only=True)
class Location:
    """One database on one server: libpq's parameters, and as `label` its URL without secrets, for messages."""

    parameters: Mapping[str, str] = field(repr=False)
    label: str

    @classmethod
    def parse(cls, url: str, *, connect_timeout: int, database: bool = True) -> Self:
        """Read a URL; one that names no database is a `UsageError` unless `database` is False."""
        parsed = DatabaseURL.parse(url)
        parameters = _parameters(parsed)
        if database and not parameters.get("dbname") and "service" not in parameters:
            raise UsageError(
                f"the URL {parsed.redacted()} names no database",
                hint=f"write {_EXAMPLE}; or use --all-databases to back up every database of a server",
            )
        defaults = {**_KEEPALIVE, "connect_timeout": str(connect_timeout)}
        return cls(parameters={**defaults, **parameters}, label=parsed.redacted())

    @property
    def database(self) -> str:
        """The name of the database, empty where a service file names it."""
        return self.parameters.get("dbname", "")

    def at(self, database: str) -> Self:
        """Another database of the same server."""
        return replace(self, parameters={**self.parameters, "dbname": database})

    def pinned(self, *, host: str, hostaddr: str, port: int) -> Self:
        """The one server of several that answered: a snapshot is known nowhere else."""
        parameters = {**self.parameters, "host": host, "port": str(port)}
        for several in ("hostaddr", "target_session_attrs", "load_balance_hosts"):
            parameters.pop(several, None)
        if hostaddr and not host.startswith("/"):
            parameters["hostaddr"] = hostaddr
        return replace(self, parameters=parameters)

    def with_mark(self, mark: str) -> Self:
        """The same under an application_name that ends in `mark`, ASCII, within PostgreSQL's 63 bytes."""
        given = self.parameters.get("application_name", "") or os.environ.get("PGAPPNAME", "") or "holdfast"
        name = given.encode("ascii", "replace").decode()[:40] + mark
        return replace(self, parameters={**self.parameters, "application_name": name})

    def with_options(self, settings: Mapping[str, str]) -> Self:
        """The same with server settings for every session, after those that the user gave."""
        given = self.parameters.get("options", os.environ.get("PGOPTIONS", ""))
        ours = " ".join(f"-c {name}={_SPECIAL.sub(_ESCAPED, value)}" for name, value in settings.items())
        return replace(self, parameters={**self.parameters, "options": f"{given} {ours}".strip()})

    def connect_string(self, **changes: str) -> str:
        """Everything for libpq, secrets included: for psycopg, never for argv."""
        return make_conninfo("", **{**self.parameters, **changes})

    def argument(self, scratch: Path) -> str:
        """What a client program gets as its `--dbname`: everything but secrets.

        `sslpassword` has no environment variable: it goes into a service file of mode 0600.
        """
        hidden = ("password", "sslpassword", "options")  # settings of an application may be secrets too
        public = {key: value for key, value in self.parameters.items() if key not in hidden}
        if "sslpassword" in self.parameters:
            public["service"] = "holdfast"
            self._write_service(scratch)
        return make_conninfo("", **public)

    def environment(self, scratch: Path) -> dict[str, str]:
        """The environment of a client program, which holds the password and speaks English."""
        environment = {**os.environ, "LC_ALL": "C", "PGAPPNAME": "holdfast"}
        environment.pop("LANGUAGE", None)
        for name in ("PGHOSTADDR", "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS"):
            environment.pop(name, None)  # psycopg has taken them in already, and what it reached is pinned
        if "options" in self.parameters:
            environment["PGOPTIONS"] = self.parameters["options"]
        if "password" in self.parameters:
            environment["PGPASSWORD"] = self.parameters["password"]
        if "sslpassword" in self.parameters:
            environment["PGSERVICEFILE"] = str(scratch / _SERVICE_FILE)
        return environment

    def _write_service(self, scratch: Path) -> None:
        secret = self.parameters["sslpassword"]
        if "service" in self.parameters:
            raise UsageError(
                "the URL has both service= and sslpassword=, and sslpassword reaches client programs only by a service",
                hint="put sslpassword into the service file",
            )
        if "\n" in secret or secret != secret.strip():
            raise UsageError("sslpassword cannot begin or end with a space or hold a line break")
        path = scratch / _SERVICE_FILE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(f"[holdfast]\nsslpassword={secret}\n")

    def url(self, database: str) -> str:
        """The URL of another database of this server, secrets included."""
        known = {"host", "port", "user", "password", "dbname", *_KEEPALIVE}
        user = quote(self.parameters.get("user", ""), safe="")
        password = self.parameters.get("password")
        secret = "" if password is None else ":" + quote(password, safe="")
        at = f"{user}{secret}@" if user or secret else ""
        query = {key: value for key, value in self.parameters.items() if key not in known}
        query |= {key: self.parameters[key] for key in ("host", "port") if key in self.parameters}
        tail = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        return f"postgresql://{at}/{quote(database, safe='')}" + (f"?{tail}" if tail else "")


_SPECIAL, _ESCAPED = re.compile(r"[\\\s]"), r"\\\g<0>"  # of a word among start-up options
_SERVICE_FILE = "pg_service.conf"


def _parameters(parsed: DatabaseURL) -> dict[str, str]:
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
        if name in _OF_APPLICATIONS:
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
    return parameters


def _alias(key: str, value: str) -> tuple[str, str]:
    # libpq takes JDBC's ssl=true too, asyncpg has a mode there; SQLAlchemy's and psycopg2's `database` is common.
    if key == "ssl":
        return "sslmode", _SSL.get(value, value)
    if key == "sslmode":
        return key, "require" if value == "no-verify" else value  # of node-postgres: encrypted, and not verified
    return ("dbname", value) if key == "database" else (key, value)


_SSL = {"true": "require", "1": "require", "false": "disable", "0": "disable"}

# How an application keeps its connections and reads through them: nothing of it changes what is reached. Django,
# SQLAlchemy, Rails (Active Record), Prisma, pgx.
_OF_APPLICATIONS = frozenset(
    [
        "conn_max_age",
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


@lru_cache(maxsize=1)
def _keywords() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())
