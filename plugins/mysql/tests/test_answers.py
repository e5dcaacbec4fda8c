"""Answers of the server as they are read from the driver's buffer."""

import threading
from collections.abc import Callable, Iterator

import pymysql
import pytest
from support.servers.mariadb import MariaDB

from holdfast_mysql.location import locate
from holdfast_mysql.session import Session, connect


@pytest.fixture
def session(mariadb: MariaDB) -> Iterator[Session]:
    opened = connect(locate(mariadb.url(), database=False), database="mysql")  # sequences of numbers need one
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [0, 1, 250, 251, 65535, 65536, (1 << 24) - 5, (1 << 24) - 1, 1 << 24, (1 << 25) + 3])
def test_values_of_any_length_come_whole_beside_others(session: Session, size: int) -> None:
    """Also those that fill a packet to its last byte, and that take several."""
    ((before, value, none, after),) = session.rows(f"SELECT 1, REPEAT('a', {size}), NULL, 'z'")
    assert (before, none, after) == (b"1", None, b"z")
    assert value == b"a" * size
    assert session.value("SELECT 2") == "2"


def test_no_row_and_many_rows_and_columns_come_as_they_are(session: Session) -> None:
    assert session.rows("SELECT 1 FROM DUAL WHERE FALSE") == []
    assert session.rows("SELECT seq FROM seq_1_to_70000")[-1] == (b"70000",)
    assert session.dicts("SELECT " + ", ".join(f"{n} AS `c{n}`" for n in range(300)))[0]["c299"] == b"299"


def test_what_a_statement_did_is_told(session: Session) -> None:
    session.execute("CREATE TEMPORARY TABLE mysql.holdfast_answers (a TINYINT)")
    session.execute("SET sql_mode=''")
    answer = session.query("INSERT INTO mysql.holdfast_answers VALUES (1), (300), (400)")
    assert (answer.affected, answer.warnings, answer.rows) == (3, 2, [])
    assert session.query("SELECT CAST('x' AS INT)").warnings == 1


def test_an_error_before_and_amid_the_rows_leaves_the_connection_usable(session: Session) -> None:
    with pytest.raises(pymysql.ProgrammingError) as told:
        session.rows("SELECT nonsense(")
    assert told.value.args[0] == 1064
    with pytest.raises(pymysql.MySQLError) as told:
        session.rows("SELECT IF(seq < 50000, seq, (SELECT 1 UNION SELECT 2)) FROM seq_1_to_60000")
    assert told.value.args[0] == 1242
    assert session.value("SELECT 3") == "3"


@pytest.mark.parametrize("end", ["KILL", "abort"])
def test_a_connection_that_is_cut_while_it_waits_is_a_lost_one(mariadb: MariaDB, session: Session, end: str) -> None:
    number = int(session.value("SELECT CONNECTION_ID()"))
    cut: Callable[[], object] = session.abort if end == "abort" else lambda: mariadb.rows(f"KILL {number}")
    timer = threading.Timer(0.5, cut)
    timer.start()
    with pytest.raises(pymysql.MySQLError) as told:
        session.rows("SELECT SLEEP(60)")
    assert told.value.args[0] in (1927, 2013)
    timer.join()


def test_a_statement_with_two_results_is_an_error(mariadb: MariaDB, session: Session) -> None:
    mariadb.rows("CREATE OR REPLACE PROCEDURE mysql.holdfast_two() SELECT 1")
    with pytest.raises(pymysql.InternalError, match="more than one result"):
        session.rows("CALL mysql.holdfast_two()")
    mariadb.rows("DROP PROCEDURE mysql.holdfast_two")
