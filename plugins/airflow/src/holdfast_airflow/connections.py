"""From a connection of Airflow to the URL of a database, which has its password and stays in the process."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from holdfast.api import DatabaseURL
from holdfast.errors import CredentialsError, UsageError

_SCHEMES = {"postgres": "postgresql"}  # types of connections that engines call otherwise; all others are a scheme
_OF_FILES = frozenset({"sqlite"})
# Extras for hooks of Airflow, which say nothing of how a database is reached.
_OF_HOOKS = frozenset(
    [
        "aws_conn_id",
        "aws_default_region",
        "azure_conn_id",
        "azure_oauth_scope",
        "charset",
        "client",
        "cluster-identifier",
        "cursor",
        "init_command",
        "local_infile",
        "redshift",
        "session_duration",
        "sqlalchemy_query",
        "sqlalchemy_scheme",
        "workgroup-name",
    ]
)


class ConnectionFields(Protocol):
    """What a connection of Airflow has."""

    conn_id: str  #: its name
    conn_type: str | None  #: such as `postgres`
    host: str | None  #: the host; for SQLite the path of the file
    login: str | None  #: the user
    password: str | None  #: the password
    schema: str | None  #: the database
    port: int | None  #: the port

    @property
    def extra_dejson(self) -> Mapping[str, Any]:
        """Further parameters."""
        ...


def database_url(connection: ConnectionFields, database: str | None = None) -> str:
    """Write the URL of the database of a connection, secrets included; `database` names another of the same server.

    Extras are parameters of the URL, such as `sslmode`; the engine refuses those that it does not know.
    """
    kind = connection.conn_type or ""
    scheme = _SCHEMES.get(kind, kind)
    query = tuple(_parameters(connection))
    if scheme in _OF_FILES:
        parts = [part for part in (connection.host, database or connection.schema) if part]
        return DatabaseURL(scheme=scheme, path=f"/{'/'.join(parts)}", query=query).text()
    hosts = [host.strip() for host in (connection.host or "").split(",")]
    folder = hosts[0] if hosts[0].startswith("/") else ""  # of a socket
    if folder:
        query += (("host" if scheme == "postgresql" else "socket", folder),)
    return DatabaseURL(
        scheme=scheme,
        user=connection.login or None,
        password=connection.password or None,
        hosts=tuple((host, connection.port) for host in hosts if host and not folder),
        path=f"/{database or connection.schema or ''}",
        query=query,
    ).text()


def secret_forms(password: str | None) -> list[str]:
    """A password in every form in which it may stand in a URL, for what hides secrets in logs."""
    if not password:
        return []
    return list(dict.fromkeys((password, quote(password, safe=""), quote(password), quote_plus(password))))


def _parameters(connection: ConnectionFields) -> list[tuple[str, str]]:
    extras = dict(connection.extra_dejson)
    if extras.pop("iam", False):
        raise CredentialsError(
            f"the connection {connection.conn_id} has a password of IAM, which only hooks of Airflow ask for",
            hint="use a connection with a password, or a certificate",
        )
    tls = extras.pop("ssl", None)
    if isinstance(tls, Mapping):  # of the hook of MySQL: files under the names of mysqlclient
        extras |= {f"ssl_{key}": value for key, value in tls.items()}
    elif tls is not None:
        extras["ssl"] = tls
    return [(key, _text(connection, key, value)) for key, value in extras.items() if key not in _OF_HOOKS]


def _text(connection: ConnectionFields, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(
        f"the extra '{key}' of the connection {connection.conn_id} is a {type(value).__name__}",
        hint="write a text or a number, which can be a parameter of a URL",
    )
