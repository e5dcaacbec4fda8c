"""Servers that take no writes, such as replicas: said before anything is tried, and in a preview."""

from holdfast.api import UnsafeError
from holdfast_mysql.catalog.privileges import global_privileges
from holdfast_mysql.session import Session

# Who may write all the same where only read_only is set; ALL PRIVILEGES has it.
_MAY_WRITE = frozenset({"ALL PRIVILEGES", "SUPER", "CONNECTION_ADMIN", "READ_ONLY ADMIN", "READ ONLY ADMIN"})
_OFF = frozenset({"OFF", "0"})


def check_writable(session: Session) -> None:
    """Refuse a server that is set to be read only for this account (MySQL 8.4 manual "read_only", MariaDB likewise)."""
    rows = session.texts(
        "SHOW GLOBAL VARIABLES WHERE variable_name IN ('innodb_read_only', 'read_only', 'super_read_only')"
    )
    on = {row[0] for row in rows if row[1] not in _OFF}
    if on == {"read_only"} and _MAY_WRITE & global_privileges(session):
        return
    if on:
        names = ", ".join(sorted(on))
        raise UnsafeError(
            f"the server is read only ({names})",
            hint="if it is a replica, restore into its primary; else start or set it without " + names,
        )
