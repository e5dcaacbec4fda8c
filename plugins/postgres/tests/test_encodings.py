"""Names and definitions of any encoding, and of none, come back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.postgres_proofs import differences, recorded_proof
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import HoldfastError
from holdfast_postgres.encodings import decode, encode


@given(st.binary() | st.text("a\U0010ffe9\u20ac").map(str.encode))
def test_any_bytes_are_text_that_can_be_written_down_and_that_means_these_bytes(data: bytes) -> None:
    text = decode(data, "SQL_ASCII")
    assert encode(text, "SQL_ASCII") == data
    assert text.encode().decode() == text


@pytest.mark.parametrize(("encoding", "name"), [("LATIN1", "größe"), ("EUC_JP", "表"), ("WIN1251", "имя")])
@pytest.mark.parametrize("large_table", ["0", "8MB"])
def test_names_beyond_ascii_come_back(
    server: PostgresServer, store: str, encoding: str, name: str, large_table: str
) -> None:
    with server.database(encoding=encoding, lc_collate="C", lc_ctype="C") as source:
        server.execute(
            source,
            f'CREATE TABLE "{name}" (id serial, "{name}" text)',
            f'INSERT INTO "{name}" ("{name}") VALUES (\'{name}\')',
            "CREATE TABLE other AS SELECT 1 AS a",
        )
        options = {"large_table": large_table}
        record = holdfast.backup(server.url(source), store=store, options=options, select=(name,), codec="none")
        target = f"{source}_new"
        try:
            holdfast.restore(record.id, server.url(target), store=store, options={"create": "true"})
            assert server.rows(target, f'SELECT * FROM "{name}"') == [(1, name)]
            assert server.relations(target) == {f"public.{name}"}
            assert server.value(target, f"SELECT nextval('\"{name}_id_seq\"')") == 2
        finally:
            server.drop(target)
        for path in Path(record.path, "copy").glob("*.sql"):
            assert name in path.read_bytes().decode(encoding.replace("WIN", "cp"))


@pytest.mark.parametrize("large_table", ["0", "8MB"])
def test_bytes_that_are_no_text_come_back_from_names_and_definitions_of_a_database_in_sql_ascii(
    server: PostgresServer, store: str, large_table: str
) -> None:
    with server.database(encoding="SQL_ASCII", lc_collate="C", lc_ctype="C") as source:
        with server.connect(source) as connection:
            connection.execute("SET client_encoding TO SQL_ASCII")
            connection.execute(
                b"CREATE TABLE \"caf\xe9\" (\"a\xff\" text DEFAULT '\xe9', id serial); CREATE TYPE e AS ENUM ('\xe9');"
                b"INSERT INTO \"caf\xe9\" VALUES ('\xe9\n'); COMMENT ON TABLE \"caf\xe9\" IS '\xe9';"
                b"CREATE VIEW v AS SELECT '\xe9'::text AS x; CREATE SEQUENCE \"\xe9\n, true);\""
            )
        record = holdfast.backup(server.url(source), store=store, proof=True, options={"large_table": large_table})
        target = f"{source}_new"
        try:
            holdfast.restore(record.id, server.url(target), store=store, options={"create": "true"})
            with server.connect(target) as connection:
                connection.execute("SET client_encoding TO SQL_ASCII")
                assert connection.execute(b'SELECT "a\xff", id FROM "caf\xe9"').fetchall() == [(b"\xe9\n", 1)]
                assert connection.execute("SELECT x FROM v").fetchall() == [(b"\xe9",)]
        finally:
            server.drop(target)
        assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"


def test_the_proof_of_bytes_that_are_no_text_finds_their_changes(server: PostgresServer, store: str) -> None:
    """In comments, options of foreign servers, names, and rows."""
    with server.database(encoding="SQL_ASCII", lc_collate="C", lc_ctype="C") as source:
        with server.connect(source) as connection:
            connection.execute("SET client_encoding TO SQL_ASCII")
            connection.execute(
                b"CREATE TABLE t (a text); INSERT INTO t VALUES ('\xe9'); COMMENT ON TABLE t IS '\xe9';"
                b'CREATE FOREIGN DATA WRAPPER w OPTIONS (o \'\xe9\'); CREATE TABLE "\xe9" ("\xff" text);'
                b"INSERT INTO \"\xe9\" VALUES ('\xff')"
            )
        record = holdfast.backup(server.url(source), store=store, proof=True)
        before = recorded_proof(record)
        for statement, kind in (
            (b"COMMENT ON TABLE t IS '\xe8'", "comments"),
            (b"ALTER FOREIGN DATA WRAPPER w OPTIONS (SET o '\xe8')", "definition of foreign data wrapper"),
            (b'UPDATE "\xe9" SET "\xff" = \'\xfe\'', "table"),
            (b'ALTER TABLE "\xe9" RENAME TO "\xe8"', "definition of table"),
        ):
            with server.connect(source) as connection:
                connection.execute("SET client_encoding TO SQL_ASCII")
                connection.execute(statement)
            after = recorded_proof(holdfast.backup(server.url(source), store=store, proof=True))
            assert kind in {name for name, _ in differences(before, after)}
            before = after


def test_a_database_that_lacks_a_character_names_what_to_restore_into(
    server: PostgresServer, database: str, store: str
) -> None:
    server.execute(database, "CREATE TABLE t AS SELECT '日本' AS a")
    by_copy = holdfast.backup(server.url(database), store=store, options={"large_table": "0"})
    by_pg_dump = holdfast.backup(server.url(database), store=store)
    with server.database(ENCODING="LATIN1", LC_COLLATE="C", LC_CTYPE="C") as narrow:
        for record in (by_copy, by_pg_dump):
            _refused(server, record.id, narrow, store)


def _refused(server: PostgresServer, backup: str, narrow: str, store: str) -> None:
    with pytest.raises(HoldfastError, match='has no equivalent in encoding "LATIN1"') as caught:
        holdfast.restore(backup, server.url(narrow), store=store)
    assert "encoding of the source" in str(caught.value.hint)
    assert server.relations(narrow) == set()
