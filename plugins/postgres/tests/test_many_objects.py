"""Databases of very many objects: nothing has a word or a query for each of them."""

import os
import subprocess
import sys

from support.servers.postgres import PostgresServer

import holdfast
from holdfast_postgres import catalog
from holdfast_postgres.catalog import Table
from holdfast_postgres.dump.table_parts import large_tables

_NEEDED = ("PATH", "HOME", "TMPDIR", "HOLDFAST_PG_BINDIR")
_LIMITED = 'ulimit -s 512; exec "$@"'  # of the stack in kB: arguments may take a quarter, here 128 kB


def test_the_number_of_sequences_has_no_limit_by_the_length_of_a_command_line(
    server: PostgresServer, database: str, store: str, target: str
) -> None:
    schema = "s" * 60
    names = ", ".join(f"'{'n' * 58}{number:04}'" for number in range(800))
    server.execute(
        database,
        f"CREATE SCHEMA {schema}",
        f"DO $$ DECLARE n text; BEGIN FOREACH n IN ARRAY ARRAY[{names}] LOOP "
        f"EXECUTE format('CREATE SEQUENCE {schema}.%I START 7', n); END LOOP; END $$",
    )
    command = ["bash", "-c", _LIMITED, "bash", sys.executable, "-m", "holdfast", "backup", "-q", server.url(database)]
    done = subprocess.run(
        [*command, "--store", store, "--proof"], check=False, capture_output=True, text=True, env=_small_environment()
    )
    assert (done.returncode, done.stderr) == (0, "")
    holdfast.restore(done.stdout.strip(), server.url(target), store=store)
    assert server.value(target, f"SELECT nextval('{schema}.{'n' * 58}0799')") == 7


def _small_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _NEEDED if name in os.environ}


def test_no_more_than_a_thousand_tables_are_read_apart_from_pg_dump_and_those_are_the_largest() -> None:
    tables = [
        Table(
            oid=number, schema="public", name=f"t{number}", kind="r", persistence="p", heap=True, member=False,
            config=False, columns=("a",), types=("int4",), size=number << 10, blocks=number,
        )
        for number in range(1500)
    ]  # fmt: skip
    large = large_tables(tables, threshold=0, standby=False)
    assert [table.oid for table in large] == list(range(500, 1500))


def test_columns_of_domains_over_domains_count_as_their_base_type(server: PostgresServer, database: str) -> None:
    server.execute(
        database,
        "CREATE DOMAIN a AS bytea",
        "CREATE DOMAIN b AS a",
        "CREATE TYPE mood AS ENUM ('ok')",
        "CREATE DOMAIN c AS mood",
        "CREATE TABLE t (x int, gone int, y b, z c, g int GENERATED ALWAYS AS (x + 1) STORED)",
        "ALTER TABLE t DROP gone",
        "CREATE TABLE none ()",
    )
    with server.connect(database) as connection:
        listed = {table.name: table for table in catalog.tables(connection)}
    assert (listed["t"].columns, listed["t"].types) == (("x", "y", "z"), ("int4", "bytea", "enum"))
    assert (listed["none"].columns, listed["none"].types) == ((), ())
