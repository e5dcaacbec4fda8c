"""Character sets other than UTF-8 and those of one byte: bytes that look like ASCII are none."""

from collections.abc import Callable

import pytest
from support.mysql_charsets import CHARSETS, statements
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import Proof
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import read_tables
from holdfast_mysql.definitions.collations import StandIns, fit_to_server
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.location import locate
from holdfast_mysql.proof.record import METHOD
from holdfast_mysql.proof.repeat import repeat_proof
from holdfast_mysql.restore.connections import prepare_writer
from holdfast_mysql.session import Server, connect, use

Content = Callable[[str], dict[str, object] | None]


@pytest.fixture
def lettered(mariadb: MariaDB, database: str) -> str:
    """A database with a bit of everything in each character set."""
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        for charset, (char, code) in CHARSETS.items():
            for statement in statements(charset, char, code):
                cursor.execute(statement)
    return database


@pytest.mark.sweep(3)
@pytest.mark.parametrize(("form", "infile"), [("wire", True), ("wire", False), ("sql", True)])
def test_labels_defaults_and_literals_come_back(
    mariadb: MariaDB, content: Content, lettered: str, round_trip: Callable[..., str], store: str,
    form: str, infile: bool,
) -> None:  # fmt: skip
    target = round_trip(lettered, backup={"options": {"format": form}}, restore={"options": {"local_infile": infile}})
    assert content(target) == content(lettered)
    result = holdfast.drill("latest", store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())


@pytest.mark.sweep(1)
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_labels_defaults_and_literals_come_back_by_hand(
    content: Content, lettered: str, by_hand: Callable[..., str], form: str
) -> None:
    assert content(by_hand(lettered, form)) == content(lettered)


def test_a_proof_of_labels_is_repeated_by_labels(mariadb: MariaDB, lettered: str) -> None:
    """Proofs of older backups do not say how members of an ENUM were read: as text, in every character set."""
    location = locate(mariadb.url(lettered))
    session = connect(location, database=lettered)
    tables = read_tables(session, lettered, Selection(select=("ucs2_key", "swe7_part")))
    session.close()
    newer, older = (
        repeat_proof(location, tables, Proof(method=METHOD, settings=settings), jobs=1, without="")
        for settings in ({"labels": "latin"}, {})
    )
    changed = [(new.kind, new.name) for new, old in zip(newer.objects, older.objects, strict=True) if new != old]
    assert changed == [("rows", "ucs2_key")]


def test_a_character_set_without_a_collation_means_what_it_meant(mariadb: MariaDB, database: str) -> None:
    """As servers wrote it that named no default, on one where `utf8` has four bytes and its collation is another."""
    mariadb.rows("SET GLOBAL old_mode=''")
    newer = mariadb.rows("SHOW VARIABLES LIKE 'character_set_collations'")
    session = connect(locate(mariadb.url(database)))
    try:
        prepare_writer(session)
        use(session, database)
        session.execute("CREATE TABLE t(a TEXT, b TEXT CHARACTER SET utf8mb4) DEFAULT CHARSET=utf8")
        rows = session.texts("SELECT collation_name FROM information_schema.columns WHERE table_schema=DATABASE()")
        assert rows == [("utf8mb3_general_ci",), ("utf8mb4_general_ci",)], newer
    finally:
        mariadb.rows("SET GLOBAL old_mode=DEFAULT")
        session.close()


def test_newer_servers_are_told_the_collation_that_older_ones_did_not_write() -> None:
    body = (
        b"CREATE TABLE `CHARSET=utf8mb4` (`a` text CHARACTER SET utf8mb4, `b` text CHARACTER SET utf8mb4 COLLATE"
        b" utf8mb4_bin COMMENT 'CHARACTER SET utf8mb4') DEFAULT CHARSET=utf8mb4 COMMENT='x'"
    )
    statement = Statement(kind="table", name="t", body=body)
    ours, theirs = Server.of("9.7.0"), Server.of("10.2.44-MariaDB")
    ins = StandIns(frozenset({"utf8mb4_general_ci", "utf8mb4_bin"}))
    told = fit_to_server(statement, source=theirs, server=ours, stand_ins=ins).body
    assert told == body.replace(b"utf8mb4, `b`", b"utf8mb4 COLLATE utf8mb4_general_ci, `b`").replace(
        b"utf8mb4 COMMENT='x'", b"utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='x'"
    )
    assert fit_to_server(statement, source=ours, server=ours, stand_ins=ins).body == body
    assert fit_to_server(statement, source=theirs, server=theirs, stand_ins=ins).body == body
