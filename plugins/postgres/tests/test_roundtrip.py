"""What is restored is what was dumped: the text that pg_dump writes of both is the same."""

from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import Event, EventType


def _native(server: PostgresServer, source: str, target: str, folder: Path) -> str:
    """The text of a database after PostgreSQL's own route: pg_dump -Fc and pg_restore."""
    archive = server.folder / f"{source}.dump"
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    server.run.output("pg_dump", *where, "-Fc", "-f", str(archive), source)
    server.run.output("pg_restore", *where, "-d", target, str(archive))
    return server.text(target)


def _lines(text: str) -> list[str]:
    """Rows come back in another order when a table is read in parts."""
    return sorted(text.splitlines())


@pytest.mark.sweep(4)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"large_table": "0"},
        {"format": "plain"},
        {"format": "custom"},
        {"format": "directory"},
        {"format": "tar"},
    ],
    ids=["parallel", "every-table-apart", "plain", "custom", "directory", "tar"],
)
def test_every_kind_of_object_comes_back_as_by_pg_dump_and_pg_restore(
    server: PostgresServer, odd: str, target: str, store: str, tmp_path: Path, options: dict[str, str]
) -> None:
    record = holdfast.backup(server.url(odd), store=store, options=options)
    result = holdfast.restore(record.id, server.url(target), store=store)
    with server.database() as native:
        expected = _native(server, odd, native, tmp_path)
    assert _lines(server.text(target)) == _lines(expected)
    assert not [warning for warning in result.warnings if "not restored" in warning]
    assert server.value(target, "SELECT is_called FROM app.untouched") is False
    assert server.rows(target, "SELECT last_value FROM app.counter") == [(-43,)]
    assert server.quiet()


def test_a_table_read_in_ranges_has_every_row_once(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Also rows that moved, were deleted, or lie in a block that a parallel range begins with."""
    server.execute(
        database,
        "CREATE TABLE wide (id int PRIMARY KEY, text text) WITH (fillfactor = 60)",
        "INSERT INTO wide SELECT n, repeat(md5(n::text), 6) FROM generate_series(1, 30000) n",
        "UPDATE wide SET text = text || 'moved' WHERE id % 7 = 0",
        "DELETE FROM wide WHERE id % 11 = 0",
    )
    options = {"large_table": "1MB", "part_size": "1MB"}
    record = holdfast.backup(server.url(database), store=store, options=options)
    folder = Path(record.path)
    assert len(list(folder.glob("data/public.wide/*.copy*"))) > 5
    holdfast.restore(record.id, server.url(target), store=store)
    query = "SELECT count(*), sum(hashtextextended(w::text, 0)::numeric) FROM wide w"
    assert server.rows(target, query) == server.rows(database, query)
    assert server.text(target, "--schema-only") == server.text(database, "--schema-only")


def test_a_table_with_bytea_is_read_in_binary(server: PostgresServer, odd: str, store: str) -> None:
    """Text takes two characters for a byte; types whose binary form could differ elsewhere stay text."""
    record = holdfast.backup(server.url(odd), store=store, codec="none", options={"large_table": "0"})
    folder = Path(record.path)
    assert (folder / "data/public.files.copy").read_bytes().startswith(b"PGCOPY\n\xff\r\n\0")
    assert not (folder / "data/app.kinds.copy").read_bytes().startswith(b"PGCOPY")


@pytest.mark.parametrize(
    ("encoding", "locale"), [("LATIN1", "C"), ("SQL_ASCII", "C"), ("EUC_JP", "C")], ids=["latin1", "ascii", "euc"]
)
def test_a_database_in_another_encoding_comes_back_in_it(
    server: PostgresServer, store: str, encoding: str, locale: str
) -> None:
    """`create` makes the target with the encoding and locale of the source."""
    with server.database(ENCODING=encoding, LC_COLLATE=locale, LC_CTYPE=locale) as source:
        text = "\\xe9\\xe8" if encoding == "SQL_ASCII" else "aé" if encoding == "LATIN1" else "日本"
        server.execute(source, "CREATE TABLE t (a text)")
        value = f"E'{text}'" if encoding == "SQL_ASCII" else f"'{text}'"
        server.execute(source, f"INSERT INTO t SELECT {value} FROM generate_series(1, 10)")
        record = holdfast.backup(server.url(source), store=store, options={"large_table": "0"})
        made = f"{source}_made"
        try:
            holdfast.restore(record.id, server.url(made), store=store, options={"create": "true"})
            same = "SELECT count(*), count(DISTINCT a), max(octet_length(a)) FROM t"
            assert server.rows(made, same) == server.rows(source, same)
            kind = (
                "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()"
            )
            assert server.rows(made, kind) == [(encoding, locale)]
        finally:
            server.drop(made)


def test_sequences_come_back_as_they_were_read_at_the_start(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Values, and whether they were used; pg_dump reads them a second time, which does not count."""
    server.execute(
        database,
        "CREATE SEQUENCE down INCREMENT -3 START -5",
        "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY, s bigserial)",
        "INSERT INTO t DEFAULT VALUES",
        "SELECT nextval('down'), nextval('down')",
    )

    def advance(event: Event) -> None:
        if event.type is EventType.STARTED:
            server.execute(database, "SELECT nextval('down'), nextval('t_s_seq')")

    record = holdfast.backup(server.url(database), store=store, on_event=advance, proof=True)
    assert server.value(database, "SELECT last_value FROM down") == -11
    holdfast.restore(record.id, server.url(target), store=store)
    query = "SELECT 'down', last_value, is_called FROM down UNION ALL SELECT 's', last_value, is_called FROM t_s_seq"
    assert server.rows(target, query) == [("down", -8, True), ("s", 1, True)]
    assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"


def test_of_an_extensions_configuration_table_the_archive_holds_what_the_extension_says(
    server: PostgresServer, database: str, store: str
) -> None:
    """Such a table is never read apart: only pg_dump knows the condition on its rows."""
    server.execute(
        database,
        "CREATE EXTENSION hstore",
        "CREATE TABLE setting (name text)",
        "INSERT INTO setting VALUES ('row of a user'), ('row of the extension')",
        "ALTER EXTENSION hstore ADD TABLE setting",
    )
    with server.connect(database) as connection:
        connection.execute("SET allow_system_table_mods TO on")
        connection.execute(
            "UPDATE pg_extension SET extconfig = ARRAY['setting'::regclass::oid], "
            "extcondition = ARRAY[$$WHERE name = 'row of a user'$$] WHERE extname = 'hstore'"
        )
    record = holdfast.backup(server.url(database), store=store, codec="none", options={"large_table": "0"})
    archive = Path(record.path, "archive.dump").read_bytes()
    assert b"row of a user\n" in archive
    assert b"row of the extension\n" not in archive
    assert not Path(record.path, "data").exists()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kind", swept("parallel", "plain", "custom", long=["directory", "tar"]))
def test_the_manual_steps_restore_the_backup_without_holdfast(
    server: PostgresServer, odd: str, store: str, kind: str
) -> None:
    """RESTORE.md is run as it stands, with TARGET_DB filled in."""
    import os
    import re
    import subprocess

    parts = {"large_table": "0", "part_size": "1MB"} if kind == "parallel" else {}
    record = holdfast.backup(server.url(odd), store=store, options={"format": kind, **parts})
    instructions = Path(record.path, "RESTORE.md").read_text()
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", instructions, re.DOTALL))
    made = f"{odd}_by_hand"
    environment = {
        **os.environ,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PATH": f"{os.environ.get('HOLDFAST_PG_BINDIR', server.run.folder)}:{os.environ['PATH']}",
    }
    try:
        # The one error that the instructions name, from a pg_restore newer than the server, must not end it.
        told = "does not know transaction_timeout" in instructions
        done = subprocess.run(
            ["bash", "-uo" if told else "-euo", "pipefail", "-c", commands.replace("TARGET_DB", made)],
            cwd=record.path, check=False, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        errors = re.findall(".*error: .*", done.stderr, re.IGNORECASE)
        assert [line for line in errors if not told or '"transaction_timeout"' not in line] == []
        assert done.returncode == 0 or told
        assert _lines(server.text(made)) == _lines(server.text(odd))
    finally:
        server.drop(made)


def test_a_schema_alone_and_data_alone_make_a_whole(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """schema_only leaves the rows out, data_only the definitions; one after the other they give the database."""
    server.execute(
        database,
        "CREATE TABLE a (id serial PRIMARY KEY, up int REFERENCES a, text text)",
        "INSERT INTO a SELECT n, n % 50 + 1, md5(n::text) FROM generate_series(1, 5000) n",
        "CREATE TABLE b (id int REFERENCES a)",
        "INSERT INTO b SELECT n FROM generate_series(1, 100) n",
    )
    url = server.url(database)
    schema = holdfast.backup(url, store=store, options={"schema_only": "true"})
    data = holdfast.backup(url, store=store, options={"data_only": "true", "large_table": "0"})
    holdfast.restore(schema.id, server.url(target), store=store)
    assert server.value(target, "SELECT count(*) FROM a") == 0
    holdfast.restore(data.id, server.url(target), store=store)
    assert _lines(server.text(target)) == _lines(server.text(database))
    with pytest.raises(holdfast.HoldfastError, match="is not empty") as caught:
        holdfast.restore(data.id, server.url(target), store=store)
    assert "TRUNCATE" in str(caught.value.hint)
