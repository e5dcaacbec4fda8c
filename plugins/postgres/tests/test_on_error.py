"""A restore as far as it goes: what the server refuses is listed with its SQLSTATE, and all else is there."""

import json
import subprocess
from collections.abc import Callable

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import paired, swept

import holdfast
from holdfast.api import HoldfastError

pytestmark = pytest.mark.usefixtures("several_sessions")

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
CONTINUE = {"on_error": "continue"}
# Rows that break a foreign key, a CHECK whose function has changed, a unique index that has missed a row, and a domain.
BROKEN = (
    "CREATE FUNCTION good(n int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
    "CREATE DOMAIN age AS int CONSTRAINT age_check CHECK (good(VALUE))",
    "CREATE TABLE users (id int PRIMARY KEY, mail text)",
    "CREATE TABLE posts (id int PRIMARY KEY, u int CONSTRAINT posts_u REFERENCES users)",
    "CREATE TABLE items (n int CONSTRAINT items_n CHECK (good(n)), CONSTRAINT small CHECK (n < 1000))",
    "CREATE TABLE people (a age)",
    "CREATE TABLE fine AS SELECT generate_series(1, 100) AS n",
    "CREATE INDEX fine_n ON fine (n)",
    "COMMENT ON INDEX fine_n IS 'all is well'",
    "INSERT INTO users SELECT n, 'm' || n FROM generate_series(1, 100) n",
    "INSERT INTO items SELECT generate_series(1, 100)",
    "INSERT INTO people VALUES (7)",
    "CREATE UNIQUE INDEX users_mail ON users (mail)",
    "UPDATE pg_index SET indisready = false WHERE indexrelid = 'users_mail'::regclass",
    "INSERT INTO users VALUES (101, 'm1')",
    "UPDATE pg_index SET indisready = true WHERE indexrelid = 'users_mail'::regclass",
    "SET session_replication_role TO replica",
    "INSERT INTO posts VALUES (1, 1), (2, 99999)",
    "RESET session_replication_role",
    "CREATE OR REPLACE FUNCTION good(n int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT n < 50 AND n <> 7'",
)
# Names without a schema, which the source finds by its search_path.
UNQUALIFIED = (
    "CREATE TABLE t (id int PRIMARY KEY, v int)",
    "INSERT INTO t SELECT n, n FROM generate_series(1, 10) n",
    "CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a * 2'",
    "CREATE FUNCTION fourfold(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN twice(twice(a)); END $$",
    # json has no operator of equality; one of the user's is found by the search_path, but not written by pg_dump.
    "CREATE FUNCTION same(a json, b json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a::text = b::text'",
    "CREATE OPERATOR = (LEFTARG = json, RIGHTARG = json, FUNCTION = same)",
    "CREATE TABLE docs (j json)",
    "CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TRIGGER touched BEFORE UPDATE ON docs FOR ROW WHEN (OLD.j IS DISTINCT FROM NEW.j) EXECUTE FUNCTION tr()",
)
# Since PostgreSQL 17 the server builds these under a path of its own, and the source cannot have them.
BUILT = (
    "CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT sum(v) FROM t); END $$",
    "CREATE INDEX t_fourfold ON t (fourfold(v))",
    "CREATE MATERIALIZED VIEW totals AS SELECT total() AS n",
)
GENERATED = (
    "CREATE TABLE g (id int PRIMARY KEY, d int GENERATED ALWAYS AS (fourfold(id)) STORED)",
    "INSERT INTO g SELECT generate_series(1, 10)",
)
FORMS = swept(
    {"format": "parallel"},
    {"format": "parallel", "large_table": "0"},
    {"format": "sql"},
    long=[{"format": "custom"}, {"format": "directory"}],
)
Form = dict[str, str]


def run(server: PostgresServer, database: str, *statements: str) -> None:
    """Run statements in one session."""
    with server.connect(database) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(("form", "jobs"), paired(FORMS, [1, 4]), ids=str)
def test_what_rows_break_is_listed_and_all_rows_are_restored(
    server: PostgresServer, database: str, target: str, store: str, form: Form, jobs: int
) -> None:
    """Constraints are made for rows to come."""
    run(server, database, *BROKEN)
    record = holdfast.backup(server.url(database), store=store, options=form)
    with pytest.raises(HoldfastError, match=r"violates|could not create unique index"):
        holdfast.restore(record.id, server.url(target), store=store, jobs=jobs)
    assert not server.relations(target)
    result = holdfast.restore(record.id, server.url(target), store=store, jobs=jobs, options=CONTINUE)
    failures = {failure.name.removeprefix("public."): failure for failure in result.failures}
    assert set(failures) == {"users_mail", "posts.posts_u", "items", "people"}
    assert [failures[name].code for name in sorted(failures)] == ["23514", "23514", "23503", "23505"]
    assert failures["posts.posts_u"].kind == "foreign key"
    assert "NOT VALID" in failures["posts.posts_u"].message
    counts = {name: server.value(target, f"SELECT count(*) FROM {name}") for name in ("users", "posts", "fine")}
    assert counts == {"users": 101, "posts": 2, "fine": 100}
    assert server.value(target, "SELECT obj_description('fine_n'::regclass)") == "all is well"
    checks = dict(server.rows(target, "SELECT conname, convalidated FROM pg_constraint WHERE contype IN ('c', 'f')"))
    assert checks.keys() >= {"posts_u", "items_n", "small", "age_check"}
    assert checks["posts_u"] is False
    assert server.value(target, "SELECT count(*) FROM items") == 100
    assert server.value(target, "SELECT a::int FROM people") == 7
    assert (checks["items_n"], checks["age_check"], checks["small"]) == (False, False, True)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
def test_names_without_a_schema_are_found_at_a_second_attempt(
    server: PostgresServer, database: str, target: str, store: str, form: Form
) -> None:
    """Without any option, and a drill takes the same steps."""
    built = BUILT if server.value("postgres", "SELECT current_setting('server_version_num')::int < 170000") else ()
    run(server, database, *UNQUALIFIED, *built, *GENERATED)
    record = holdfast.backup(server.url(database), store=store, options=form, proof=False)
    result = holdfast.restore(record.id, server.url(target), store=store)
    said = {text.partition(":")[0] for text in result.warnings}
    assert said == {"restored with a search_path, since names in it have no schema"}
    assert result.failures == ()
    assert server.value(target, "SELECT count(*) FROM pg_trigger WHERE tgname = 'touched'") == 1
    if built:
        assert server.value(target, "SELECT n FROM totals") == 55
        assert server.value(target, "SELECT to_regclass('t_fourfold') IS NOT NULL")
    assert server.value(target, "SELECT sum(d) FROM g") == 220
    drill = holdfast.drill(record.id, store=store, into=server.url(""))
    assert (drill.passed, drill.problems) == (True, ())


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
def test_a_search_path_that_only_the_user_knows_is_an_option(
    server: PostgresServer, database: str, target: str, store: str, form: Form
) -> None:
    run(
        server,
        database,
        "CREATE SCHEMA lib",
        "CREATE FUNCTION lib.twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a * 2'",
        "CREATE SCHEMA another; CREATE FUNCTION another.twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "CREATE FUNCTION fourfold(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$ BEGIN RETURN twice(twice(a)); END $$",
        "SET search_path TO public, lib",
        *GENERATED,
    )
    record = holdfast.backup(server.url(database), store=store, options=form, proof=False)
    with pytest.raises(HoldfastError, match=r"twice\(integer\) does not exist") as caught:
        holdfast.restore(record.id, server.url(target), store=store)
    assert "-o search_path=" in str(caught.value.hint)
    assert not server.relations(target)
    options = {"search_path": "public, lib"}
    assert holdfast.restore(record.id, server.url(target), store=store, options=options).failures == ()
    assert server.value(target, "SELECT sum(d) FROM g") == 220


def test_the_command_lists_what_failed_and_returns_3(
    server: PostgresServer, database: str, target: str, holdfast_cli: Cli
) -> None:
    """So does --allow-damaged of a backup that a drill has found damaged."""
    run(server, database, *BROKEN)
    backup = holdfast_cli("backup", server.url(database)).stdout.strip()
    done = holdfast_cli("drill", backup, "--into", server.url(""))
    assert done.returncode == 13
    assert "not restored: foreign key public.posts.posts_u: " in done.stdout
    assert "not restored: index public.users_mail: " in done.stdout
    done = holdfast_cli("restore", backup, server.url(target), "--allow-damaged", "--json")
    assert done.returncode == 3, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = [line for line in lines if line["type"] == "restore"]
    assert {failure["code"] for failure in result["failures"]} == {"23503", "23505", "23514"}
    assert lines[-1]["exit_code"] == 3
    done = holdfast_cli(
        "restore", backup, server.url(target), "--replace", "--allow-damaged", "-o", "on-error=continue"
    )
    assert done.returncode == 3, done.stderr
    assert "warning: not restored: index public.users_mail: could not create unique index" in done.stderr
    assert "4 objects were not restored" in done.stderr


def test_an_object_that_fails_takes_only_what_is_made_of_it_along(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Here a table whose function is gone: its rows and index are listed, its sequence too, and the rest is there."""
    run(
        server,
        database,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE lost (id serial PRIMARY KEY, a int DEFAULT f())",
        "INSERT INTO lost DEFAULT VALUES",
        "CREATE TABLE kept (id serial PRIMARY KEY)",
        "INSERT INTO kept DEFAULT VALUES",
    )
    record = holdfast.backup(server.url(database), store=store)
    role = f"lesser_{database}"
    server.execute("postgres", f"CREATE ROLE {role} LOGIN", f"ALTER DATABASE {target} OWNER TO {role}")
    run(server, target, f"ALTER SCHEMA public OWNER TO {role}", "REVOKE USAGE ON LANGUAGE sql FROM PUBLIC")
    try:
        options = {**CONTINUE, "no_owner": "true"}
        result = holdfast.restore(record.id, server.url(target, role), store=store, options=options)
        failures = {(failure.kind, failure.name): failure.code for failure in result.failures}
        assert failures["function", "public.f()"] == "42501"
        assert failures["table", "public.lost"] == "42883"
        assert server.value(target, "SELECT count(*) FROM kept") == 1
        assert server.value(target, "SELECT last_value FROM kept_id_seq") == 1
    finally:
        server.execute(target, f"REASSIGN OWNED BY {role} TO postgres", f"DROP OWNED BY {role}")
        server.execute("postgres", f"ALTER DATABASE {target} OWNER TO postgres", f"DROP ROLE {role}")


def test_a_selection_with_a_trigger_that_needs_a_search_path_is_put_into_the_target(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Into which pg_dump's definitions of what was restored beside it go by one transaction."""
    run(server, database, *UNQUALIFIED)
    run(server, target, "CREATE TABLE other (a int)")
    record = holdfast.backup(server.url(database), store=store, proof=False)
    result = holdfast.restore(record.id, server.url(target), store=store, select=["public"])
    assert result.failures == ()
    assert server.value(target, "SELECT count(*) FROM pg_trigger WHERE tgname = 'touched'") == 1
    assert server.relations(target) >= {"public.t", "public.other", "public.docs"}


def test_a_lost_server_ends_a_restore_that_goes_on_after_errors(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """What says nothing about an object is no failure of one."""
    run(server, database, "CREATE TABLE t AS SELECT 1 AS a")
    run(
        server,
        database,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$",
        "CREATE FUNCTION kill(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$ BEGIN IF current_setting('application_name') <> 'source' THEN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN a; END $$",
        "SET application_name TO source",
        "CREATE INDEX t_a ON t (kill(a))",
    )
    record = holdfast.backup(server.url(database), store=store, proof=False)
    with pytest.raises(HoldfastError) as caught:
        holdfast.restore(record.id, server.url(target), store=store, options=CONTINUE)
    assert caught.value.exit_code == 15, caught.value.message
    assert not server.relations(target)


@pytest.mark.parametrize(("form", "jobs"), [("parallel", 4), ("custom", 1)])
def test_what_is_made_at_a_second_attempt_has_its_owner_and_only_it_is_named(
    server: PostgresServer, database: str, role: str, target: str, store: str, form: str, jobs: int
) -> None:
    """The server inlines the function of a generated column at once, and looks for the one in it."""
    run(
        server,
        database,
        "CREATE FUNCTION code(b bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT encode(b, 'hex') $$",
        "CREATE FUNCTION code(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT code(int4send(n)) $$",
        "CREATE TABLE things (id int PRIMARY KEY, c text GENERATED ALWAYS AS (code(id)) STORED)",
        "CREATE INDEX things_c ON things (c)",
        "GRANT SELECT ON things TO PUBLIC",
        f"ALTER TABLE things OWNER TO {role}",
        "CREATE VIEW codes AS SELECT c FROM things",
        f"ALTER VIEW codes OWNER TO {role}",
        "COMMENT ON TABLE things IS 'all of them'",
        "INSERT INTO things VALUES (1), (2)",
    )
    record = holdfast.backup(server.url(database), store=store, options={"format": form}, proof=False)
    run(server, database, f"REASSIGN OWNED BY {role} TO postgres")
    result = holdfast.restore(record.id, server.url(target), store=store, jobs=jobs)
    owned = f"SELECT relname FROM pg_class WHERE relowner = '{role}'::regrole AND relkind IN ('r', 'v') ORDER BY 1"
    assert server.rows(target, owned) == [("codes",), ("things",)]
    assert server.value(target, "SELECT has_table_privilege('pg_monitor', 'things', 'SELECT')")
    assert not [text for text in result.warnings if "not restored" in text or "comment" in text or "acl" in text]
    assert any("things" in text for text in result.warnings)


def test_a_view_of_a_script_that_is_made_at_a_second_attempt_has_its_owner(
    server: PostgresServer, database: str, role: str, target: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its statement is tried again alone, and so is the one that gives it away; of a backup without paths in it."""
    monkeypatch.setattr("holdfast_postgres.dump.session.read_implied", lambda _connection: [])
    made = """
        CREATE VIEW v AS SELECT a IS DISTINCT FROM b AS differs, 'it''s; two  blanks' AS word
        FROM (SELECT NULL::json AS a, '{}'::json AS b) d
    """
    run(server, database, *UNQUALIFIED[4:6], made, f"ALTER VIEW v OWNER TO {role}")
    record = holdfast.backup(server.url(database), store=store, options={"format": "sql"}, proof=False)
    run(server, database, f"REASSIGN OWNED BY {role} TO postgres")
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert server.value(target, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'v'") == role
    assert server.value(target, "SELECT word FROM v") == "it's; two  blanks"
    assert result.warnings == ("restored with a search_path, since names in it have no schema: 'view public.v'",)
