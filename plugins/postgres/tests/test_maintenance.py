"""What a drill and a restore need of a server besides the target: databases to connect to, rights, what is left."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import HoldfastError
from holdfast_postgres.scratch import list_databases
from holdfast_postgres.target.abandoned import DRILL_MARKER, DRILL_PREFIX

pytestmark = pytest.mark.usefixtures("several_sessions")


@pytest.fixture
def role(server: PostgresServer) -> Iterator[str]:
    """A role that may make databases and is no superuser; to be named before the databases that it gets."""
    name = f"maker_{secrets.token_hex(4)}"
    server.execute("postgres", f"CREATE ROLE {name} LOGIN CREATEDB")
    yield name
    server.execute("postgres", f"DROP ROLE {name}")


@pytest.fixture
def app(server: PostgresServer, database: str) -> str:
    """A database with rows in one table."""
    server.execute(database, "CREATE TABLE things AS SELECT generate_series(1, 100) AS a")
    return database


@pytest.fixture
def subscribed(server: PostgresServer, app: str) -> Iterator[str]:
    """A database with a subscription to a server that is not there."""
    server.execute(
        app,
        f"CREATE SUBSCRIPTION {app} CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false)",
    )
    yield app
    server.execute(app, f"ALTER SUBSCRIPTION {app} SET (slot_name = NONE)", f"DROP SUBSCRIPTION {app}")


def test_a_drill_leaves_no_database_that_has_a_subscription(
    server: PostgresServer, subscribed: str, store: str
) -> None:
    """Which no server drops: not after success, not after a failure, not what a killed drill left."""
    record = holdfast.backup(server.url(subscribed), store=store, proof=True)
    before = server.databases()
    dead = f"{DRILL_PREFIX}dead_{subscribed}"
    server.create(dead)
    server.execute(
        dead,
        f"CREATE SUBSCRIPTION s_{subscribed} CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)",
        f"COMMENT ON DATABASE {dead} IS '{DRILL_MARKER}'",
    )
    assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"
    assert server.databases() == before
    with pytest.raises(HoldfastError):
        holdfast.restore(
            _breaking(server, subscribed, store), server.url(f"{subscribed}_new"), store=store,
            options={"create": "true"},
        )  # fmt: skip
    assert server.databases() == before


def _breaking(server: PostgresServer, database: str, store: str) -> str:
    """A backup whose restore fails at a foreign key, which is made late."""
    server.execute(
        database, "CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE c (p int REFERENCES p)",
    )  # fmt: skip
    with server.connect(database) as connection:
        connection.execute("SET session_replication_role TO replica")
        connection.execute("INSERT INTO c VALUES (1)")
    return holdfast.backup(server.url(database), store=store).id


def test_a_database_whose_drop_was_interrupted_is_swept_and_not_listed(
    server: PostgresServer, app: str, store: str
) -> None:
    """Nobody can connect to it (SQLSTATE 55000), not even to look whether a drill holds it."""
    record = holdfast.backup(server.url(app), store=store)
    half = f"{DRILL_PREFIX}half_{app}"
    server.create(half)
    server.execute("postgres", f"COMMENT ON DATABASE {half} IS '{DRILL_MARKER}'")
    server.execute("postgres", f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{half}'")
    other = f"{app}_half"
    server.create(other)
    server.execute("postgres", f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{other}'")
    try:
        assert not [url for url in list_databases(server.url("")) if "_half" in url]
        holdfast.drill(record.id, store=store, into=server.url(""))
        assert half not in server.databases()
    finally:
        server.drop(other)


def test_a_server_without_the_usual_databases_will_do(server: PostgresServer, app: str, store: str) -> None:
    """The one that `--into` names is used, and the target knows the others of its server."""
    record = holdfast.backup(server.url(app), store=store, proof=True)
    with server.database() as first:
        server.execute(
            first, "ALTER DATABASE template1 ALLOW_CONNECTIONS false", "ALTER DATABASE postgres RENAME TO away"
        )
        try:
            assert holdfast.drill(record.id, store=store, into=server.url(first)).state == "proven"
            server.execute(app, "DELETE FROM things")
            holdfast.restore(record.id, server.url(app), store=store, replace=True)
            assert server.value(app, "SELECT count(*) FROM things") == 100
        finally:
            server.execute(
                first, "ALTER DATABASE away RENAME TO postgres", "ALTER DATABASE template1 ALLOW_CONNECTIONS true"
            )


@pytest.mark.parametrize("into", ["", "postgres"])
def test_a_role_that_may_only_make_databases_can_drill_and_replace(
    server: PostgresServer, role: str, app: str, store: str, into: str
) -> None:
    """The right to make databases is none to name a tablespace, not even the default one."""
    server.execute(app, f"ALTER DATABASE {app} OWNER TO {role}", f"ALTER TABLE things OWNER TO {role}")
    record = holdfast.backup(server.url(app, role), store=store, proof=True)
    assert holdfast.drill(record.id, store=store, into=server.url(into, role)).state == "proven"
    server.execute(app, "INSERT INTO things VALUES (0)")
    holdfast.restore(record.id, server.url(app, role), store=store, replace=True)
    assert server.value(app, "SELECT count(*) FROM things") == 100
    assert server.value("postgres", f"SELECT datdba::regrole::text FROM pg_database WHERE datname = '{app}'") == role


@pytest.mark.sweep(1)
@pytest.mark.parametrize("of", ["role", "database", "server"])
def test_sessions_that_are_read_only_by_default_hinder_nothing(
    server: PostgresServer, role: str, app: str, target: str, store: str, of: str
) -> None:
    """Whoever sets that for a role, a database or the server protects it from accidents, of which a restore is none."""
    server.execute(app, f"ALTER DATABASE {app} OWNER TO {role}", f"ALTER TABLE things OWNER TO {role}")
    server.execute(target, f"ALTER DATABASE {target} OWNER TO {role}", "CREATE TABLE old (a int)")
    record = holdfast.backup(server.url(app), store=store, proof=True)
    subject = {"role": f"ROLE {role}", "database": f"DATABASE {target}", "server": "SYSTEM"}[of]
    server.execute("postgres", f"ALTER {subject} SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        holdfast.restore(record.id, server.url(target, role), store=store, replace=True)
        assert holdfast.drill(record.id, store=store, into=server.url("", role)).state == "proven"
    finally:
        with server.connect() as connection:
            connection.execute("SET default_transaction_read_only TO off")
            connection.execute(f"ALTER {subject} RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
    assert server.value(target, "SELECT count(*) FROM things") == 100


def test_an_event_trigger_of_the_backup_does_not_act_in_a_drill(server: PostgresServer, app: str, store: str) -> None:
    """One that forbids every statement of definition would forbid those of the check, too."""
    server.execute(
        app,
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$",
        "CREATE EVENT TRIGGER never ON ddl_command_start EXECUTE FUNCTION no()",
    )
    record: Any = holdfast.backup(server.url(app), store=store, proof=True)
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert (result.state, result.problems) == ("proven", ())


def test_a_trigger_on_login_does_not_act_in_a_drill_and_undoes_no_restore(
    server: PostgresServer, app: str, store: str
) -> None:
    """Since PostgreSQL 17: one that counts sessions, as in the manual, and lets nobody into another database."""
    if server.value("postgres", "SELECT current_setting('server_version_num')::int < 170000"):
        return
    server.execute(
        app,
        "CREATE TABLE logins (name text)",
        "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN "
        "INSERT INTO public.logins VALUES (session_user); "
        f"IF current_database() NOT IN ('{app}', 'postgres') THEN RAISE 'not here'; END IF; END$$",
        "CREATE EVENT TRIGGER note ON login EXECUTE FUNCTION note()",
    )
    record = holdfast.backup(server.url(app), store=store, proof=True)
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert (result.state, result.problems) == ("proven", ())
    name = f"{app}_copy"
    try:
        done = holdfast.restore(record.id, server.url(name), store=store, options={"create": "true"})
        assert "no statistics, since no session was possible" in done.warnings[0]
        server.execute("postgres", f"ALTER DATABASE {name} SET event_triggers TO off")
        assert server.value(name, "SELECT count(*) FROM things") == 100
    finally:
        server.drop(name)


@pytest.mark.parametrize("form", swept("parallel", "plain", long=["custom", "directory", "tar"]))
def test_event_triggers_do_not_act_on_what_the_restore_that_makes_them_does(
    server: PostgresServer, database: str, target: str, store: str, form: str
) -> None:
    """pg_dump has materialized views filled after them: a log of statements would hold more than in the source."""
    server.execute(
        database,
        "CREATE TABLE numbers AS SELECT generate_series(1, 10) AS n",
        "CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM numbers",
        "CREATE TABLE statements (tag text)",
        "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO public.statements VALUES (tg_tag); END$$",
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$",
        "CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION note()",
        "CREATE EVENT TRIGGER never ON ddl_command_start WHEN TAG IN ('REFRESH MATERIALIZED VIEW') "
        "EXECUTE FUNCTION no()",
        "COMMENT ON EVENT TRIGGER noted IS 'an audit'",
    )
    record = holdfast.backup(server.url(database), store=store, options={"format": form}, proof=True)
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert (result.state, result.problems) == ("proven", ())
    assert holdfast.restore(record.id, server.url(target), store=store, jobs=4).warnings == ()
    assert server.rows(target, "SELECT * FROM statements") == server.rows(database, "SELECT * FROM statements")
    assert server.value(target, "SELECT n FROM total") == 55
    assert server.value(target, "SELECT count(*) FROM pg_event_trigger WHERE evtenabled = 'O'") == 2
    said = "SELECT obj_description(oid) FROM pg_event_trigger WHERE evtname = 'noted'"
    assert server.value(target, said) == "an audit"
