"""What programs wrote into new tables is seen after a server has ended too, which forgets when it was written to."""

import time

import pytest
from support.servers.mariadb import MariaDB

from holdfast_mysql.location import locate
from holdfast_mysql.restore import write_traces
from holdfast_mysql.session import connect

TABLES = ("empty", "few", "many")


@pytest.fixture
def old_enough(mariadb: MariaDB, database: str) -> str:
    """A database whose tables were written to before this second."""
    for name in TABLES:
        mariadb.rows(f"CREATE TABLE {database}.{name} (id INT PRIMARY KEY, t TEXT)")
    mariadb.rows(f"INSERT INTO {database}.few VALUES (1, 'one')")
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO many SELECT seq, REPEAT('x', 200) FROM seq_1_to_1000")
    time.sleep(1.1)
    return database


def test_small_tables_are_compared_by_what_they_hold(mariadb: MariaDB, old_enough: str) -> None:
    session = connect(locate(mariadb.url(old_enough)))
    traces = write_traces.traces(session, old_enough, TABLES)
    forgotten = {name: f" {trace.partition(' ')[2]}" for name, trace in traces.items()}
    assert not write_traces.written(session, old_enough, forgotten)
    mariadb.rows(f"UPDATE {old_enough}.few SET t = 'two'")
    mariadb.rows(f"INSERT INTO {old_enough}.empty VALUES (1, NULL)")
    assert {*write_traces.written(session, old_enough, forgotten)} == {"empty", "few"}
    session.close()


def test_large_tables_are_compared_by_when_they_were_written_to(
    mariadb: MariaDB, old_enough: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_traces, "_CHEAP", 0)
    session = connect(locate(mariadb.url(old_enough)))
    traces = write_traces.traces(session, old_enough, TABLES)
    assert {name for name, trace in traces.items() if trace.partition(" ")[2]} == {"empty"}  # which has no time
    assert not write_traces.written(session, old_enough, traces)
    mariadb.rows(f"INSERT INTO {old_enough}.many VALUES (0, '')")
    assert write_traces.written(session, old_enough, traces) == ["many"]
    session.close()
