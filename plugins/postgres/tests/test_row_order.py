"""Rows that need those of other tables, and tables that only COPY can read."""

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import paired, swept

import holdfast
from holdfast.api import HoldfastError

pytestmark = pytest.mark.usefixtures("several_sessions")

_CHECKED = (
    "CREATE TABLE {codes} (code int PRIMARY KEY, name text)",
    "INSERT INTO {codes} SELECT n, repeat('x', 90) FROM generate_series(1, 12000) n",
    """
    CREATE FUNCTION known(c int) RETURNS boolean LANGUAGE sql {kind}
    AS 'SELECT EXISTS (SELECT FROM public.{codes} WHERE code = c)'
    """,
    "CREATE DOMAIN known_code AS int CHECK (known(VALUE))",
    "CREATE TABLE orders (id int PRIMARY KEY, code {type})",
    "INSERT INTO orders SELECT n, n FROM generate_series(1, 200) n",
)
_SOURCES = [
    ("codes", "STABLE", {"large_table": "1MB"}),
    ("codes", "STABLE", {"large_table": "0"}),
    ("codes", "STABLE", {"format": "custom"}),
    # A lie that the server believes: only what it refuses tells.
    ("codes", "IMMUTABLE", {"large_table": "1MB"}),
    ("codes", "IMMUTABLE", {"large_table": "0"}),
    ("zcodes", "IMMUTABLE", {"large_table": "0"}),
    ("codes", "IMMUTABLE", {"format": "custom"}),
    ("zcodes", "IMMUTABLE", {"format": "directory"}),
    ("zcodes", "IMMUTABLE", {"format": "tar"}),
]


@pytest.mark.sweep(4)
@pytest.mark.parametrize(
    ("source", "way"),
    paired(_SOURCES, [(jobs, type_) for jobs in (1, 4) for type_ in ("int CHECK (known(code))", "known_code")]),
    ids=str,
)
def test_rows_whose_check_reads_another_table_are_loaded_after_that(
    server: PostgresServer, database: str, target: str, store: str, source: tuple[str, str, dict[str, str]],
    way: tuple[int, str],
) -> None:  # fmt: skip
    (codes, kind, options), (jobs, type_) = source, way
    server.execute(database, *(line.format(codes=codes, kind=kind, type=type_) for line in _CHECKED))
    record = holdfast.backup(server.url(database), store=store, options=options)
    holdfast.restore(record.id, server.url(target), store=store, jobs=jobs)
    assert server.value(target, "SELECT count(*) FROM orders") == 200


def test_rows_that_are_refused_in_any_order_end_the_restore(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """A function that has changed since its rows came."""
    server.execute(
        database,
        "CREATE FUNCTION fits(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
        "CREATE TABLE t (a int CHECK (fits(a)))",
        "INSERT INTO t VALUES (1)",
        "CREATE OR REPLACE FUNCTION fits(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false'",
    )
    for options in ({"large_table": "0"}, {"large_table": "8MB"}, {"format": "custom"}):
        record = holdfast.backup(server.url(database), store=store, options=options)
        with pytest.raises(HoldfastError, match='"t_a_check"'):
            holdfast.restore(record.id, server.url(target), store=store, jobs=4)
        assert server.relations(target) == set()


@pytest.mark.sweep(1)
@pytest.mark.parametrize("gone", [False, True], ids=["ambiguous", "gone"])
def test_tables_whose_index_calls_a_function_with_unqualified_names_are_backed_up(
    server: PostgresServer, database: str, store: str, gone: bool
) -> None:
    """No SELECT of them can be planned under an empty search_path: no parts, but all rows.

    A proof there is where the names are to be had in some schema; where it cannot be computed, a warning says so.
    """
    server.execute(
        database,
        *("CREATE SCHEMA one", "CREATE SCHEMA two", "SET search_path TO public, one"),
        "CREATE FUNCTION two.plain(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT t'",
        "CREATE FUNCTION one.plain(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)'",
        "CREATE FUNCTION folded(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)'",
        "CREATE TABLE people AS SELECT n AS id, 'Name ' || n AS name, repeat('x', 1200) AS note "
        "FROM generate_series(1, 60000) n",
        "ALTER TABLE people ADD COLUMN picture oid",
        "CREATE INDEX ON people (folded(name))",
        # With those, columns of numbers are looked at.
        "SELECT lo_from_bytea(0, 'x')",
        # Only now: since PostgreSQL 17 no index is built whose function finds others by a search_path.
        "CREATE OR REPLACE FUNCTION folded(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT plain(t)'",
        *("DROP SCHEMA one CASCADE", "DROP SCHEMA two CASCADE") * gone,
    )
    for proof in (None, True, False):
        record = holdfast.backup(server.url(database), store=store, proof=proof, jobs=2, options={"part_size": "1MB"})
        assert record.state == "complete"
        warned = [line for line in record.warnings if "no proof" in line and "plain(text) does not exist" in line]
        assert len(warned) == (proof is True and gone)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", swept("directory", "parallel", long=["custom", "plain"]))
def test_rows_that_break_a_check_of_a_domain_that_is_not_valid_are_loaded_before_it(
    server: PostgresServer, database: str, target: str, store: str, kind: str
) -> None:
    """Several jobs of pg_restore make it whenever they like."""
    server.execute(
        database,
        "CREATE DOMAIN word AS text",
        "CREATE DOMAIN name AS word",
        # The largest comes first, and the check as soon as a job is free.
        "CREATE TABLE large AS SELECT repeat('x', 1000) AS a FROM generate_series(1, 20000)",
        "CREATE TABLE names AS SELECT 'old'::name AS a",
        "ALTER DOMAIN word ADD CONSTRAINT new CHECK (VALUE <> 'old') NOT VALID",
    )
    record = holdfast.backup(server.url(database), store=store, options={"format": kind}, proof=True)
    assert holdfast.drill(record.id, store=store, into=server.url(""), jobs=4).problems == ()
    holdfast.restore(record.id, server.url(target), store=store, jobs=4)
    assert server.value(target, "SELECT a FROM names") == "old"
