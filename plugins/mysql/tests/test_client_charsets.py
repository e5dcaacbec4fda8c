"""Views, routines, triggers and events of clients that did not speak UTF-8."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code

# A character of each, which in some ends in a backslash or a backtick.
_CLIENTS = (("latin1", "cp1252", "ä"), ("sjis", "cp932", "表"), ("gbk", "gbk", "誠"), ("big5", "big5", "功"))
_KINDS = (
    ("VIEW", "v", "CREATE VIEW `v{0}` AS SELECT '{0}' AS `{0}`, a FROM t WHERE a <> '{0}x'"),
    ("PROCEDURE", "p", "CREATE PROCEDURE `p{0}`(`q{0}` INT) COMMENT 'it''s {0}' SELECT '{0}' AS `{0}`, a FROM {1}.t"),
    ("FUNCTION", "f", "CREATE FUNCTION `f{0}`(`q{0}` INT) RETURNS INT RETURN length('{0}')"),
    ("TRIGGER", "t", "CREATE TRIGGER `t{0}` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = concat(NEW.a, '{0}')"),
    ("EVENT", "e", "CREATE EVENT `e{0}` ON SCHEDULE EVERY 1 DAY COMMENT '{0}''' DO DELETE FROM {1}.t WHERE a = '{0}'"),
)


@pytest.fixture
def spoken(mariadb: MariaDB, database: str) -> str:
    """An object of each kind of clients in several character sets, with names and comments in them."""
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL log_bin_trust_function_creators=1")
        cursor.execute("CREATE TABLE t(a VARCHAR(20) CHARACTER SET utf8mb4)")
        for charset, codec, char in _CLIENTS:
            cursor.execute(f"SET NAMES {charset}")
            for _, _, statement in _KINDS:
                connection._execute_command(3, statement.format(char, database).encode(codec))
                connection._read_query_result()
    return database


def definitions(mariadb: MariaDB, database: str) -> list[object]:
    """What the server says of them, by their names in UTF-8."""
    rows: list[object] = []
    for charset, _, char in _CLIENTS:
        for kind, letter, _ in _KINDS:
            row = mariadb.rows(f"SHOW CREATE {kind} `{letter}{char}`", database=database, use_unicode=False)[0]
            texts = [str(value) for value in row if not hasattr(value, "year")]
            rows.append((charset, kind, [text.replace(f"`{database}`", "*").replace(database, "*") for text in texts]))
    for word in ("routine", "event"):
        columns = f"SELECT {word}_name, {word}_comment FROM information_schema.{word}s"
        rows += mariadb.rows(f"{columns} WHERE {word}_schema='{database}' ORDER BY 1")
    return rows


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_they_come_back_with_their_names_texts_and_comments(
    mariadb: MariaDB, spoken: str, round_trip: Callable[..., str], by_hand: Callable[..., str], store: str, form: str
) -> None:
    before = definitions(mariadb, spoken)
    assert definitions(mariadb, round_trip(spoken, backup={"options": {"format": form}})) == before
    result = holdfast.drill("latest", store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    target = by_hand(spoken, form)
    called = (
        "SELECT routine_name, routine_comment FROM information_schema.routines WHERE routine_schema='{}' ORDER BY 1"
    )
    assert mariadb.rows(called.format(target)) == mariadb.rows(called.format(spoken))
    for _, _, char in _CLIENTS:
        assert mariadb.rows(f"CALL `p{char}`(1)", database=target) == mariadb.rows(
            f"CALL `p{char}`(1)", database=spoken
        )
        assert mariadb.rows(f"SELECT `{char}` FROM `v{char}`", database=target) == []


def test_a_replacement_that_fails_puts_them_back(
    mariadb: MariaDB, spoken: str, store: str, content: Callable[[str], dict[str, object] | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    record = holdfast.backup(mariadb.url(spoken), store=store)
    before = definitions(mariadb, spoken)
    with mariadb.connect(spoken) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE USER 'jürgen'@'%'")
        cursor.execute("SET NAMES latin1")
        connection._execute_command(3, "CREATE DEFINER=`jürgen`@`%` PROCEDURE x() SELECT 1".encode("latin1"))
        connection._read_query_result()
    holdfast.restore(record.id, mariadb.url(spoken), store=store, replace=True)
    assert definitions(mariadb, spoken) == before
    # What only the target has is what a failure has to put back.
    mariadb.rows(f"CREATE TABLE {spoken}.other(a INT)")
    mariadb.rows("DROP USER 'jürgen'@'%'")
    monkeypatch.setattr("holdfast_mysql.restore.swap.relink", fail)
    with pytest.raises(holdfast.HoldfastError, match="cannot replace"):
        holdfast.restore(record.id, mariadb.url(spoken), store=store, replace=True)
    assert definitions(mariadb, spoken) == before
    assert mariadb.rows(f"SHOW TABLES FROM {spoken} LIKE 'other'") == [("other",)]


def fail(*_: object) -> None:
    raise holdfast.HoldfastError("cannot replace it")


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("sjis", "cp932"), ("cp932", "cp932"), ("gbk", "gbk"), ("big5", "big5"), ("gb18030", "gb18030")],
)
def test_the_last_byte_of_a_character_ends_no_string(charset: str, codec: str) -> None:
    chars = {"sjis": "ソ表", "cp932": "ソ表", "gbk": "誠猋", "big5": "功", "gb18030": "誠猋㐁"}[charset]
    text = f"SELECT '{chars}', `{chars}` FROM x.`{chars}` WHERE a = '\\'{chars}'".encode(codec)
    names = [token.name for token in code(text, charset=charset) if token.kind == "name"]
    assert names == [chars, chars]
    assert [token.text for token in code(text, charset=charset)][1] == f"'{chars}'".encode(codec)
    assert Statement(kind="view", name="v", body=text, character_set_client=charset).settings()
