"""PostgreSQL databases that differ by a seed, in what they hold and how sessions are set, and what is no change.

What a seed makes is what a drill must prove, whatever the settings are on either side.
"""

import contextlib
import random
import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager

from support import postgres_mutations
from support.background import in_background
from support.postgres_mutations import SHARED
from support.postgres_value_mutations import VALUES
from support.servers.postgres import PostgresServer

# What an administrator may have set for a database or a role; all of it changes how values or definitions are written,
# or what a session may do.
_SETTINGS: dict[str, tuple[str, ...]] = {
    "timezone": ("'Asia/Kathmandu'", "'America/St_Johns'", "'UTC'"),
    "datestyle": ("'German, DMY'", "'SQL, MDY'", "'Postgres, YMD'"),
    "intervalstyle": ("'iso_8601'", "'sql_standard'", "'postgres_verbose'"),
    "extra_float_digits": ("0", "-15", "3"),
    "bytea_output": ("'escape'", "'hex'"),
    "search_path": ("'nowhere'", "'pg_catalog, public'", "''"),
    "standard_conforming_strings": ("off", "on"),
    "escape_string_warning": ("off",),
    "quote_all_identifiers": ("on", "off"),
    "xmloption": ("'document'", "'content'"),
    "xmlbinary": ("'hex'",),
    "lc_monetary": ("'C'", "'C.UTF-8'"),
    "client_encoding": ("'LATIN1'", "'SQL_ASCII'"),
    "array_nulls": ("off",),
    "transform_null_equals": ("on",),
    "check_function_bodies": ("on", "off"),
    "default_transaction_read_only": ("on",),
    "default_transaction_isolation": ("'serializable'",),
    "statement_timeout": ("150",),
    "lock_timeout": ("1",),
    "row_security": ("off",),
    "enable_seqscan": ("off",),
    "enable_indexscan": ("off",),
    "jit_above_cost": ("0",),
    "default_toast_compression": ("'pglz'",),
    "default_text_search_config": ("'pg_catalog.german'",),
    "default_table_access_method": ("'heap'",),
    "session_replication_role": ("'replica'",),
    "plpgsql.extra_errors": ("'all'",),
    "work_mem": ("'64kB'",),
    "synchronize_seqscans": ("on",),
}


# Under these nobody could make or fill a database.
_NOT_FOR_WRITERS = frozenset({"default_transaction_read_only"})
_USER = "seeded"


@contextlib.contextmanager
def database(server: PostgresServer, seed: int, *, objects: int = 40, tables: int = 4) -> Iterator[str]:
    """A database with tables of odd types in odd order, with objects of every kind, and with settings of its own."""
    chance = random.Random(seed)
    chosen = chance.sample(postgres_mutations.known(), objects)
    scripts = [change.make for change in chosen]
    scripts += [tuple(_table(f"seeded_{number}", chance)) for number in range(tables)]
    shared = [line for line in SHARED.splitlines() if postgres_mutations.can_be(line)]
    words = chance.choice([{}, {}, {"LC_COLLATE": "C", "LC_CTYPE": "C"}])
    with server.database(**words) as name:
        postgres_mutations.run(server, name, [shared, *scripts, ["CREATE SEQUENCE seeded_numbers"]])
        _set(server, f"DATABASE {name}", chance, set())
        with set_server(server, seed):
            yield name


def url(server: PostgresServer, name: str) -> str:
    """The URL of a database, or of the server, for the role whose settings vary."""
    return server.url(name, user=_USER)


@contextlib.contextmanager
def set_server(server: PostgresServer, seed: int) -> Iterator[None]:
    """Give the role other settings for the length of a block; sessions that are there keep theirs."""
    if not server.rows("postgres", f"SELECT FROM pg_roles WHERE rolname = '{_USER}'"):
        server.execute("postgres", f"CREATE ROLE {_USER} SUPERUSER LOGIN")
    server.execute("postgres", f"ALTER ROLE {_USER} RESET ALL")
    _set(server, f"ROLE {_USER}", random.Random(seed), _NOT_FOR_WRITERS)
    yield


def _table(name: str, chance: random.Random) -> Iterator[str]:
    columns = [f"c{number}" for number in range(chance.randrange(1, 12))]
    values = [chance.choice([value for value in VALUES if postgres_mutations.can_be(value[1])]) for _ in columns]
    parts = [f"{column} {value[1]}" for column, value in zip(columns, values, strict=True)]
    parts.insert(chance.randrange(len(parts) + 1), f"id int {chance.choice(['PRIMARY KEY', 'UNIQUE', '', 'NOT NULL'])}")
    if chance.random() < 0.3:
        parts.append("twice int GENERATED ALWAYS AS (id * 2) STORED")
    parts.insert(chance.randrange(len(parts) + 1), "gone int")
    yield f"CREATE {chance.choice(['', '', 'UNLOGGED '])}TABLE {name} ({', '.join(parts)})"
    yield f"ALTER TABLE {name} DROP gone"
    numbers = list(range(chance.choice([0, 1, 30, 300])))
    chance.shuffle(numbers)
    for first in range(0, len(numbers), 100):
        rows = ", ".join(
            f"({number}, {', '.join(chance.choice([value[2], value[3], 'NULL']) for value in values)})"
            for number in numbers[first : first + 100]
        )
        yield f"INSERT INTO {name} (id, {', '.join(columns)}) VALUES {rows}"
    yield f"DELETE FROM {name} WHERE id % 7 = 0"
    yield f"UPDATE {name} SET {columns[0]} = {columns[0]} WHERE id % 3 = 0"


def _set(server: PostgresServer, whose: str, chance: random.Random, without: Collection[str]) -> None:
    for name in chance.sample(sorted(_SETTINGS.keys() - without), 8):
        server.execute("postgres", f"ALTER {whose} SET {name} TO {chance.choice(_SETTINGS[name])}")


def rearrange(server: PostgresServer, database: str, seed: int) -> None:
    """Do to a database what is no change of its content: other settings, other places of rows, other statistics."""
    chance = random.Random(seed)
    _set(server, f"DATABASE {database}", chance, _NOT_FOR_WRITERS)
    with server.connect(database, options="-c default_transaction_read_only=off -c statement_timeout=0") as connection:
        connection.execute("SET session_replication_role TO replica")
        connection.execute("SET search_path TO ''")
        tables = connection.execute(
            "SELECT c.oid::regclass::text, (SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = c.oid"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = '' LIMIT 1), c.relkind"
            " FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            " AND NOT EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = c.oid)"
        ).fetchall()
        for table, column, _ in tables:
            if column and chance.random() < 0.8:
                connection.execute(f"UPDATE ONLY {table} SET {column} = {column} WHERE random() < 0.5".encode())
            if chance.random() < 0.3:
                connection.execute(chance.choice([f"VACUUM FULL {table}", f"VACUUM {table}", f"REINDEX TABLE {table}"]))
        connection.execute("ANALYZE")


def writing(server: PostgresServer, database: str) -> AbstractContextManager[None]:
    """Let somebody write to the seeded tables for as long as the block lasts."""
    options = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c search_path=public"

    def write(stop: threading.Event) -> None:
        number = 1000
        with server.connect(database, options=options) as connection:
            while not stop.is_set():
                number += 1
                connection.execute(f"INSERT INTO seeded_0 (id) VALUES ({number})")
                connection.execute(f"UPDATE seeded_1 SET id = id + 1000 WHERE id = {number % 300}")
                connection.execute(f"DELETE FROM seeded_2 WHERE id = {number % 300}")
                connection.execute("SELECT nextval('seeded_numbers')")

    return in_background(write)
