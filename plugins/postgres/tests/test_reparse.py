"""Definitions that print otherwise once they were restored: a drill knows them again, and what was changed of them."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.operations.drill import DrillResult
from holdfast.testing.drills import drill_mutated
from holdfast_postgres.proof import record

Drill = Callable[..., DrillResult]
_IN = "s IN ('open', 'closed')"
_TABLE = "CREATE TABLE t (id int, s varchar(10))"


@pytest.fixture
def drilled(server: PostgresServer, database: str, store: str) -> Drill:
    """Back up what some statements made, and drill that, with changes in between."""

    def drill(*statements: str, change: str = "", into: str = "", old: bool = False, make: bool = True) -> DrillResult:
        if make:
            server.execute(database, *statements)
        backup = holdfast.backup(server.url(database), store=store, proof=True)
        if old:
            forget_texts(backup)

        def apply(url: str) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(change.encode() or b"SELECT")

        return drill_mutated(backup.id, store, apply, into=into or server.url(""))

    return drill


def forget_texts(backup: holdfast.Backup) -> None:
    """Make a proof one as Holdfast 0.1 recorded it."""
    manifest = Path(backup.path, "backup_manifest.json")
    document = json.loads(manifest.read_text())
    del document["proof"]["settings"]["texts"], document["proof"]["settings"]["public"]
    manifest.write_text(json.dumps(document))


def test_a_source_without_the_schema_public_is_proven(drilled: Drill) -> None:
    result = drilled("DROP SCHEMA public", "CREATE SCHEMA app", "CREATE TABLE app.t (a int)")
    assert (result.state, result.problems) == ("proven", ())


def test_options_count_in_whatever_order_they_stand(drilled: Drill) -> None:
    made = (
        "CREATE FOREIGN DATA WRAPPER w OPTIONS (b '1', a '2')",
        "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', port '1', dbname 'd')",
        "CREATE FOREIGN TABLE f (a int OPTIONS (y '1', x '2')) SERVER s OPTIONS (t 'f', s 'public')",
        "CREATE TABLE t (a int)",
        "CREATE VIEW v WITH (check_option = local, security_barrier) AS SELECT * FROM t WHERE a > 1",
    )
    assert drilled(*made).problems == ()
    changed = drilled(change="ALTER SERVER s OPTIONS (SET port '2')", make=False)
    assert [entry.name for entry in changed.differences] == ["s"]


def test_a_default_of_a_domain_counts_whatever_the_search_path_was(drilled: Drill) -> None:
    """The server keeps it as text, too, which was written under the search_path of that session."""
    made = "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad'); SET search_path TO app"
    assert drilled(f"{made}; CREATE DOMAIN d AS mood DEFAULT 'sad'").problems == ()


@pytest.mark.parametrize(
    "statement",
    [
        "MERGE INTO t USING (SELECT 1 AS id) l ON t.id = l.id WHEN MATCHED THEN DELETE",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    ],
)
def test_a_routine_that_rules_keep_from_running_is_compared(statement: str, drilled: Drill) -> None:
    """They were made after it, by a restore too; made anew as it is the server would refuse it."""
    result = drilled(
        _TABLE,
        f"CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC {statement}; SELECT count(*) FROM t WHERE {_IN}; END",
        "CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM t WHERE id = 1",
    )
    assert (result.state, result.problems) == ("proven", ())


def test_triggers_on_events_and_on_truncation_do_not_disturb_the_comparison(drilled: Drill) -> None:
    """An index of a large table is compared in the same table without its rows, which come back."""
    raises = "LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'"
    result = drilled(
        _TABLE,
        "INSERT INTO t SELECT n, 'open' FROM generate_series(1, 60000) n",
        "CREATE UNIQUE INDEX k ON t (id); CREATE TABLE other (id int REFERENCES t (id))",
        f"CREATE INDEX i ON t (id) WHERE {_IN}",
        f"CREATE FUNCTION fails() RETURNS trigger {raises}",
        "CREATE TRIGGER kept BEFORE TRUNCATE ON t EXECUTE FUNCTION fails()",
        "ALTER TABLE t ENABLE ALWAYS TRIGGER kept",
        f"CREATE FUNCTION forbids() RETURNS event_trigger {raises}",
        "CREATE EVENT TRIGGER never ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX')"
        " EXECUTE FUNCTION forbids()",
    )
    assert (result.state, result.problems) == ("proven", ())


def test_a_change_of_what_prints_otherwise_is_found(drilled: Drill) -> None:
    made = (_TABLE, f"ALTER TABLE t ADD CONSTRAINT c CHECK ({_IN})", f"CREATE VIEW v AS SELECT id FROM t WHERE {_IN}")
    assert drilled(*made).problems == ()
    other = "s IN ('open', 'closes')"
    changed = drilled(
        change=f"ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK ({other});"
        f"CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE {other}",
        make=False,
    )
    assert {entry.name for entry in changed.differences} == {"public.t.c", "public.v"}


def test_a_proof_of_an_older_holdfast_is_compared_as_far_as_it_tells(drilled: Drill) -> None:
    """What may print otherwise is named in a warning, and all else counts."""
    made = (_TABLE, f"ALTER TABLE t ADD CONSTRAINT c CHECK ({_IN})", "CREATE VIEW v AS SELECT id FROM t WHERE id > 1")
    result = drilled(*made, old=True)
    assert result.differences == ()
    assert any("public.t.c" in line and "older Holdfast" in line for line in result.warnings)
    changed = drilled(change="CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE id > 2", old=True, make=False)
    assert {entry.name for entry in changed.differences} == {"public.v"}


def test_a_role_that_made_it_all_can_compare_it_all(
    server: PostgresServer, role: str, database: str, drilled: Drill
) -> None:
    server.execute(database, f"ALTER SCHEMA public OWNER TO {role}")
    server.execute("postgres", f"ALTER DATABASE {database} OWNER TO {role}")
    with server.connect(database, user=role) as connection:
        connection.execute(_TABLE)
        connection.execute(f"ALTER TABLE t ADD CHECK ({_IN})".encode())
        connection.execute(f"CREATE VIEW v AS SELECT id FROM t WHERE {_IN}".encode())
        connection.execute(f"CREATE FUNCTION f(s varchar) RETURNS boolean LANGUAGE sql RETURN {_IN}".encode())
    result = drilled(into=server.url("", user=role), make=False)
    server.execute(database, f"REASSIGN OWNED BY {role} TO postgres", f"DROP OWNED BY {role}")
    assert (result.state, result.problems, result.warnings) == ("proven", (), ())


def test_a_group_of_definitions_is_known_again_and_a_change_of_one_found(
    drilled: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands of objects, the proof has one digest for each kind in a schema."""
    monkeypatch.setattr(record, "GROUPED", 1)
    made = (_TABLE, f"CREATE VIEW v AS SELECT id FROM t WHERE {_IN}", "CREATE VIEW w AS SELECT id FROM t WHERE id > 1")
    assert drilled(*made).problems == ()
    changed = drilled(change="CREATE OR REPLACE VIEW w AS SELECT id FROM t WHERE id > 2", make=False)
    assert {(entry.kind, entry.name) for entry in changed.differences} == {("definition of every view", "public")}
