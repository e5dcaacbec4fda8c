"""From a URL to libpq's parameters: for psycopg as they are, for child processes without secrets in argv.

Manual: "Connection Strings" and "Parameter Key Words" in the chapter on libpq.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote

from psycopg.conninfo import make_conninfo

from holdfast.api import DatabaseURL, UsageError
from holdfast_postgres.silence import PATIENCE
from holdfast_postgres.url_parameters import libpq_parameters

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
        parameters = libpq_parameters(parsed)
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

    @property
    def address(self) -> tuple[str, str]:
        """Where it is, as far as it is known before a connection: an IP address, a host or a folder, and the port."""
        host = self.parameters.get("hostaddr", "") or self.parameters.get("host", "")
        return host, self.parameters.get("port", "")

    @property
    def patience(self) -> float:
        """The seconds to wait for a connection; libpq takes 0 for no limit, and we for ours."""
        given = self.parameters.get("connect_timeout", "")
        return float(given) if given.isdecimal() and int(given) else PATIENCE

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
