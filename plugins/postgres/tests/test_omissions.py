"""What a backup of PostgreSQL lacks is said by name; what it does not lack is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast_postgres.client.messages import warnings_in


@pytest.fixture
def reader(server: PostgresServer, database: str) -> Iterator[str]:
    """A role that may read everything and is no superuser."""
    name = f"reader_{database}"
    server.execute("postgres", f"CREATE ROLE {name} LOGIN IN ROLE pg_read_all_data")
    yield name
    server.execute("postgres", f"DROP ROLE {name}")


def test_warnings_of_programs_that_end_well_are_read() -> None:
    """Each once, with its details and without its hints."""
    lines = [
        "pg_dump: warning: there are circular foreign-key constraints on these tables:",
        "pg_dump: detail: a",
        "pg_dump: detail: b",
        "pg_dump: hint: You might not be able to restore the dump",
        "pg_dump: saving database definition",
        "pg_dump: warning: subscriptions not dumped because current user is not a superuser",
        'WARNING:  database "x" has a collation version mismatch',
        "DETAIL:  It was made with 1.",
        "HINT:  Rebuild all objects",
        'WARNING:  database "x" has a collation version mismatch',
        "DETAIL:  It was made with 1.",
    ]
    assert warnings_in(lines) == [
        "pg_dump: there are circular foreign-key constraints on these tables: (a, b)",
        "pg_dump: subscriptions not dumped because current user is not a superuser",
        'warning of the server: database "x" has a collation version mismatch (It was made with 1.)',
    ]
    assert len(warnings_in([f"pg_dump: warning: {number}" for number in range(150)])) == 101


def test_what_a_lesser_role_does_not_see_is_said(
    server: PostgresServer, database: str, reader: str, store: str, *, bare: bool
) -> None:
    """Subscriptions and the options of user mappings; a superuser has them all, without a word."""
    server.execute(
        database,
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER far FOREIGN DATA WRAPPER w",
        "CREATE USER MAPPING FOR postgres SERVER far OPTIONS (password 'p')",
        "CREATE USER MAPPING FOR PUBLIC SERVER far",
    )
    server.execute(
        database, "CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)"
    )
    try:
        lesser = holdfast.backup(server.url(database, reader), store=store)
        whole = holdfast.backup(server.url(database), store=store)
    finally:
        server.execute(database, "ALTER SUBSCRIPTION sub SET (slot_name = NONE)", "DROP SUBSCRIPTION sub")
    assert [warning for warning in lesser.warnings if "subscription sub" in warning and reader in warning]
    assert [
        warning for warning in lesser.warnings if "options of user mapping" in warning and "postgres on far" in warning
    ]
    assert len(lesser.warnings) == 2
    assert whole.warnings == ()
    assert "subscription sub" in Path(lesser.path, "backup_manifest.json").read_text()


def test_own_parts_of_tables_of_extensions_are_named(
    server: PostgresServer, database: str, store: str, *, bare: bool
) -> None:
    """Those that the extension made itself are not: they come back with it."""
    if bare:
        return
    server.execute(
        database,
        "CREATE EXTENSION hstore",
        "BEGIN; CREATE TABLE log (id int PRIMARY KEY CHECK (id > 0), at int); CREATE INDEX theirs ON log (at);"
        "ALTER EXTENSION hstore ADD TABLE log; COMMIT",
    )
    assert holdfast.backup(server.url(database), store=store).warnings == ()
    server.execute(
        database,
        "CREATE INDEX ours ON log (at)",
        "ALTER TABLE log ADD CONSTRAINT small CHECK (id < 10)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER tells BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE PUBLICATION pub FOR TABLE log",
        "BEGIN; CREATE TABLE late (at int); ALTER EXTENSION hstore ADD TABLE late; CREATE INDEX later ON late (at);"
        "COMMIT",
    )
    text = " ".join(holdfast.backup(server.url(database), store=store).warnings)
    for name in (
        "index ours on public.log",
        "constraint small",
        "trigger tells",
        "public.log in publication pub",
        "index later",
    ):
        assert name in text
    assert "theirs" not in text
    assert "log_pkey" not in text


def test_what_pg_dump_never_writes_is_named(server: PostgresServer, database: str, store: str) -> None:
    """Objects in the system's schema, invalid indexes, and rights of a role that is gone."""
    gone = f"gone_{database}"
    server.execute(
        database,
        "CREATE FUNCTION pg_catalog.ours() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE t (a int)",
        "INSERT INTO t VALUES (1), (1)",
        "CREATE INDEX broken ON t (a)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
        "CREATE TABLE granted (a int)",
        f"CREATE ROLE {gone}",
        f"GRANT SELECT ON granted TO {gone}, postgres",
        f"DELETE FROM pg_authid WHERE rolname = '{gone}'",
    )
    warnings = holdfast.backup(server.url(database), store=store).warnings
    assert "rights of roles that have been removed cannot be restored: on 'table public.granted'" in warnings
    assert any("function ours()" in warning for warning in warnings)
    assert any("index public.broken" in warning for warning in warnings)
    assert len(warnings) == 3


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", ["oid", "bigint", "text"])
def test_large_objects_that_rows_of_a_selection_refer_to_are_said(
    server: PostgresServer, database: str, store: str, kind: str
) -> None:
    """Whether selected at the backup or at the restore, whatever the type of the column; other tables are quiet."""
    server.execute(
        database,
        f"CREATE TABLE documents (id int, body {kind})",
        "CREATE TABLE other (id int, note text, number oid)",
        f"INSERT INTO documents SELECT n, lo_from_bytea(0, 'x')::text::{kind} FROM generate_series(1, 3) n",
        "INSERT INTO other VALUES (1, 'text', 1)",
    )
    said = holdfast.backup(server.url(database), store=store, select=["documents"], name="a").warnings
    assert ["large objects" in warning and "public.documents" in warning for warning in said] == [True]
    assert holdfast.backup(server.url(database), store=store, select=["other"], name="b").warnings == ()
    whole = holdfast.backup(server.url(database), store=store, name="whole")
    assert whole.warnings == ()
    for table, expected in (("documents", 1), ("other", 0)):
        new = f"{database}_{table}"
        try:
            done = holdfast.restore(whole.id, server.url(new), store=store, select=[table], options={"create": "true"})
        finally:
            server.drop(new)
        assert len(done.warnings) == expected
