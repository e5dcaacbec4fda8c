"""MariaDB databases that differ by a seed, in what they hold and in how the server is set, and what is no change.

What a seed makes is what a drill must prove, whatever the settings are on either side.
"""

import contextlib
import random
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from support import mysql_mutations
from support.background import in_background
from support.mysql_mutations import PREPARE, VALUES
from support.servers.mariadb import MariaDB

# What an administrator may have set for the whole server; all of it changes how values or definitions are written, or
# what a session may do.
_SETTINGS: dict[str, tuple[str, ...]] = {
    "time_zone": ("'+05:45'", "'-03:30'", "'+00:00'"),
    "sql_mode": (
        "''", "'ANSI'", "'ORACLE'", "'TRADITIONAL'", "'PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'",
        "'PAD_CHAR_TO_FULL_LENGTH'",
        "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'", "'EMPTY_STRING_IS_NULL'",
        "'NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE,REAL_AS_FLOAT,IGNORE_SPACE'", "'ANSI_QUOTES,NO_FIELD_OPTIONS'",
        "'TIME_ROUND_FRACTIONAL,SIMULTANEOUS_ASSIGNMENT'", "'NO_KEY_OPTIONS,NO_TABLE_OPTIONS'",
    ),
    "character_set_server": ("latin1", "utf16", "utf8mb4"),
    "collation_connection": ("latin1_swedish_ci", "utf8mb4_bin"),
    "character_set_client": ("latin1", "utf8mb4"),
    "character_set_results": ("latin1", "utf8mb4"),
    "sql_quote_show_create": ("0", "1"),
    "sql_select_limit": ("3", "18446744073709551615"),
    "sql_safe_updates": ("1", "0"),
    "sql_auto_is_null": ("1",),
    "autocommit": ("0", "1"),
    "tx_isolation": ("'READ-UNCOMMITTED'", "'SERIALIZABLE'"),
    "completion_type": ("1", "0"),
    "div_precision_increment": ("0", "9"),
    "group_concat_max_len": ("4",),
    "lc_time_names": ("'de_DE'",),
    "lc_messages": ("'de_DE'", "'en_US'"),
    "max_statement_time": ("0.02", "0"),
    "max_error_count": ("0",),
    "max_length_for_sort_data": ("4",),
    "join_buffer_size": ("128",),
    "innodb_strict_mode": ("1", "0"),
    "innodb_lock_wait_timeout": ("0",),
    "lock_wait_timeout": ("0",),
    "default_storage_engine": ("MyISAM",),
    "innodb_default_row_format": ("COMPACT", "DYNAMIC"),
    "explicit_defaults_for_timestamp": ("0", "1"),
    "check_constraint_checks": ("1", "0"),
    "foreign_key_checks": ("1", "0"),
    "unique_checks": ("0",),
    "alter_algorithm": ("'INPLACE'",),
    "default_week_format": ("5",),
    "old_mode": ("'NO_DUP_KEY_WARNINGS_WITH_IGNORE'", "''"),
    "optimizer_switch": ("'index_merge=off,derived_merge=off,materialization=off'",),
    "use_stat_tables": ("'never'",),
    "query_cache_type": ("0",),
    "wait_timeout": ("1",),
    "net_buffer_length": ("1024",),
    "system_versioning_alter_history": ("KEEP",),
    "binlog_format": ("'STATEMENT'", "'ROW'"),
    "max_sort_length": ("64",),
    "sql_notes": ("0",),
    "updatable_views_with_limit": ("0",),
    "secure_auth": ("1",),
}  # fmt: skip
# What sessions of the tests' own need, however the server is set.
_FREE = (
    "SET autocommit = 1, sql_safe_updates = 0, sql_select_limit = 18446744073709551615, max_statement_time = 0,"
    " lock_wait_timeout = 60, innodb_lock_wait_timeout = 60, binlog_format = 'ROW', alter_algorithm = 'DEFAULT',"
    " wait_timeout = 28800, tx_isolation = 'REPEATABLE-READ'"
)
_COLLATIONS = ("utf8mb4_general_ci", "latin1_german1_ci", "utf8mb4_bin", "utf8mb4_unicode_520_ci", "utf16_general_ci")


@contextlib.contextmanager
def database(server: MariaDB, seed: int, *, objects: int = 60, tables: int = 4) -> Iterator[str]:
    """A database with tables of odd types in odd order and with objects of every kind, on a server set oddly."""
    chance = random.Random(seed)
    name = f"seeded_{seed}"
    chosen = [change for change in mysql_mutations.known("mariadb") if "FULLTEXT" not in "".join(change.make)]
    scripts = [change.make for change in chance.sample(chosen, objects)]
    scripts += [tuple(_table(f"seeded_{number}", chance)) for number in range(tables)]
    server.rows(f"CREATE DATABASE {name} COLLATE {chance.choice(_COLLATIONS)} COMMENT 'seed \\'{seed}\\''")
    try:
        mysql_mutations.run(server, name, scripts)
        with set_server(server, seed):
            yield name
    finally:
        server.rows(f"DROP DATABASE {name}")


def url(server: MariaDB, name: str) -> str:
    """The URL of a database, or of the server."""
    return server.url(name)


@contextlib.contextmanager
def set_server(server: MariaDB, seed: int) -> Iterator[None]:
    """Give the server other settings for the length of a block; sessions that are there keep theirs."""
    chance = random.Random(seed)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(_FREE)
        chosen = chance.sample(sorted(_SETTINGS), 12)
        before = {}
        for name in chosen:
            cursor.execute(f"SELECT @@global.{name}")
            before[name] = cursor.fetchone()[0]
        try:
            for name in chosen:
                cursor.execute(f"SET GLOBAL {name} = {chance.choice(_SETTINGS[name])}")
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"SET GLOBAL {name} = %s", (value,))


def _table(name: str, chance: random.Random) -> Iterator[str]:
    columns = [f"c{number}" for number in range(chance.randrange(1, 12))]
    values = [chance.choice([value for value in VALUES if value[4] in ("", "mariadb")]) for _ in columns]
    parts = [f"{column} {value[1]}" for column, value in zip(columns, values, strict=True)]
    key = chance.choice(["PRIMARY KEY", "UNIQUE", "", "NOT NULL", "AUTO_INCREMENT PRIMARY KEY"])
    parts.insert(chance.randrange(len(parts) + 1), f"id INT {key}")
    if chance.random() < 0.3 and "AUTO_INCREMENT" not in key:
        parts.append(f"twice INT AS (id * 2) {chance.choice(['STORED', 'VIRTUAL'])}")
    engine = chance.choice(["InnoDB", "InnoDB", "InnoDB", "MyISAM", "Aria"])
    charset = chance.choice(["utf8mb4", "utf8mb4 COLLATE utf8mb4_bin"])
    yield f"CREATE TABLE {name} ({', '.join(parts)}) ENGINE = {engine} CHARACTER SET {charset}"
    numbers = list(range(chance.choice([0, 1, 30, 300])))
    chance.shuffle(numbers)
    for first in range(0, len(numbers), 100):
        rows = ", ".join(
            f"({number}, {', '.join(chance.choice([value[2], value[3], 'NULL']) for value in values)})"
            for number in numbers[first : first + 100]
        )
        yield f"INSERT INTO {name} (id, {', '.join(columns)}) VALUES {rows}"
    yield f"DELETE FROM {name} WHERE id % 7 = 0"


def rearrange(server: MariaDB, database: str, seed: int) -> None:
    """Do to a database what is no change of its content: other places of rows, other statistics."""
    chance = random.Random(seed)
    kinds = {value[0] for value in VALUES}
    with server.connect(database) as connection, connection.cursor() as cursor:
        for statement in (*PREPARE, _FREE):
            cursor.execute(statement)
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
            " AND table_name REGEXP '^seeded_|_loose$|^bit_|_on$'",
            (database,),
        )
        for (table,) in cursor.fetchall():
            words = chance.choice(["ANALYZE TABLE {}", "OPTIMIZE TABLE {}", "ALTER TABLE {} FORCE", "DO 0"])
            cursor.execute(words.format(table))
            cursor.fetchall()
            if table.removesuffix("_loose") in kinds and table.endswith("_loose"):
                cursor.execute(f"CREATE TEMPORARY TABLE moved LIKE {table}")
                cursor.execute(f"INSERT INTO moved (id, v) SELECT id, v FROM {table}")
                cursor.execute(f"DELETE FROM {table}")
                cursor.execute(f"INSERT INTO {table} (id, v) SELECT id, v FROM moved ORDER BY RAND()")
                cursor.execute("DROP TEMPORARY TABLE moved")
        cursor.execute("FLUSH TABLES")


def writing(server: MariaDB, database: str) -> AbstractContextManager[None]:
    """Let somebody write to the seeded tables for as long as the block lasts."""

    def write(stop: threading.Event) -> None:
        number = 1000
        with server.connect(database) as connection, connection.cursor() as cursor:
            for statement in (*PREPARE, _FREE):
                cursor.execute(statement)
            while not stop.is_set():
                number += 1
                cursor.execute(f"INSERT INTO seeded_0 (id) VALUES ({number})")
                cursor.execute(f"UPDATE seeded_1 SET id = id + 1000 WHERE id = {number % 300}")
                cursor.execute(f"DELETE FROM seeded_2 WHERE id = {number % 300}")

    return in_background(write)
