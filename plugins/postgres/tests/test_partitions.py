"""Indexes of partitioned tables, whose parts pg_restore attaches one by one."""

from support.servers.postgres import PostgresServer

import holdfast

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
