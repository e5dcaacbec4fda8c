"""Selections of some of the partitions among which a restore divides rows anew."""

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import UsageError

# The hash of an enum is that of its OID: the same rows are in other partitions of each database.
_MOODS = """
CREATE TYPE mood AS ENUM ({});
CREATE TABLE events (day int, mood mood, note text) PARTITION BY RANGE (day);
CREATE TABLE early PARTITION OF events FOR VALUES FROM (0) TO (500) PARTITION BY HASH (mood);
CREATE TABLE early_0 PARTITION OF early FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE early_1 PARTITION OF early FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE early_2 PARTITION OF early FOR VALUES WITH (MODULUS 3, REMAINDER 2) PARTITION BY LIST (note);
CREATE TABLE early_2_rest PARTITION OF early_2 DEFAULT;
CREATE TABLE late PARTITION OF events DEFAULT;
INSERT INTO events SELECT n, ('m' || n % 20)::mood, 'note ' || n FROM generate_series(1, 999) n;
""".format(", ".join(f"'m{number}'" for number in range(20)))


@pytest.mark.parametrize("selection", [{"select": ["early_0"]}, {"exclude": ["early_1"]}, {"exclude": ["events"]}])
def test_some_of_the_partitions_among_which_rows_move_are_refused(
    server: PostgresServer, database: str, store: str, selection: dict[str, list[str]]
) -> None:
    """A restore could put the rows nowhere; all of them, or none, are taken."""
    server.execute(database, _MOODS)
    with pytest.raises(UsageError, match=r"only some partitions are selected of .?public\.early"):
        holdfast.backup(server.url(database), store=store, select=selection.get("select", ()),
                        exclude=selection.get("exclude", ()))  # fmt: skip
    for chosen in (["events"], ["late"]):
        record = holdfast.backup(server.url(database), store=store, select=chosen, proof=True)
        assert holdfast.drill(record.id, store=store, into=server.url("")).passed
