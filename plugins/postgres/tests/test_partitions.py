"""Indexes of partitioned tables, which pg_restore attaches one by one, and rows that change their partition."""

from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.testing.drills import drill_mutated

pytestmark = pytest.mark.usefixtures("several_sessions")

TREES = 20
_TREE = """
CREATE TABLE tree_{0} (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE tree_{0}_old PARTITION OF tree_{0} FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE tree_{0}_new PARTITION OF tree_{0} FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY HASH (id);
CREATE TABLE tree_{0}_new_0 PARTITION OF tree_{0}_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE tree_{0}_new_1 PARTITION OF tree_{0}_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE tree_{0}_rest PARTITION OF tree_{0} DEFAULT;
CREATE UNIQUE INDEX unique_{0} ON tree_{0} (at, id);
CREATE INDEX by_date_{0} ON tree_{0} (at);
CREATE TABLE leaf_{0} (at date, id int, FOREIGN KEY (at, id) REFERENCES tree_{0} (at, id));
"""
_INVALID = "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"


def test_indexes_on_several_levels_are_valid_however_many_sessions_restore_them(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Attached by several sessions at once, an index at the top stays invalid in every second restore of these."""
    server.execute(database, "".join(_TREE.format(number) for number in range(TREES)))
    holdfast.backup(server.url(database), store=store)
    holdfast.restore("latest", server.url(target), store=store, jobs=4)
    assert server.rows(target, _INVALID) == []
    for _ in range(2):
        assert holdfast.drill("latest", store=store, into=server.url(""), jobs=4).problems == ()


LABELS = ("red", "green", "blue", "black", "white", "grey")
_HASHED = f"""
CREATE TYPE colour AS ENUM {LABELS};
CREATE TABLE things (id int, colour colour, data bytea) PARTITION BY LIST ((id % 2));
CREATE TABLE even PARTITION OF things FOR VALUES IN (0);
CREATE TABLE odd PARTITION OF things FOR VALUES IN (1) PARTITION BY HASH (colour);
CREATE TABLE odd_0 (data bytea, colour colour NOT NULL, id int NOT NULL);
ALTER TABLE odd ATTACH PARTITION odd_0 FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE odd_1 PARTITION OF odd FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE odd_2 PARTITION OF odd FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO things SELECT n, ('{{{",".join(LABELS)}}}'::colour[])[1 + n / 2 % 6], decode(md5(n::text), 'hex')
FROM generate_series(1, 3000) n;
"""
_OPTIONS: tuple[dict[str, str], ...] = ({"large_table": "0"}, {}, {"format": "custom"}, {"format": "plain"})


@pytest.mark.sweep(2)
@pytest.mark.parametrize("options", _OPTIONS, ids=str)
def test_rows_may_be_in_another_partition_after_a_restore(
    server: PostgresServer, database: str, target: str, store: str, options: dict[str, str]
) -> None:
    """An enum is hashed by its OID, which every database gives anew: pg_dump loads them by way of the whole table."""
    server.execute(database, _HASHED)
    record = holdfast.backup(server.url(database), store=store, options=options, proof=True, jobs=2)
    drill = holdfast.drill(record.id, store=store, into=server.url(""), jobs=2)
    assert (drill.problems, drill.state) == ((), "proven")
    holdfast.restore(record.id, server.url(target), store=store, jobs=2)
    rows = "SELECT * FROM things ORDER BY id"
    assert server.rows(target, rows) == server.rows(database, rows)
    count = "SELECT tableoid::regclass::text, colour::text, count(*) FROM odd GROUP BY 1, 2"
    assert server.rows(target, count) != server.rows(database, count), "nothing was tried, by a chance of 1 in 700"


def test_the_commands_by_hand_load_such_rows_by_way_of_the_whole_table(
    server: PostgresServer, database: str, store: str
) -> None:
    server.execute(database, _HASHED)
    record = holdfast.backup(server.url(database), store=store, options={"large_table": "0"})
    statements = [path.read_text().splitlines()[-1] for path in sorted(Path(record.path).glob("copy/*.sql"))]
    loaded = [statement.partition(" (")[0] for statement in statements]
    assert loaded == ['COPY "public"."even"', *['COPY "public"."things"'] * 3]


def test_a_partition_by_the_hash_of_an_enum_is_selected_out_of_a_whole_backup(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Alone it is a table, which takes all of its rows."""
    server.execute(database, _HASHED)
    partition = server.value(database, "SELECT tableoid::regclass::text FROM odd LIMIT 1")  # by chance some are empty
    rows = f"SELECT id, colour::text, data FROM {partition} ORDER BY id"
    for options in ({"large_table": "0"}, {"format": "custom"}):
        record = holdfast.backup(server.url(database), store=store, options=options)
        holdfast.restore(record.id, server.url(target), store=store, select=(f"public.{partition}",))
        assert server.rows(target, rows) == server.rows(database, rows) != []
        server.execute(target, f"DROP TABLE {partition}; DROP TYPE colour")


@pytest.mark.sweep(2)
@pytest.mark.parametrize(
    ("options", "jobs"),
    [
        ({"large_table": "0"}, 2),
        ({}, 1),
        ({"format": "custom"}, 1),
        ({"format": "custom"}, 2),
        ({"format": "plain"}, 2),
    ],
    ids=str,
)
def test_rows_by_text_may_be_in_another_partition_under_another_collation(
    server: PostgresServer, store: str, options: dict[str, str], jobs: int
) -> None:
    with server.database() as source, server.database(locale_provider="icu", icu_locale="en-US") as other:
        server.execute(
            source,
            "CREATE TABLE names (n text, k int) PARTITION BY RANGE (n);"
            "CREATE TABLE upto PARTITION OF names FOR VALUES FROM (MINVALUE) TO ('b');"
            "CREATE TABLE above PARTITION OF names FOR VALUES FROM ('b') TO (MAXVALUE);"
            "INSERT INTO names VALUES ('A', 1), ('B', 2), ('Z', 3), ('a', 4), ('b', 5), ('z', 6), ('\u00e4', 7)",
        )
        record = holdfast.backup(server.url(source), store=store, options=options, jobs=jobs)
        assert holdfast.restore(record.id, server.url(other), store=store, jobs=jobs).failures == ()
        rows = 'SELECT * FROM names ORDER BY n COLLATE "C"'
        assert server.rows(other, rows) == server.rows(source, rows)
        assert server.value(source, "SELECT count(*) FROM upto") == 4
        assert server.value(other, "SELECT count(*) FROM upto") == 3


@pytest.mark.parametrize(
    "change", ["DELETE FROM odd WHERE id = 1501", "UPDATE odd SET data = '' WHERE id = 1501", "DROP TABLE odd_1"]
)
def test_a_row_that_is_in_no_partition_is_missed(
    server: PostgresServer, database: str, store: str, change: str
) -> None:
    server.execute(database, _HASHED)
    record = holdfast.backup(server.url(database), store=store, proof=True)

    def apply(url: str) -> None:
        server.execute(url.partition("?")[0].rpartition("/")[2], change)

    result = drill_mutated(record.id, store, apply, into=server.url(""))
    assert any("odd" in problem for problem in result.problems)
