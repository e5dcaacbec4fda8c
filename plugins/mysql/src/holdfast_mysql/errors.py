"""What an error of the driver or the server means for a backup, by its number.

Sources of the numbers: MySQL 8.4 "Server Error Message Reference", MariaDB "Error Codes".
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from holdfast.api import CredentialsError, HoldfastError, LockedError, UnreachableError

_CREDENTIALS = frozenset({1044, 1045, 1130, 1131, 1132, 1141, 1142, 1143, 1227, 1251, 1275, 1370, 1396, 1449, 1524,
                          1698, 1820, 1862, 2049, 2059, 2061, 3118, 3159, 3879, 4151, 4166})  # fmt: skip
_UNREACHABLE = frozenset({0, 1040, 1053, 1077, 1079, 1080, 1129, 1184, 1203, 1226, 1927, 2002, 2003, 2005, 2006,
                          2013, 2026, 3169})  # fmt: skip
# No more connections: of the server, of the account, of its hour.
_FULL = frozenset({1040, 1203, 1226})
# Unreachable is a database that somebody named to us, and not one that a view reads.
NO_DATABASE = 1049
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370})
_LOCKED = frozenset({1205, 1213, 1099, 1100, 1192, 1223, 1317, 3024, 3572, 4031})
_HINTS = {
    1153: "raise max_allowed_packet on the server: one row is larger than it",
    1044: "grant the account the privileges that the documentation of the engine lists",
    1203: "end other connections of the account, or let it have two at least",
    1226: "end other connections of the account, or let it have two at least (max_user_connections)",
    1418: "run on the server: SET GLOBAL log_bin_trust_function_creators=1",
    1419: "run on the server: SET GLOBAL log_bin_trust_function_creators=1",
    1412: "run the backup again: a table was altered while it ran",
    1021: "free space on the server's disk",
    1114: "free space on the server's disk",
}


def error_number(error: BaseException) -> int:
    """The server's number of an error, 0 for none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def is_full(error: HoldfastError) -> bool:
    """Whether a connection was refused only because there are too many."""
    return isinstance(error.__cause__, pymysql.MySQLError) and error_number(error.__cause__) in _FULL


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
    return kind(f"{action}: {text}" + (f" (error {code})" if code else ""), hint=_HINTS.get(code))


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise the driver's errors of the block as ours, which begin with `action`."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise server_error(error, action) from error
    except (EOFError, ConnectionError, ssl.SSLError, TimeoutError) as error:
        raise UnreachableError(f"{action}: lost the connection to the server") from error
