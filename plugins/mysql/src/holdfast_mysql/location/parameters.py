"""The parameters of URLs: this engine's own, those of drivers and frameworks for the same, and those without a meaning.

From the documentation of PyMySQL, mysqlclient, Connector/Python, SQLAlchemy, Django (dj-database-url), Rails, Prisma,
Doctrine, Go's driver, Connector/J and node-mysql2.
"""

import json
from collections.abc import Iterator

from holdfast.api import DatabaseURL, UsageError, quote_name

MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")

# What a value says under each name, in lowercase and with underscores.
_NAMES = {
    "host": "host",
    "port": "port",
    "user": "user",
    "username": "user",
    "password": "password",
    "passwd": "password",
    "database": "database",
    "db": "database",
    "dbname": "database",
    "socket": "socket",
    "unix_socket": "socket",
    "ssl_ca": "ssl-ca",
    "sslca": "ssl-ca",
    "ssl_capath": "ssl-capath",
    "sslcapath": "ssl-capath",
    "ssl_cert": "ssl-cert",
    "sslcert": "ssl-cert",
    "ssl_crl": "ssl-crl",
    "ssl_key": "ssl-key",
    "sslkey": "ssl-key",
    "connect_timeout": "connect-timeout",
    "read_default_file": "file",
    "default_file": "file",
    "option_files": "file",
    "read_default_group": "group",
    "default_group": "group",
    "option_groups": "group",
}
_ON, _OFF = frozenset({"true", "1", "on", "yes"}), frozenset({"false", "0", "off", "no"})
# What drivers and frameworks call a mode.
_SAID = {
    "disable": "disabled",
    "prefer": "preferred",
    "require": "required",
    "trust": "required",
    "skip_verify": "required",
    "accept_invalid_certs": "required",
    "strict": "verify_identity",
    "verify_full": "verify_identity",
    **{mode: mode for mode in MODES},
}
# Each names a mode, or by "true" or "false" the first or second one here; "" is no wish.
_SSL = {
    "ssl_mode": ("required", "disabled"),
    "sslmode": ("required", "disabled"),
    "sslaccept": ("verify_identity", "required"),
    "ssl": ("required", "disabled"),
    "usessl": ("required", "disabled"),
    "requiressl": ("required", ""),
    "tls": ("verify_identity", "disabled"),
    "ssl_disabled": ("disabled", ""),
    "ssl_verify_cert": ("verify_ca", ""),
    "verifyservercertificate": ("verify_ca", ""),
    "ssl_verify_server_cert": ("verify_identity", ""),
    "ssl_verify_identity": ("verify_identity", ""),
    "ssl_check_hostname": ("verify_identity", ""),
    "sslverify": ("verify_identity", ""),
}
# How an application keeps its connections and reads through them: nothing of it changes what is reached.
_OF_APPLICATIONS = frozenset(
    """
    adapter advisory_locks allow_local_infile allow_multi_queries allowmultiqueries allownativepasswords
    allowpublickeyretrieval allowpublickeyretrieval async_fallback atomic_requests auth_plugin autocommit autoreconnect
    binary_prefix buffered cacheprepstmts charset charsetencoding characterencoding checkout_timeout client_flag
    client_flags collation column_prefix compress compression conn_health_checks conn_max_age connection_limit
    connectionlimit consume_results conv converter_class createdatabaseifnotexist cursorclass datestrings defer_connect
    disable_server_side_cursors driver driveroptions encoding failover flags get_warnings idle_timeout init_command
    insecure_auth interpolateparams isolation_level loc local_infile max_allowed_packet max_connections maxallowedpacket
    multiplestatements multistatements named_pipe parsetime pool pool_name pool_recycle pool_reset_session pool_size
    pool_timeout prepared_statements program_name raise_on_warnings raw read_timeout readtimeout reaping_frequency
    reconnect rewritebatchedstatements serverversion servertimezone socket_timeout sql_mode statement_cache_size strict
    supportbignumbers time_zone timeout timezone tinyint1isbit use_pure use_unicode useunicode useprepstmts variables
    wait_timeout write_timeout writetimeout zerodatetimebehavior
    """.split()  # noqa: SIM905
)


def parameters_of(parsed: DatabaseURL) -> dict[str, str]:
    """What the query of a URL says, under the names of option files; several wishes for TLS are its strictest."""
    values: dict[str, str] = {}
    wishes: list[str] = []
    for key, value in parsed.query:
        name = key.lower().replace("-", "_")
        if name in _NAMES:
            values[_NAMES[name]] = value
        elif name in _SSL:
            wishes += _wishes(name, value)
        elif name not in _OF_APPLICATIONS:
            raise UsageError(
                f"the URL {parsed.redacted()} has an unknown parameter {quote_name(key)}",
                hint="leave it out if it is for an application; ours are socket, ssl_mode, ssl_ca, ssl_capath, "
                "ssl_cert, ssl_crl, ssl_key, connect_timeout and read_default_file",
            )
    if "disabled" in wishes and len(set(wishes)) > 1:
        raise UsageError(f"the URL {parsed.redacted()} asks for TLS and for none")
    if wishes:
        values["ssl-mode"] = max(wishes, key=MODES.index)
    return values


def _wishes(name: str, value: str) -> Iterator[str]:
    """The mode that a parameter wishes, if it wishes one."""
    said = value.lower().replace("-", "_")
    on, off = _SSL[name]
    if value.lstrip()[:1] == "{":
        said = _of_json(name, value)
    if said in _ON or said in _OFF:
        yield from filter(None, [on if said in _ON else off])
    elif said in _SAID:
        yield _SAID[said]
    else:
        raise UsageError(f"unknown {name} {quote_name(value[:80])}", hint=f"use one of {', '.join(MODES)}")


def _of_json(name: str, value: str) -> str:
    """The mode of node-mysql2's `ssl={"rejectUnauthorized":true}`; what else it may hold is no file."""
    try:
        told = json.loads(value)
    except ValueError:
        told = None
    if isinstance(told, dict) and set(told) <= {"rejectUnauthorized"}:
        return "required" if told.get("rejectUnauthorized") is False else "verify_identity"
    raise UsageError(f"{name} in the URL is JSON of an application", hint="write ssl_mode=… and ssl_ca=FILE instead")
