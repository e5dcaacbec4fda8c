"""What the plugin offers, as data, and where its parts are."""

from holdfast.api import Capability, Component, EngineHooks, Kind
from holdfast_mysql.kinds import STATEMENTS
from holdfast_mysql.options import MysqlOptions

# Of the URL's query: they say how to connect and never who may, so that their values may be shown.
_HARMLESS = frozenset(
    """
    charset collation conn_max_age default_file default_group encoding lock_timeout option_files pool read_default_file
    read_default_group read_timeout reconnect socket ssl ssl-ca ssl-capath ssl-cert ssl-crl ssl-key ssl-mode ssl_ca
    ssl_capath ssl_cert ssl_check_hostname ssl_crl ssl_disabled ssl_key ssl_mode ssl_verify_cert ssl_verify_identity
    sslaccept sslca sslcapath sslcert sslkey sslmode sslverify tls unix_socket usessl write_timeout
    """.split()  # noqa: SIM905
)

plugin = EngineHooks(
    Component(
        kind=Kind.ENGINE,
        name="mysql",
        # Of SQLAlchemy with its drivers, Rails, GeoDjango, dj-database-url, Doctrine and PHP.
        aliases=(
            "mariadb",
            *(
                f"{name}+{driver}"
                for name in ("mysql", "mariadb")
                for driver in (
                    "aiomysql",
                    "asyncmy",
                    "cymysql",
                    "mariadbconnector",
                    "mysqlconnector",
                    "mysqldb",
                    "pymysql",
                )
            ),
            "mysql2",
            "trilogy",
            "mysqlgis",
            "mysql-connector",
            "mysqli",
            "pdo-mysql",
        ),
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
        kinds=frozenset(STATEMENTS),
        options=MysqlOptions,
        harmless_parameters=_HARMLESS,
    ),
    dump="holdfast_mysql.dump:open_dump",
    restore="holdfast_mysql.restore:open_restore",
    scratch="holdfast_mysql.scratch:open_scratch",
    check="holdfast_mysql.requirements:requirements",
    databases="holdfast_mysql.catalog.databases:list_databases",
)
