"""Names in definitions are changed, and nothing else is: strings, comments and columns stay."""

import re
from typing import Any

import pytest

from holdfast.api import IntegrityError
from holdfast_mysql.catalog.requirements import requirements_of
from holdfast_mysql.definitions.check_head import check_head
from holdfast_mysql.definitions.collations import StandIns
from holdfast_mysql.definitions.create_table import split_keys
from holdfast_mysql.definitions.null_tests import without_repeated_tests
from holdfast_mysql.definitions.renaming import ambiguous_refs, rename_database
from holdfast_mysql.definitions.rewrite import disabled, with_collations, with_definer
from holdfast_mysql.definitions.script import ScriptWriter, Statement, read_script
from holdfast_mysql.definitions.tokens import code, tokens
from holdfast_mysql.definitions.view_order import order_views
from holdfast_mysql.dump.scripts import text_keys_again, without_text_keys


def made(body: str, kind: str = "procedure", **more: Any) -> Statement:
    return Statement(kind=kind, name="p", body=body.encode(), **more)


@pytest.mark.parametrize(
    ("text", "sql_mode"),
    [
        ("SELECT 'it''s \\' `', \"a\\\"`\", `b``\"'`, 1 -- it's\n# it's\n/* it's */ /*!50003 live */ x--y", ""),
        ("SELECT '\\', 'x', \"a \"\" b\"", "NO_BACKSLASH_ESCAPES"),
        ("ü日本 = 'ü'", "ANSI_QUOTES"),
        ("unfinished ' string `", ""),
        ("", ""),
    ],
)
def test_no_byte_of_a_text_gets_lost_among_its_tokens(text: str, sql_mode: str) -> None:
    assert b"".join(token.text for token in tokens(text.encode(), sql_mode)) == text.encode()


def test_what_is_quoted_how_depends_on_the_sql_mode() -> None:
    text = b"\"a\" '\\' 'b"
    assert [token.kind for token in code(text, "ANSI_QUOTES,NO_BACKSLASH_ESCAPES")] == [
        "name",
        "string",
        "other",
        "word",
    ]
    assert [token.kind for token in code(text, "")] == ["string", "string", "word"]
    assert [token.name for token in code(b'`a``b` "c""d" e', "ANSI_QUOTES")] == ["a`b", 'c"d', "e"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("SELECT * FROM old.t", "SELECT * FROM `new`.t"),
        ("SELECT * FROM `old` . `t`", "SELECT * FROM `new` . `t`"),
        ("SELECT OLD.t.a FROM old.T", "SELECT `new`.t.a FROM `new`.T"),
        (
            "SELECT 'old.t', \"old.t\" /* old.t */ -- old.t\nFROM old.t",
            "SELECT 'old.t', \"old.t\" /* old.t */ -- old.t\nFROM `new`.t",
        ),
        ("SELECT old.unknown FROM t", "SELECT old.unknown FROM t"),
        ("SELECT other.t.a FROM other.old.t", "SELECT other.t.a FROM other.old.t"),
        ("SET x = old.f(1)", "SET x = `new`.f(1)"),
        ("INSERT INTO old.t SELECT old.t FROM t old", "INSERT INTO `new`.t SELECT old.t FROM t old"),
        ("CALL old.p()", "CALL `new`.p()"),
        ("DELETE FROM old.t WHERE EXISTS (SELECT 1 FROM old.u, old.t)", None),
    ],
)
def test_references_to_its_own_database_follow(body: str, expected: str | None) -> None:
    renamed = rename_database(made(body), old="old", new="new", objects=["t", "u", "f", "p"]).decode()
    assert renamed == (expected if expected is not None else body.replace("old.", "`new`."))


@pytest.mark.parametrize(
    "body",
    [
        "SELECT * FROM t JOIN old, <old>.u x",
        "SELECT old.t FROM old JOIN t ON old.u = t.u AND a LIKE old.t, <old>.u JOIN (<old>.t, <old>.u) ON 1 = old.t",
        "SELECT TRIM(old.t FROM old.u), TRUNCATE(old.t, 2), (SELECT 1 FROM <old>.u) FROM old WHERE old.t IN (1, old.u)",
        "INSERT <old>.t VALUES (1); INSERT LOW_PRIORITY IGNORE <old>.t SET a = INSERT('x', 1, old.t, old.u) SELECT old",
        "INSERT INTO <old>.t(a) SELECT old.t FROM old ON DUPLICATE KEY UPDATE a = 1, old.t = REPLACE(1, old.t, old.u)",
        "REPLACE <old>.t VALUES (2); REPLACE DELAYED <old>.u SELECT 1, old.t FROM <old>.old",
        "UPDATE t i, <old>.u j SET i.id = 5, old.t = old.u ORDER BY 1, old.t; SELECT COUNT(*) FROM <old>.old, <old>.t",
        "DELETE <old>.t FROM <old>.t WHERE old.t; DELETE t, <old>.u FROM old USE INDEX (t), t, <old>.u",
        "DELETE FROM t USING t, <old>.u, old WHERE old.t = 1",
        "CREATE TABLE <old>.made LIKE <old>.t; RENAME TABLE t TO <old>.v, <old>.u TO t; DROP VIEW IF EXISTS t, <old>.t",
        "TRUNCATE <old>.t; LOCK TABLES old READ, <old>.t WRITE; CREATE INDEX i ON <old>.t (a)",
        "SELECT NEXTVAL(<old>.t), NEXT VALUE FOR <old>.u, <old>.f(old.t), <old>.no.a INTO x, y FROM old, <old>.no",
        "SELECT CASE WHEN old.t THEN 1 END FROM (SELECT old.t FROM old) d, <old>.t UNION SELECT old.t, old.u FROM old",
        "DECLARE r ROW TYPE OF <old>.t; DECLARE s TYPE OF old.t; FETCH c INTO r, old.t; CALL <old>.p(); SET old = 1",
        "SELECT STRAIGHT_JOIN old.t FROM old STRAIGHT_JOIN <old>.t USING (t), <old>.u FOR UPDATE",
        "SELECT view, old.t, event, old.u, `from`, old.t FROM old",
    ],
)
def test_where_a_table_is_called_like_the_database_only_tables_and_routines_follow(body: str) -> None:
    statement = made(body.replace("<old>", "old"))
    renamed = rename_database(statement, old="old", new="new", objects=["t", "u", "f", "p"]).decode()
    assert renamed == body.replace("<old>", "`new`")
    left = set(re.findall(r"(?<![<\w])old\.[tu]\b", body))
    assert ambiguous_refs(statement, old="old", objects=["t", "u", "f", "p"]) == sorted(left)


def test_the_old_row_of_a_trigger_is_no_database() -> None:
    body = "CREATE TRIGGER old.tr AFTER UPDATE ON old.t FOR EACH ROW INSERT INTO old.log VALUES (OLD.t, NEW.t, OLD.log)"
    renamed = rename_database(made(body, "trigger"), old="shop", new="copy", objects=["t", "log", "tr"])
    assert renamed == body.encode()
    renamed = rename_database(made(body, "trigger", table="t"), old="old", new="copy", objects=["t", "log", "tr"])
    assert renamed.decode() == body.replace("old.", "`copy`.")


def test_quotes_of_a_reference_stay_what_they_are() -> None:
    statement = made('SELECT * FROM "old"."t", `old`.t', sql_mode="ANSI_QUOTES")
    assert rename_database(statement, old="old", new='n"`w', objects=["t"]) == b'SELECT * FROM "n""`w"."t", `n"``w`.t'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DEFINER=`a`@`%`", "PROCEDURE `p`() SELECT 1"),
        ("DEFINER=`role`", "VIEW v AS SELECT 1"),
        ("definer = current_user()", "EVENT e DO SELECT 'DEFINER=x'"),
        ('DEFINER="a b"@"%"', "PROCEDURE p() SELECT 1"),
    ],
)
def test_definers_are_replaced_or_left_out(before: str, after: str) -> None:
    statement = made(f"CREATE {before} {after}", sql_mode="ANSI_QUOTES")
    assert with_definer(statement, "current").decode() == f"CREATE DEFINER=CURRENT_USER {after}"
    assert with_definer(statement, "strip").decode() == f"CREATE  {after}"
    assert with_definer(statement, "keep") == statement.body
    plain = made(f"CREATE {after}")
    assert with_definer(plain, "current") == plain.body


def test_an_event_is_switched_off_and_its_body_stays() -> None:
    body = "CREATE EVENT `ENABLE` ON SCHEDULE EVERY 1 DAY ENABLE COMMENT 'ENABLE' DO CALL x('ENABLE')"
    assert disabled(made(body, "event")).decode() == body.replace("DAY ENABLE", "DAY DISABLE")
    off = body.replace("DAY ENABLE", "DAY DISABLE ON SLAVE")
    assert disabled(made(off, "event")).decode() == off


def test_collations_change_by_their_whole_name_outside_of_strings() -> None:
    body = (
        "CREATE TABLE t (a TEXT COLLATE utf8mb4_0900_ai_ci COMMENT 'utf8mb4_0900_ai_ci') COLLATE=utf8mb4_0900_ai_ci_x"
    )
    rewritten = with_collations(made(body, "table"), {"utf8mb4_0900_ai_ci": "utf8mb4_bin"}.get).decode()
    assert rewritten == body.replace("COLLATE utf8mb4_0900_ai_ci", "COLLATE utf8mb4_bin")


MYSQL = frozenset(
    """
    latin1_bin latin1_swedish_ci ucs2_bin ucs2_unicode_520_ci utf8mb3_czech_ci utf8mb4_0900_ai_ci utf8mb4_0900_as_ci
    utf8mb4_0900_as_cs utf8mb4_0900_bin utf8mb4_cs_0900_ai_ci utf8mb4_cs_0900_as_cs utf8mb4_general_ci
    utf8mb4_persian_ci utf8mb4_unicode_520_ci
    """.split()  # noqa: SIM905
)
MARIADB = frozenset(
    """
    utf8mb4_nopad_bin utf8mb4_uca1400_ai_ci utf8mb4_uca1400_croatian_nopad_as_cs utf8mb4_uca1400_german2_nopad_ai_ci
    utf8mb4_uca1400_nopad_ai_ci utf8mb4_uca1400_nopad_as_ci utf8mb4_uca1400_nopad_as_cs utf8mb4_unicode_520_ci
    utf8mb4_unicode_520_nopad_ci
    """.split()  # noqa: SIM905
)
OLD_MARIADB = frozenset({"utf8mb4_nopad_bin", "utf8mb4_unicode_520_ci", "utf8mb4_unicode_520_nopad_ci"})


@pytest.mark.parametrize(
    ("known", "name", "expected"),
    [
        (MARIADB, "utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"),
        (MARIADB, "utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
        (MARIADB, "utf8mb4_0900_bin", "utf8mb4_nopad_bin"),
        (MARIADB, "utf8mb4_de_pb_0900_ai_ci", "utf8mb4_uca1400_german2_nopad_ai_ci"),
        (MARIADB, "utf8mb4_sr_latn_0900_as_cs", "utf8mb4_uca1400_croatian_nopad_as_cs"),
        (MARIADB, "utf8mb4_ru_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"),
        (MARIADB, "utf8mb4_ja_0900_as_cs", None),
        (MARIADB, "utf8mb4_uca1400_ai_ci", None),
        (OLD_MARIADB, "utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_nopad_ci"),
        (OLD_MARIADB, "utf8mb4_0900_as_cs", None),
        (MYSQL, "utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_ai_ci"),
        (MYSQL, "utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_520_ci"),
        (MYSQL, "utf8mb4_uca1400_ai_cs", "utf8mb4_0900_as_cs"),
        (MYSQL, "utf8mb4_uca1400_czech_ai_ci", "utf8mb4_cs_0900_ai_ci"),
        (MYSQL, "utf8mb4_uca1400_czech_nopad_as_ci", "utf8mb4_cs_0900_as_cs"),
        (MYSQL, "utf8mb4_uca1400_persian_nopad_ai_ci", "utf8mb4_persian_ci"),
        (MYSQL, "utf8mb4_uca1400_persian_as_cs", "utf8mb4_0900_as_cs"),
        (MYSQL, "utf8mb3_uca1400_czech_ai_ci", "utf8mb3_czech_ci"),
        (MYSQL, "ucs2_uca1400_ai_ci", "ucs2_unicode_520_ci"),
        (MYSQL, "ucs2_uca1400_as_cs", "ucs2_bin"),
        (MYSQL, "utf8mb4_nopad_bin", "utf8mb4_0900_bin"),
        (MYSQL, "utf8mb4_general_nopad_ci", "utf8mb4_general_ci"),
        (MYSQL, "latin1_swedish_nopad_ci", "latin1_swedish_ci"),
        (MYSQL, "gb18030_chinese_ci", None),
    ],
)
def test_the_stand_in_for_a_collation_treats_spaces_at_the_end_alike_if_any_does(
    known: frozenset[str], name: str, expected: str | None
) -> None:
    assert StandIns(known).of(name) == expected


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("table", "CREATE TABLE `p` (\n  `a` int\n)"),
        ("table", "CREATE TABLE IF NOT EXISTS `p` (`select` int)"),
        ("view", "CREATE ALGORITHM=MERGE DEFINER=`x`@`%` SQL SECURITY INVOKER VIEW `p` AS select 1"),
        ("view", "CREATE VIEW `shop`.`p` AS select 1"),
        ("trigger", "CREATE DEFINER=`x`@`%` trigger shop.p before insert on t for each row set @a=1"),
        ("function", "CREATE DEFINER=`x`@`%` AGGREGATE FUNCTION `p`(x int) RETURNS int RETURN 1"),
        ("package body", "CREATE PACKAGE BODY `p` AS x"),
        ("rows", "INSERT INTO `p` (`a`) VALUES (1)"),
        ("sequence state", "INSERT INTO `p` VALUES (1)"),
    ],
)
def test_what_makes_its_own_object_is_let_through(kind: str, body: str) -> None:
    check_head(made(body, kind, table="t"), body.encode(), database="shop")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("table", "CREATE TABLE `q` (a int)"),
        ("table", "CREATE TABLE other.p (a int)"),
        ("table", "CREATE TABLE `p` (a int) SELECT 1"),
        ("table", "CREATE TABLE `p` LIKE x"),
        ("table", "DROP TABLE `p`"),
        ("view", "CREATE VIEW `p`.`q` AS SELECT 1"),
        ("view", "CREATE TABLE `p` (a int)"),
        ("trigger", "CREATE TRIGGER p BEFORE INSERT ON other.t FOR EACH ROW SET @a=1"),
        ("trigger", "CREATE TRIGGER p BEFORE INSERT ON u FOR EACH ROW SET @a=1"),
        ("package body", "CREATE PACKAGE `p` AS x"),
        ("rows", "REPLACE INTO `p` VALUES (1)"),
        ("rows", "INSERT INTO `q` VALUES (1)"),
        ("rows", "INSERT INTO `other`.`p` VALUES (1)"),
        ("grant", "GRANT ALL ON *.* TO x"),
        ("event", "SET GLOBAL event_scheduler=ON"),
        ("table", ""),
    ],
)
def test_what_makes_anything_else_is_refused(kind: str, body: str) -> None:
    with pytest.raises(IntegrityError):
        check_head(made(body, kind, table="t"), body.encode(), database="shop")


def test_views_come_behind_those_that_they_read_and_broken_ones_last() -> None:
    bodies = {
        "a": "select * from `c`, `B`",
        "b": "select * from `c`",
        "c": "select 'a', 1 AS `x`",
        "d": "select * from `c`",
        "e": "select * from `f`",
        "f": "select * from `e`",
    }
    views = [Statement(kind="view", name=name, body=body.encode()) for name, body in bodies.items()]
    assert [view.name for view in order_views(views, ["d"])] == ["c", "b", "a", "f", "e", "d"]


DEFINITION = b"""CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `a, KEY` varchar(9) DEFAULT 'KEY (x), ' COMMENT 'UNIQUE KEY `u` (`x`),',
  `n` int(11) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`a, KEY`(3)),
  KEY `n` (`n`),
  KEY `hidden` (`id`,`n`) /*!80000 INVISIBLE */,
  KEY `expr` (((`id` + 5))),
  FULLTEXT KEY `f` (`a, KEY`),
  CONSTRAINT `fk` FOREIGN KEY (`n`) REFERENCES `t` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck` CHECK (`id` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 2 */"""


def test_keys_are_taken_out_of_a_definition_as_far_as_their_order_allows() -> None:
    """The key of the counter stays, and so does every key before it; the rest comes back in its order."""
    parts = split_keys(DEFINITION)
    assert parts.keys == (b"KEY `hidden` (`id`,`n`) /*!80000 INVISIBLE */", b"KEY `expr` (((`id` + 5)))")
    assert parts.references == (b"CONSTRAINT `fk` FOREIGN KEY (`n`) REFERENCES `t` (`id`) ON DELETE CASCADE",)
    assert parts.create == (
        DEFINITION.replace(b",\n  " + parts.keys[0], b"")
        .replace(b",\n  " + parts.keys[1], b"")
        .replace(b",\n  " + parts.references[0], b"")
    )
    assert split_keys(DEFINITION.replace(b" AUTO_INCREMENT", b"")).keys[0] == b"UNIQUE KEY `u` (`a, KEY`(3))"


def test_a_table_of_another_engine_or_without_a_primary_key_keeps_what_it_is_sorted_by() -> None:
    assert split_keys(DEFINITION.replace(b"InnoDB", b"Aria")).create == DEFINITION.replace(b"InnoDB", b"Aria")
    without = DEFINITION.replace(b"  PRIMARY KEY (`id`),\n", b"").replace(b" AUTO_INCREMENT", b"")
    assert split_keys(without).keys[0] == b"KEY `n` (`n`)"
    plain = b"CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB"
    assert split_keys(plain).create == plain


def test_full_text_keys_are_left_where_the_table_numbers_its_texts() -> None:
    body = (
        b"CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `FTS_DOC_ID` bigint unsigned NOT NULL,\n  `a` text,\n"
        b"  PRIMARY KEY (`id`),\n  UNIQUE KEY `FTS_DOC_ID_INDEX` (`FTS_DOC_ID`),\n  FULLTEXT KEY `f` (`a`)\n)"
        b" ENGINE=InnoDB"
    )
    assert split_keys(body).keys == (
        b"UNIQUE KEY `FTS_DOC_ID_INDEX` (`FTS_DOC_ID`)", b"FULLTEXT KEY `f` (`a`)",
    )  # fmt: skip
    other = body.replace(b"FTS_DOC_ID`", b"fts_doc_id`")
    assert split_keys(other).keys == (b"UNIQUE KEY `FTS_DOC_ID_INDEX` (`fts_doc_id`)",)
    statement = Statement(kind="table", name="t", body=body)
    assert [each.body for each in without_text_keys([statement])] == [body, b"ALTER TABLE `t` DROP KEY `f`"]
    assert [each.body for each in text_keys_again([statement])] == [b"ALTER TABLE `t` ADD FULLTEXT KEY `f` (`a`)"]


def test_a_script_comes_back_as_it_was_cut_anywhere() -> None:
    statements = [
        Statement(kind="table", name="a\n`b", body=b"CREATE TABLE x;;0 -- ;;1\n-- holdfast {\"kind\": \"table\"}\n"),
        Statement(kind="procedure", name="p", body=b"\xff\xfe'; DROP", sql_mode="", character_set_client="latin1",
                  collation_connection="latin1_swedish_ci", time_zone="SYSTEM", collation="latin1_bin"),
        Statement(kind="rows", name="t", body=b"INSERT " + b"x" * 5000, extra={"labels": ["e"]}),
        Statement(kind="view", name="v", body=b"", sql_mode="ANSI_QUOTES"),
    ]  # fmt: skip
    writer = ScriptWriter(title="t", avoid=[statement.body for statement in statements])
    text = writer.opening() + b"".join(map(writer.statement, statements)) + writer.closing()
    assert b"DELIMITER ;;2\n" in text
    for size in (1, 7, 100, 10**6):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        assert list(read_script(pieces)) == statements
    for cut in (10, len(text) // 2, len(text) - 30, len(text) - 3):
        with pytest.raises(IntegrityError):
            list(read_script([text[:cut]]))
    for line in (
        b"-- holdfast {}\n",
        b'-- holdfast {"kind":"t","name":"x","bytes":-1}\n',
        b"-- holdfast [\n",
        b"x" * (2 << 20),
    ):
        with pytest.raises(IntegrityError):
            list(read_script([line]))


def test_text_in_another_language_is_no_code() -> None:
    """A library of MySQL: its text stands between dollars, and holds whatever it wants."""
    body = b"CREATE FUNCTION `f`() RETURNS int\n    USING (`old`.`l` AS `m`)\nAS $J$ it's `old`.`l` $$ \" $J$"
    function = Statement(kind="function", name="f", body=body)
    renamed = rename_database(function, old="old", new="new", objects=())
    assert renamed == body.replace(b"USING (`old`", b"USING (`new`")


def test_needs_are_counted_and_named() -> None:
    statements = [
        Statement(kind="sequence", name="s", body=b"CREATE SEQUENCE `s`"),
        Statement(
            kind="table", name="t", body=b"CREATE TABLE `t` (`a` int /*!80023 INVISIBLE */) COLLATE=utf8mb4_0900_ai_ci"
        ),
        Statement(kind="function", name="f", body=b"CREATE AGGREGATE FUNCTION `f`(x int)"),
    ]
    assert requirements_of((), statements) == {
        "clause INVISIBLE": [1, ["t"]],
        "collation utf8mb4_0900_ai_ci": [1, ["t"]],
        "creator function": [1, ["f"]],
        "object aggregate function": [1, ["f"]],
        "object sequence": [1, ["s"]],
    }


def test_views_that_differ_by_case_are_each_their_own() -> None:
    """Where a server tells case apart there are several of them, where it does not any spelling names the one."""
    texts = {"Report": "a from `T`", "report": "b from `REPORT`", "REPORT": "1 from `deep`", "Deep": "1"}
    views = [
        Statement(kind="view", name=name, body=f"CREATE VIEW `{name}` AS select {text}".encode())
        for name, text in texts.items()
    ]
    assert [view.name for view in order_views(views, ())] == ["Deep", "REPORT", "Report", "report"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where ((a > 1) and (b is not null) and (b is not null))", "where ((a > 1) and (b is not null))"),
        ("where ((b is not null) and (b is not null))", "where (b is not null)"),
        ("where (((a + 1) is not null) and (c is not null) and ((a + 1) is not null))",
         "where (((a + 1) is not null) and (c is not null))"),
        ("where ((a > 1) and ('(b is not null) and (b is not null)' > b))", None),
        ("where (((a > 1) or (b is not null)) and (b is not null))", None),
        ("where ((a or b is not null) and (a or b is not null))", None),
    ],
)  # fmt: skip
def test_a_test_that_mysql_adds_again_to_a_view_counts_once(text: str, expected: str | None) -> None:
    """It does with each CREATE VIEW of a query with INTERSECT: a drill would call a good backup damaged."""
    body = f"CREATE VIEW v AS select a from t {{}} intersect select b from t {text}"
    whole = body.format(text).encode()
    assert without_repeated_tests(made(""), whole) == body.replace(text, expected or text).format(
        expected or text
    ).encode()  # fmt: skip
    alone = f"CREATE VIEW v AS select a from t {text}".encode()
    assert without_repeated_tests(made(""), alone) == alone
