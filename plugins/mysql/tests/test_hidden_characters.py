"""Characters beyond U+FFFF in members and defaults, for which a server writes `?` in its definitions."""

from collections.abc import Callable, Iterator

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_TABLE = (
    "CREATE TABLE t(id INT PRIMARY KEY, `e,'` ENUM('😀','x','it''s 😁','?') CHARACTER SET utf8mb4 DEFAULT 'it''s 😁',"
    " s SET('😀','y') CHARACTER SET utf16 NOT NULL DEFAULT '😀,y',"
    " a VARCHAR(20) CHARACTER SET utf8mb4 DEFAULT 'a\\\\😀?\\n',"
    " u CHAR(9) CHARACTER SET utf32 NOT NULL DEFAULT '😀', l VARCHAR(9) CHARACTER SET latin1 DEFAULT '?',"
    " x TEXT CHARACTER SET utf8mb4 DEFAULT ('😀?'), k INT DEFAULT 5 COMMENT 'why?')"
)
_VALUES = "SELECT id, HEX(`e,'`), HEX(s), HEX(a), HEX(u), HEX(l), HEX(x), k FROM {}.t ORDER BY id"


@pytest.fixture
def hiding(mariadb: MariaDB, database: str) -> Iterator[str]:
    """A table with such members and defaults, in a row of them each."""
    mariadb.rows(_TABLE, database=database)
    mariadb.rows("INSERT INTO t(id) VALUES (1)", database=database)
    for number in range(2, 5):
        mariadb.rows(f"INSERT INTO t(id, `e,'`, s) VALUES ({number}, {number}, {number - 1})", database=database)
    yield database
    mariadb.rows("DROP USER IF EXISTS reader@'%'")


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_members_and_defaults_come_back_with_all_characters(
    mariadb: MariaDB, hiding: str, round_trip: Callable[..., str], by_hand: Callable[..., str], store: str, form: str
) -> None:
    targets = [round_trip(hiding, backup={"options": {"format": form}}), by_hand(hiding, form)]
    result = holdfast.drill("latest", store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    for number in range(5, 9):
        mariadb.rows(f"INSERT INTO t(id, `e,'`) VALUES ({number}, {number - 4})", database=hiding)
    mariadb.rows("INSERT INTO t(id) VALUES (9)", database=hiding)
    for target in targets:
        # What is put in from now on tells whether members and defaults are what they were.
        for number in range(5, 9):
            mariadb.rows(f"INSERT INTO t(id, `e,'`) VALUES ({number}, {number - 4})", database=target)
        mariadb.rows("INSERT INTO t(id) VALUES (9)", database=target)
        assert mariadb.rows(_VALUES.format(target)) == mariadb.rows(_VALUES.format(hiding))


def test_what_cannot_be_read_is_told_of(mariadb: MariaDB, hiding: str, store: str) -> None:
    mariadb.rows("CREATE USER reader@'%'")
    mariadb.rows(f"GRANT SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON {hiding}.* TO reader@'%'")
    result = holdfast.backup(mariadb.url(hiding, user="reader"), store=store, options={"incomplete": True})
    told = [warning for warning in result.warnings if "temporary tables" in warning]
    assert len(told) == 1
    assert "t.a, t.e,', t.s, t.u," in told[0]
    assert not [w for w in holdfast.backup(mariadb.url(hiding), store=store).warnings if "temporary" in w]
