"""Tables that a backup divides into parts, one for each type that a key can have."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.servers.mariadb import MariaDB

ROWS = 600  # of each table
_PART = 100  # rows of a part, about
# The key of each table, and its values by the numbers from 0 to ROWS.
_KEYS = {
    "ids": ("k INT AUTO_INCREMENT", "n + 1"),
    "negative": ("k BIGINT", "7 * n - 4000"),
    "clusters": ("k BIGINT UNSIGNED", "IF(n < 250, n, 18446744073709550000 + n)"),
    "words": ("k VARCHAR(20) CHARACTER SET utf8mb4", "CONCAT(ELT(1 + n % 4, 'a', 'ä', 'b', 'ß'), n)"),
    "western": ("k CHAR(20) CHARACTER SET latin1", "CONCAT('ü', 31 * n)"),
    "wide": ("k VARCHAR(20) CHARACTER SET utf16", "CONCAT('日', n)"),
    "fixed": ("k BINARY(8)", "UNHEX(LEFT(SHA2(n, 256), 16))"),
    "raw": ("k VARBINARY(8)", "UNHEX(LEFT(SHA2(n, 256), 12))"),
    "flags": ("k BIT(40)", "167503724544 + 977 * n"),
    "exact": ("k DECIMAL(20, 6)", "1.5 * n - 700"),
    "floating": ("k DOUBLE", "1e-7 * n - 1e-5"),
    "moments": ("k DATETIME(3)", "'2024-01-01' + INTERVAL 90061 * n SECOND"),
    "stamps": ("k TIMESTAMP(3) NOT NULL", "'2024-01-01' + INTERVAL 3607 * n SECOND"),
    "times": ("k TIME", "SEC_TO_TIME(61 * n - 30000)"),
}
# Of few values, so that a second column makes the key complete.
_FEW = {
    "pairs": ("k INT", "n DIV 10"),
    "letters": ("k ENUM('z', 'm', 'a', '')", "ELT(1 + n % 3, 'z', 'm', 'a')"),
    "sets": ("k SET('z', 'm', 'a')", "ELT(1 + n % 4, 'z', 'z,m', 'a', '')"),
    "years": ("k YEAR", "1950 + n % 100"),
    "days": ("k DATE", "'2000-01-01' + INTERVAL n % 50 DAY"),
}
NAMES = [*_KEYS, *_FEW]


def make_parts(server: MariaDB, database: str) -> None:
    """Make and fill them, and let the server count their rows."""
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode='', time_zone='+00:00'")
        cursor.execute("CREATE TABLE number(n INT)")
        cursor.execute(f"INSERT INTO number VALUES {', '.join(f'({number})' for number in range(ROWS))}")
        for name, (key, value) in (*_KEYS.items(), *_FEW.items()):
            complete = "k, v" if name in _FEW else "k"
            cursor.execute(f"CREATE TABLE {name}({key}, v INT, PRIMARY KEY ({complete}))")
            cursor.execute(f"INSERT INTO {name} SELECT {value}, n FROM number")
            cursor.execute(f"ANALYZE TABLE {name}")
        cursor.execute("DROP TABLE number")


def sums(server: MariaDB, database: str) -> dict[str, object]:
    """The checksums of all tables of a database."""
    names = [str(name) for (name,) in server.rows(f"SHOW TABLES FROM {database}")]
    return {name: server.rows(f"CHECKSUM TABLE {database}.{name}")[0][1] for name in names}


@contextmanager
def small_parts() -> Iterator[None]:
    """Have parts of so few rows that the tables have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast_mysql.rows.key_ranges.ROWS", _PART)
        yield
