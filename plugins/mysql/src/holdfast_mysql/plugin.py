"""What the plugin offers, as data, and where its parts are."""

from holdfast.api import Capability, Component, EngineHooks, Kind
from holdfast_mysql.options import MysqlOptions

# Of the URL's query: they say how to connect and never who may, so that their values may be shown.
_HARMLESS = frozenset(
    [
        "charset",
        "collation",
        "lock_timeout",
        "read_timeout",
        "socket",
        "ssl_ca",
        "ssl_capath",
        "ssl_cert",
        "ssl_crl",
        "ssl_key",
        "ssl_mode",
        "unix_socket",
        "write_timeout",
    ]
)

plugin = EngineHooks(
    Component(
        kind=Kind.ENGINE,
        name="mysql",
        aliases=("mariadb",),
        summary="MySQL and MariaDB databases, in one snapshot over several connections",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.PARALLEL_DUMP,
                Capability.PARALLEL_RESTORE,
                Capability.SELECT,
                Capability.PROOF,
            }
        ),
        options=MysqlOptions,
        harmless_parameters=_HARMLESS,
    ),
    dump="holdfast_mysql.dump:open_dump",
    restore="holdfast_mysql.restore:open_restore",
    scratch="holdfast_mysql.scratch:open_scratch",
    databases="holdfast_mysql.catalog.databases:list_databases",
)
