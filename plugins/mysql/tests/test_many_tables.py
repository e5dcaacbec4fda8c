"""What one more table costs: statements of the server, and how often its text is taken apart."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import LockedError
from holdfast_mysql.definitions import table_text as table_texts
from holdfast_mysql.definitions import tokens as lexer
from holdfast_mysql.definitions.create_table import split_keys
from holdfast_mysql.definitions.rewrite import without_counter
from holdfast_mysql.definitions.storage_clauses import storage_clauses

FEW, MANY = 5, 125  # the difference is more than two of our batches


def filled(mariadb: MariaDB, name: str, tables: int) -> str:
    mariadb.rows(f"CREATE DATABASE {name}")
    with mariadb.connect(name) as connection, connection.cursor() as cursor:
        for number in range(tables):
            cursor.execute(f"CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(9), KEY a (a))")
            cursor.execute(f"INSERT INTO t{number} (a) VALUES ('x'), (NULL)")
    return name


def statements(mariadb: MariaDB, run: Callable[[], Any]) -> int:
    """How many statements the server ran meanwhile."""

    def count() -> int:
        return int(str(mariadb.rows("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]))

    before = count()
    run()
    return count() - before


def test_each_table_costs_a_few_statements(mariadb: MariaDB, new_name: Callable[[], str], store: str) -> None:
    """A backup reads its definition and its rows, a restore makes it and loads them in a transaction."""
    cost: dict[str, list[int]] = {"backup": [], "restore": [], "drill": []}
    for tables in (FEW, MANY):
        source, target = filled(mariadb, new_name(), tables), new_name()
        newest = f"{source}/latest"
        runs: dict[str, Callable[[], object]] = {
            "backup": partial(holdfast.backup, mariadb.url(source), store=store, proof=True),
            "restore": partial(holdfast.restore, newest, mariadb.url(target), store=store),
            "drill": partial(holdfast.drill, newest, store=store, into=mariadb.url()),
        }
        for name, run in runs.items():
            cost[name].append(statements(mariadb, run))
    each = {name: (many - few) / (MANY - FEW) for name, (few, many) in cost.items()}
    assert each["backup"] < 2.2  # SHOW CREATE TABLE, SELECT
    assert each["restore"] < 3.2  # CREATE TABLE, LOAD DATA, COMMIT
    assert each["drill"] < 5.2  # besides, both of a backup


def test_a_table_that_is_locked_is_named_among_many(mariadb: MariaDB, new_name: Callable[[], str], store: str) -> None:
    source = filled(mariadb, new_name(), FEW)
    with mariadb.connect(source) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES t3 WRITE")
        with pytest.raises(LockedError, match="a metadata lock on table t3 within 1 s"):
            holdfast.backup(mariadb.url(source), store=store, options={"lock_timeout": 1})


def test_largest_numbers_of_many_tables_are_exact(mariadb: MariaDB, new_name: Callable[[], str], store: str) -> None:
    """Of every type that counts, in one database: as one type they would all be floats."""
    source, target = new_name(), new_name()
    mariadb.rows(f"CREATE DATABASE {source}")
    largest = {
        "TINYINT": 127, "SMALLINT UNSIGNED": 65535, "INT": 7, "BIGINT": 9007199254740993,
        "BIGINT UNSIGNED": 18446744073709551614, "DOUBLE": 4503599627370497, "FLOAT": 16777216,
    }  # fmt: skip
    for number, (kind, value) in enumerate(largest.items()):
        mariadb.rows(f"CREATE TABLE t{number} (id {kind} PRIMARY KEY AUTO_INCREMENT)", database=source)
        mariadb.rows(f"INSERT INTO t{number} VALUES ({value - 1})", database=source)
        mariadb.rows(f"UPDATE t{number} SET id={value}", database=source)  # which the counter does not follow
    mariadb.rows("CREATE TABLE none (id INT PRIMARY KEY AUTO_INCREMENT)", database=source)
    holdfast.backup(mariadb.url(source), store=store, proof=True)
    assert holdfast.drill(f"{source}/latest", store=store, into=mariadb.url()).state == "proven"
    holdfast.restore(f"{source}/latest", mariadb.url(target), store=store)
    for number, value in enumerate(largest.values()):
        assert mariadb.rows(f"SELECT MAX(id)={value} FROM t{number}", database=target) == [(1,)]


TABLE = (
    b"CREATE TABLE `t` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `a` text DEFAULT 'ENGINE=x, AUTO_INCREMENT=9',\n"
    b"  PRIMARY KEY (`id`),\n  KEY `a` (`a`(10))\n) ENGINE=InnoDB AUTO_INCREMENT=4 ROW_FORMAT=DYNAMIC"
)


def test_a_table_is_taken_apart_once_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def counted(text: bytes, *rest: Any, **more: Any) -> Any:
        taken.append(text)
        return lexer.code(text, *rest, **more)

    monkeypatch.setattr(table_texts, "code", counted)
    table_texts.table_text.cache_clear()
    assert [clause.name for clause in storage_clauses(TABLE)] == ["engine", "row_format"]
    assert split_keys(TABLE).keys == (b"KEY `a` (`a`(10))",)
    assert without_counter(TABLE) == (TABLE.replace(b" AUTO_INCREMENT=4", b""), 4)
    assert taken == [TABLE]


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        (b"a 'it''s' b", b"a ??????? b"),
        (rb"a '\'' b", b"a ???? b"),
        (b'a "x" `y``z` b', b"a ??? ?????? b"),
        (b"a /* ' */ b", b"a         b"),
        (b"a /*!80016 b */ c", b"a          b    c"),
        (b"a -- x '\nb", b"a       \nb"),
        (b"a # `\nb", b"a    \nb"),
        (b"a - -b '", b"a - -b '"),
    ],
)
def test_what_is_quoted_or_a_comment_is_blanked_and_all_else_stays_in_its_place(text: bytes, blanked: bytes) -> None:
    assert lexer.blanked(text) == blanked
