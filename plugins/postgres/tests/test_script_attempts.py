"""What a script cannot load under its empty search_path is loaded at a second attempt, section by section."""

import os
import subprocess
from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import HoldfastError

SCRIPT = {"format": "plain"}
# Functions that name others, tables and types without their schemas.
_FUNCTIONS = (
    "CREATE TYPE mood AS ENUM ('sad', 'it''s fine')",
    "CREATE TABLE limits (n int)",
    "INSERT INTO limits VALUES (100)",
    "CREATE FUNCTION code(b bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT encode(b, 'hex') $$",
    "CREATE FUNCTION code(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT code(int4send(n)) $$",
    """
    CREATE FUNCTION fits(n int) RETURNS bool LANGUAGE plpgsql STABLE AS $$
        BEGIN RETURN n <= (SELECT max(limits.n) FROM limits); END $$
    """,
    """
    CREATE FUNCTION is_mood(t text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN PERFORM t::mood; RETURN true; EXCEPTION WHEN invalid_text_representation THEN RETURN false; END $$
    """,
)
_ROWS = "SELECT n FROM generate_series(1, 10) n"


def run(server: PostgresServer, database: str, *statements: str) -> None:
    """Run statements in one session."""
    with server.connect(database) as connection:
        for statement in statements:
            connection.execute(statement)


def test_tables_that_need_a_search_path_come_with_all_that_is_on_them(
    server: PostgresServer, database: str, role: str, target: str, store: str
) -> None:
    """The server refuses some at once, for others their rows; statements with quotes and several ones are no matter."""
    run(
        server,
        database,
        *_FUNCTIONS,
        "CREATE TABLE inlined (id int PRIMARY KEY, c text GENERATED ALWAYS AS (code(id) || ';''') STORED)",
        "CREATE TABLE checked (id int REFERENCES inlined, CONSTRAINT small CHECK (fits(id)), "
        "m text CHECK (is_mood(m)))",
        f"INSERT INTO inlined {_ROWS}",
        "INSERT INTO checked SELECT n, 'it''s fine' FROM generate_series(1, 10) n",
        "CREATE TABLE later (id serial PRIMARY KEY, j jsonb DEFAULT '{\"a\": 1}')",
        "INSERT INTO later DEFAULT VALUES",
        "CREATE INDEX inlined_c ON inlined ((c || '-'))",
        f"ALTER TABLE inlined OWNER TO {role}",
        "GRANT SELECT ON inlined TO PUBLIC",
        "COMMENT ON TABLE inlined IS 'with a '';'' in it'",
        "COMMENT ON COLUMN checked.m IS 'a mood'",
    )
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT, proof=True)
    drill = holdfast.drill(record.id, store=store, into=server.url(""))
    assert (drill.state, drill.problems) == ("proven", ())
    result = holdfast.restore(record.id, server.url(target), store=store)
    (warning,) = result.warnings
    assert warning.startswith("restored with a search_path, since names in it have no schema: ")
    assert "table public.inlined" in warning
    assert "table data public.checked" in warning
    assert "inlined_c" not in warning  # what needs a table that was not there has no such names itself
    sums = server.rows(target, "SELECT (SELECT count(*) FROM inlined WHERE c <> ''), count(m), sum(id) FROM checked")
    assert sums == [(10, 10, 55)]
    assert server.value(target, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'inlined'") == role
    said = "SELECT obj_description('inlined'::regclass), col_description('checked'::regclass, 2)"
    assert server.rows(target, said) == [("with a ';' in it", "a mood")]
    assert server.value(target, "SELECT has_table_privilege('pg_monitor', 'inlined', 'SELECT')")
    assert server.value(target, "SELECT nextval('later_id_seq')") == 2
    run(server, database, f"REASSIGN OWNED BY {role} TO postgres")


def test_the_search_path_of_the_source_and_its_roles_is_known(
    server: PostgresServer, database: str, role: str, target: str, store: str
) -> None:
    """Also in a database that has another; each format records it."""
    for setting in (f"DATABASE {database} SET search_path TO app, public",
                    f"ROLE {role} IN DATABASE {database} SET search_path TO lib, app"):  # fmt: skip
        server.execute("postgres", f"ALTER {setting}")
    run(
        server,
        database,
        "CREATE SCHEMA app",
        "CREATE SCHEMA lib",
        "CREATE FUNCTION lib.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'",
        "CREATE FUNCTION app.thrice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 3'",
        "CREATE FUNCTION public.six(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$ BEGIN RETURN twice(thrice(n)); END $$",
        "SET search_path TO public, app, lib",
        "CREATE TABLE public.g (id int, s int GENERATED ALWAYS AS (six(id)) STORED)",
        f"INSERT INTO g {_ROWS}",
    )
    for form in ("plain", "parallel", "custom"):
        record = holdfast.backup(server.url(database), store=store, options={"format": form}, proof=True)
        holdfast.restore(record.id, server.url(target), store=store, replace=True)
        assert server.value(target, "SELECT sum(s) FROM public.g") == 330
        assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"


@pytest.mark.parametrize("form", swept("plain", "parallel", long=["custom", "directory"]))
def test_rows_that_need_a_search_path_come_before_what_needs_them(
    server: PostgresServer, database: str, target: str, store: str, form: str
) -> None:
    """Foreign keys are checked, views hold what they held, and no trigger changes rows as they come in."""
    run(
        server,
        database,
        *_FUNCTIONS[3:5],
        "CREATE FUNCTION spell(n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN code(n); END $$",
        "CREATE TABLE parent (id int PRIMARY KEY, c text GENERATED ALWAYS AS (spell(id)) STORED, changed int)",
        "CREATE TABLE child (id int REFERENCES parent)",
        "CREATE TABLE parts (id int) PARTITION BY LIST ((spell(id)))",
        "CREATE TABLE part PARTITION OF parts DEFAULT",
        f"INSERT INTO parent {_ROWS}",
        f"INSERT INTO child {_ROWS}",
        f"INSERT INTO parts {_ROWS}",
        "CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS n FROM parent",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.changed := coalesce(NEW.changed, 0) + 1; RETURN NEW; END $$",
        "CREATE TRIGGER touched BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION touch()",
        "ALTER TABLE parent ENABLE ALWAYS TRIGGER touched",
    )
    record = holdfast.backup(server.url(database), store=store, options={"format": form}, proof=True)
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.rows(target, "SELECT count(*), count(c), count(changed) FROM parent") == [(10, 10, 0)]
    assert server.rows(target, "SELECT (SELECT count(*) FROM child), count(*), (SELECT n FROM seen) FROM part") == [
        (10, 10, 10)
    ]
    assert server.value(target, "SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'")
    assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"


def test_rows_of_a_script_that_break_a_check_are_kept_where_the_restore_goes_on(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """The CHECK is made for rows to come, as with the other formats, and so is a foreign key."""
    run(
        server,
        database,
        *_FUNCTIONS[1:3],
        _FUNCTIONS[5],
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (n int CONSTRAINT small CHECK (fits(n)), p int CONSTRAINT known REFERENCES p)",
        "INSERT INTO c VALUES (1, NULL), (99, NULL)",
        "UPDATE limits SET n = 50",
        "SET session_replication_role TO replica",
        "INSERT INTO c VALUES (2, 7)",
    )
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT)
    with pytest.raises(HoldfastError, match="small"):
        holdfast.restore(record.id, server.url(target), store=store)
    result = holdfast.restore(record.id, server.url(target), store=store, options={"on_error": "continue"})
    failures = {failure.name: (failure.code, failure.message) for failure in result.failures}
    assert set(failures) == {"public.c", "public.c.known"}
    assert failures["public.c"][0] == "23514"
    assert "rows restored, and small of table" in failures["public.c"][1]
    assert server.value(target, "SELECT sum(n) FROM c") == 102
    valid = dict(server.rows(target, "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'c'::regclass"))
    assert valid == {"small": False, "known": False}


def test_a_script_whose_function_is_nowhere_is_refused_with_its_name(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    run(
        server,
        database,
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'",
        "CREATE FUNCTION four(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN twice(twice(n)); END $$",
        "CREATE TABLE g (id int, s int GENERATED ALWAYS AS (four(id)) STORED)",
        f"INSERT INTO g {_ROWS}",
        "DROP FUNCTION twice",
    )
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT)
    with pytest.raises(HoldfastError, match=r"rows of table public\.g: function twice\(integer\) does not exist"):
        holdfast.restore(record.id, server.url(target), store=store)
    assert not server.relations(target)
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert result.state == "damaged"


def test_a_script_that_needs_a_search_path_names_one_to_restore_it_by_hand(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    server.execute("postgres", f"ALTER DATABASE {database} SET search_path TO app, public")
    run(
        server,
        database,
        "CREATE SCHEMA app",
        "SET search_path TO app",
        *_FUNCTIONS[3:5],
        "CREATE TABLE g (id int, c text GENERATED ALWAYS AS (code(id)) STORED)",
        f"INSERT INTO g {_ROWS}",
    )
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT, codec="none")
    text = Path(record.path, "RESTORE.md").read_text()
    (line,) = [line for line in text.splitlines() if "search_path" in line]
    (script,) = [line for line in text.splitlines() if "archive.sql" in line and "| psql" in line]
    command = script.replace("| psql", f"{line.partition(': ')[2]} | psql").replace("TARGET_DB", target)
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    subprocess.run(["/bin/sh", "-c", command], check=True, cwd=record.path, env=environment)
    assert server.value(target, "SELECT count(c) FROM app.g") == 10


def test_what_a_session_made_under_a_path_of_its_own_is_restored_and_proven(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Nothing tells of that path any more: names are looked for wherever they can be mistaken for no others.

    Since PostgreSQL 17 no server makes an index or a materialized view by a path.
    """
    built = server.value("postgres", "SELECT current_setting('server_version_num')::int") < 170000
    building = "CREATE INDEX i ON t (f(a)); CREATE MATERIALIZED VIEW m AS SELECT f(a) FROM t" if built else ""
    server.execute(
        database,
        "CREATE SCHEMA app; CREATE SCHEMA lib; CREATE SCHEMA further; SET search_path = app, lib, further;"
        "CREATE FUNCTION lib.g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';"
        "CREATE FUNCTION further.h(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN g($1); END';"
        "CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT g($1) + h($1)';"
        "CREATE TABLE t (a int, CHECK (f(a) > 0), made int GENERATED ALWAYS AS (f(a)) STORED);"
        f"INSERT INTO t VALUES (1); {building}",
    )
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    assert backup.warnings == ()
    result = holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (result.problems, result.state) == ((), "proven")
    warnings = holdfast.restore(backup.id, server.url(target), store=store).warnings
    assert [text for text in warnings if "restored with a search_path" in text and "table app.t" in text]
    assert server.value(target, f"SELECT {'f FROM app.m' if built else 'made FROM app.t'}") == 4
