"""What an error of the driver or the server means for a backup, by its number.

Sources of the numbers: MySQL 8.4 "Server Error Message Reference", MariaDB "Error Codes".
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    IntegrityError,
    LockedError,
    UnreachableError,
    quote_name,
)

_CREDENTIALS = frozenset({1044, 1045, 1130, 1131, 1132, 1141, 1142, 1143, 1227, 1251, 1275, 1370, 1396, 1449, 1524,
                          1698, 1820, 1862, 2049, 2059, 2061, 3118, 3159, 3827, 3828, 3879, 4151, 4166})  # fmt: skip
_UNREACHABLE = frozenset({0, 1040, 1053, 1077, 1079, 1080, 1129, 1184, 1203, 1226, 1927, 2002, 2003, 2005, 2006,
                          2013, 2026, 3169})  # fmt: skip
# No more connections: of the server, of the account, of its hour.
_FULL = frozenset({1040, 1203, 1226})
# Unreachable is a database that somebody named to us, and not one that a view reads.
NO_DATABASE = 1049
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370})
_LOCKED = frozenset({1205, 1213, 1099, 1100, 1192, 1223, 1317, 3024, 3572, 4031})
# The server's own tables of events and routines are gone, or of another version than the server.
_SYSTEM_TABLES = frozenset({1545, 1546, 1547, 1548, 1549, 1557, 1558, 1577, 1805})
_SCHEDULER = re.compile(r"event scheduler is disabled", re.IGNORECASE)  # MariaDB's reason for not even listing events
_NO_SYSTEM_TABLE = re.compile(r"Table 'mysql\.\w+' doesn't exist")
# What a table says that is broken itself: a file is not there or not readable, or marked as crashed.
_BROKEN_TABLE = frozenset({1016, 1017, 1033, 1034, 1035, 1194, 1195, 1712, 1812, 1814, 1877, 1932})
_BROKEN_FILE = re.compile(r"Got error (?:126|127|134|144|145|190)\b")
_UPGRADE = (
    "run mariadb-upgrade (MySQL before 8: mysql_upgrade), which puts the server's own tables right; a backup without "
    "what is kept there: --exclude-kind event,routine"
)
_ENABLE = "start the server with event_scheduler OFF or ON, not DISABLED, or leave events out: --exclude-kind event"
# What accounts of hosters may send in an hour, as MariaDB and MySQL call it.
_STATEMENTS = re.compile(r"'max_(?:questions|queries_per_hour|updates|updates_per_hour)'")
_WAIT = (
    "wait for the next hour, use another account, or let this one send more (ALTER USER … WITH MAX_QUERIES_PER_HOUR 0 "
    "MAX_UPDATES_PER_HOUR 0): a backup, drill or restore takes a few statements for each table"
)
CHECK_VIOLATED = 3819
OUT_OF_RANGE = 1690  # of an expression, not of a value that was sent
# With table_encryption_privilege_check of MySQL.
_ENCRYPTION = "grant the account TABLE_ENCRYPTION_ADMIN, or use -o strip=encryption for the server's own default"
_EXPIRED = (
    "the password of the account has expired: log in with a client program, and ALTER USER USER() IDENTIFIED BY …"
)
_LOGIN_HINT = "give the password in the URL, in MYSQL_PWD, or in an option file such as ~/.my.cnf"
_HINTS = {
    CHECK_VIOLATED: (
        "a CHECK can mean something else in UTC, in which rows are loaded, than in the time zone in which they were "
        "written: ALTER TABLE … ALTER CHECK … NOT ENFORCED in the source, and back it up again"
    ),
    OUT_OF_RANGE: (
        "an expression of the table is out of range here, also under sql_mode NO_UNSIGNED_SUBTRACTION: --exclude the "
        "table, and restore it by hand with the commands in RESTORE.md under the settings of the source"
    ),
    1045: _LOGIN_HINT,
    1698: _LOGIN_HINT,
    1153: "raise max_allowed_packet on the server: one row is larger than it",
    1044: "grant the account the privileges that the documentation of the engine lists",
    1203: "end other connections of the account, or let it have two at least",
    1820: _EXPIRED,
    1862: _EXPIRED,
    1226: "end other connections of the account, or let it have two at least (max_user_connections)",
    1418: "run on the server: SET GLOBAL log_bin_trust_function_creators=1",
    1419: "run on the server: SET GLOBAL log_bin_trust_function_creators=1",
    1461: "raise max_prepared_stmt_count on the server, or let rows go in by LOAD DATA: SET GLOBAL local_infile=ON",
    1412: "run the backup again: a table was altered while it ran",
    1021: "free space on the server's disk",
    1114: "free space on the server's disk",
    3827: _ENCRYPTION,
    3828: _ENCRYPTION,
    3780: (
        "ALTER TABLE one of the columns of the foreign key to the character set and collation of the other one, or "
        "restore under another name, where such a key is made as it was"
    ),
}


def error_number(error: BaseException) -> int:
    """The server's number of an error, 0 for none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def is_of_system(error: BaseException) -> bool:
    """Whether the server's own tables of events or routines are why."""
    text = str(error.args[-1]) if error.args else ""
    known = error_number(error) in _SYSTEM_TABLES and not is_without_events(error)
    return known or bool(_NO_SYSTEM_TABLE.search(text))


def is_without_events(error: BaseException) -> bool:
    """Whether the server was started so that nothing about events can be asked of it."""
    return bool(_SCHEDULER.search(str(error.args[-1]) if error.args else ""))


def is_full(error: HoldfastError) -> bool:
    """Whether a connection was refused only because there are too many."""
    cause = error.__cause__
    return isinstance(cause, pymysql.MySQLError) and error_number(cause) in _FULL and not _spent(cause)


def _spent(error: BaseException) -> bool:
    """Whether an account has sent as many statements in an hour as it may: fewer connections send no fewer."""
    return error_number(error) == 1226 and _STATEMENTS.search(str(error.args[-1])) is not None


def server_error(error: BaseException, action: str) -> HoldfastError:
    """Say what an error of the driver or the server means; the message begins with `action`."""
    code = error_number(error)
    text = str(error.args[1] if len(error.args) > 1 else error) or type(error).__name__
    text = " ".join(text.split())[:1000]
    kind: type[HoldfastError] = HoldfastError
    if code in _CREDENTIALS:
        kind = CredentialsError
    elif code in _LOCKED:
        kind = LockedError
    elif code in _UNREACHABLE and isinstance(error, pymysql.MySQLError):
        kind = UnreachableError
        text = text if code else "the connection is closed"
    hint = _UPGRADE if is_of_system(error) else _ENABLE if is_without_events(error) else _HINTS.get(code)
    hint = _WAIT if _spent(error) else hint
    return kind(f"{action}: {text}" + (f" (error {code})" if code else ""), hint=hint)


def table_error(error: BaseException, name: str) -> HoldfastError:
    """Say what an error means that came while a table of a source was read: an `IntegrityError` where it is broken."""
    raised = server_error(error, f"cannot read table {quote_name(name)}")
    if error_number(error) not in _BROKEN_TABLE and not _BROKEN_FILE.search(raised.message):
        return raised
    return IntegrityError(
        raised.message, hint=f"REPAIR TABLE may mend it (MyISAM, Aria), or use --exclude {name} to back up the rest"
    )


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise the driver's errors of the block as ours, which begin with `action`."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise server_error(error, action) from error
    except (EOFError, ConnectionError, ssl.SSLError, TimeoutError) as error:
        raise UnreachableError(f"{action}: lost the connection to the server") from error
