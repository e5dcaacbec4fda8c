"""A restore never makes things worse: what can be checked is checked first, what fails is undone."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import CredentialsError, HoldfastError, UnreachableError, UnsafeError, UsageError


@pytest.fixture
def app(server: PostgresServer, database: str) -> str:
    """A small database."""
    server.execute(
        database,
        "CREATE TABLE a (id int PRIMARY KEY, text text)",
        "INSERT INTO a SELECT n, md5(n::text) FROM generate_series(1, 1000) n",
        "CREATE INDEX ON a (text)",
    )
    return database


@pytest.fixture
def record(server: PostgresServer, app: str, store: str) -> Any:
    """A backup of it."""
    return holdfast.backup(server.url(app), store=store, options={"large_table": "0"})


def test_a_missing_database_is_made_only_on_request(server: PostgresServer, app: str, record: Any, store: str) -> None:
    made = f"{app}_new"
    with pytest.raises(UnreachableError) as caught:
        holdfast.restore(record.id, server.url(made), store=store)
    assert "create=true" in str(caught.value.hint)
    assert made not in server.databases()
    try:
        holdfast.restore(record.id, server.url(made), store=store, options={"create": "true"})
        assert server.text(made) == server.text(app)
    finally:
        server.drop(made)


def test_a_target_that_holds_anything_is_refused_and_says_what(
    server: PostgresServer, target: str, record: Any, store: str
) -> None:
    """A table, a function, a large object; not what every new database has, nor an extension, nor an empty schema."""
    server.execute(target, "CREATE EXTENSION hstore", "CREATE SCHEMA empty")
    holdings = [
        ("CREATE TABLE x (a int)", "DROP TABLE x", "table public.x"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f()", "routine public.f"),
        ("CREATE TYPE e AS ENUM ('a')", "DROP TYPE e", "type public.e"),
        ("CREATE SCHEMA s; CREATE COLLATION s.c (locale = 'C')", "DROP SCHEMA s CASCADE", "schema s"),
        ("SELECT lo_create(99)", "SELECT lo_unlink(99)", "large object 99"),
        ("CREATE PUBLICATION p", "DROP PUBLICATION p", "publication p"),
    ]
    for make, unmake, label in holdings:
        server.execute(target, make)
        with pytest.raises(UnsafeError, match=label) as caught:
            holdfast.restore(record.id, server.url(target), store=store)
        assert "--replace" in str(caught.value.hint)
        server.execute(target, unmake)
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.value(target, "SELECT count(*) FROM pg_namespace WHERE nspname = 'empty'") == 1


def test_replacing_keeps_what_belongs_to_the_database(
    server: PostgresServer, target: str, record: Any, store: str, role: str
) -> None:
    """Owner, rights, comment, limits and settings stay; the content is that of the backup."""
    settings = "SELECT coalesce(setrole::regrole::text, ''), setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = '{}' ORDER BY 1"  # noqa: E501
    properties = "SELECT pg_get_userbyid(datdba), datconnlimit, datacl::text, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'"  # noqa: E501
    server.execute(
        target,
        "CREATE TABLE old (a int)",
        f"ALTER DATABASE {target} OWNER TO {role}",
        f"ALTER DATABASE {target} CONNECTION LIMIT 17",
        f"REVOKE CONNECT ON DATABASE {target} FROM PUBLIC",
        f"GRANT CREATE ON DATABASE {target} TO {role} WITH GRANT OPTION",
        f"COMMENT ON DATABASE {target} IS 'it''s mine'",
        f'ALTER DATABASE {target} SET search_path TO "$user", public, "a b"',
        f"ALTER DATABASE {target} SET app.name TO 'it''s \"x\", \\y'",
        f"ALTER ROLE {role} IN DATABASE {target} SET work_mem TO '7MB'",
    )
    before = server.rows("postgres", properties.format(target)) + server.rows("postgres", settings.format(target))
    databases = server.databases()
    holdfast.restore(record.id, server.url(target), store=store, replace=True)
    after = server.rows("postgres", properties.format(target)) + server.rows("postgres", settings.format(target))
    assert after == before
    assert server.databases() == databases
    assert server.value(target, "SELECT count(*) FROM a") == 1000
    assert server.value(target, "SELECT to_regclass('old')") is None


def test_replacing_a_template_leaves_nothing_behind_and_a_template(
    server: PostgresServer, target: str, record: Any, store: str
) -> None:
    """A template cannot be dropped as long as it is one."""
    server.execute(target, f"ALTER DATABASE {target} IS_TEMPLATE true")
    databases = server.databases()
    try:
        result = holdfast.restore(record.id, server.url(target), store=store, replace=True)
        assert result.warnings == ()
        assert server.databases() == databases
        query = f"SELECT datistemplate FROM pg_database WHERE datname = '{target}'"
        assert server.value("postgres", query) is True
    finally:
        server.execute("postgres", f"ALTER DATABASE {target} IS_TEMPLATE false")


def test_a_target_in_use_is_not_replaced_unless_told_to_end_its_sessions(
    server: PostgresServer, target: str, record: Any, store: str
) -> None:
    """Sessions are named; a replication slot or prepared transaction cannot be ended and stays a refusal."""
    server.execute(target, "CREATE TABLE old (a int)")
    with server.connect(target, application_name="some application") as other:
        with pytest.raises(UnsafeError, match="some application") as caught:
            holdfast.restore(record.id, server.url(target), store=store, replace=True)
        assert "disconnect" in str(caught.value.hint)
        assert other.execute("SELECT count(*) FROM old").fetchone() == (0,)
        server.execute(target, "SELECT pg_create_logical_replication_slot('my_slot', 'test_decoding')")
        with pytest.raises(UnsafeError, match="my_slot"):
            holdfast.restore(record.id, server.url(target), store=store, replace=True, options={"disconnect": "true"})
        server.execute(target, "SELECT pg_drop_replication_slot('my_slot')")
        holdfast.restore(record.id, server.url(target), store=store, replace=True, options={"disconnect": "true"})
    assert server.value(target, "SELECT count(*) FROM a") == 1000


def test_a_session_that_comes_during_the_restore_keeps_its_database(
    server: PostgresServer, target: str, record: Any, store: str
) -> None:
    """It is looked for again at the swap; the database beside the target is dropped."""
    server.execute(target, "CREATE TABLE old (a int)")
    databases = server.databases()
    others: list[Any] = []

    def come(event: Any) -> None:
        if event.type == "started" and not others:
            others.append(server.connect(target))

    try:
        with pytest.raises(UnsafeError, match="in use"):
            holdfast.restore(record.id, server.url(target), store=store, replace=True, on_event=come)
    finally:
        for other in others:
            other.close()
    assert others
    assert server.databases() == databases
    assert server.value(target, "SELECT count(*) FROM old") == 0


_BROKEN = "CREATE FUNCTION broken(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> '{}' THEN RAISE 'broken here'; END IF; RETURN 1; END $$"  # noqa: E501


@pytest.mark.sweep(4)
@pytest.mark.parametrize("way", ["empty", "create", "replace"])
@pytest.mark.parametrize("kind", swept("parallel", "plain", long=["custom"]))
def test_a_restore_that_fails_at_the_end_leaves_the_target_as_it_was(
    server: PostgresServer, odd: str, store: str, target: str, way: str, kind: str
) -> None:
    """An index that cannot be built is fatal: an empty target is empty again, a full one still full."""
    server.execute(odd, _BROKEN.format(odd), "CREATE INDEX cannot ON app.node (broken(id))")
    record = holdfast.backup(server.url(odd), store=store, options={"format": kind})
    before = server.text(target)
    options = {}
    into = target
    if way == "replace":
        server.execute(target, "CREATE TABLE old (a int)")
        before = server.text(target)
    elif way == "create":
        into, options = f"{target}_new", {"create": "true"}
    databases = server.databases()
    with pytest.raises(HoldfastError, match="broken here") as caught:
        holdfast.restore(record.id, server.url(into), store=store, replace=way == "replace", options=options)
    assert type(caught.value).exit_code == 1
    assert server.databases() == databases
    assert server.text(target) == before
    assert server.value(target, "SELECT count(*) FROM pg_extension") == 1
    assert server.value(target, "SELECT count(*) FROM pg_largeobject_metadata") == 0
    assert server.quiet()


def test_missing_roles_are_named_before_anything_is_touched(
    server: PostgresServer, app: str, target: str, store: str
) -> None:
    """Or ownership and rights are left out on request; or the backup brings its roles."""
    server.execute(
        app,
        'CREATE ROLE "gone owner"',
        "CREATE ROLE gone_reader",
        'ALTER TABLE a OWNER TO "gone owner"',
        "GRANT SELECT ON a TO gone_reader",
    )
    record = holdfast.backup(server.url(app), store=store, options={"globals": "true"})
    server.execute(app, "ALTER TABLE a OWNER TO postgres", "REVOKE ALL ON a FROM gone_reader")
    server.execute("postgres", 'DROP ROLE "gone owner"', "DROP ROLE gone_reader")
    with pytest.raises(HoldfastError, match="gone owner") as caught:
        holdfast.restore(record.id, server.url(target), store=store)
    assert "gone_reader" in caught.value.message
    assert "no_owner" in str(caught.value.hint)
    without = {"no_owner": "true", "no_privileges": "true"}
    holdfast.restore(record.id, server.url(target), store=store, options=without)
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'a'::regclass"
    assert server.value(target, owner) == "postgres"
    try:
        holdfast.restore(record.id, server.url(target), store=store, replace=True, options={"globals": "true"})
        assert server.value(target, owner) == "gone owner"
        assert server.value(target, "SELECT has_table_privilege('gone_reader', 'a', 'SELECT')") is True
    finally:
        server.execute(target, "DROP OWNED BY gone_reader", "ALTER TABLE a OWNER TO postgres")
        server.execute("postgres", 'DROP ROLE "gone owner"', "DROP ROLE gone_reader")


def test_a_role_without_superuser_restores_what_it_may_own(
    server: PostgresServer, record: Any, store: str, role: str, app: str
) -> None:
    """It cannot give objects to others: said before, with the way out."""
    made = f"{app}_own"
    try:
        with pytest.raises(CredentialsError, match="postgres") as caught:
            holdfast.restore(record.id, server.url(made, role), store=store, options={"create": "true"})
        assert "no_owner" in str(caught.value.hint)
        assert made not in server.databases()
        options = {"create": "true", "no_owner": "true"}
        holdfast.restore(record.id, server.url(made, role), store=store, options=options)
        assert server.value(made, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'a'::regclass") == role
    finally:
        server.drop(made)


def test_a_missing_extension_and_an_older_server_are_told_before_anything_is_touched(
    server: PostgresServer, target: str, record: Any, store: str
) -> None:
    """The hints in the manifest say what the backup needs."""
    path = Path(record.path, "backup_manifest.json")
    manifest = json.loads(path.read_text())
    original = json.dumps(manifest)
    manifest["hints"]["extensions"] = ["no_such_extension"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(HoldfastError, match="no_such_extension"):
        holdfast.restore(record.id, server.url(target), store=store)
    manifest = json.loads(original)
    manifest["hints"]["major"] = 99
    path.write_text(json.dumps(manifest))
    with pytest.raises(UnsafeError, match="PostgreSQL 99"):
        holdfast.restore(record.id, server.url(target), store=store)
    holdfast.restore(record.id, server.url(target), store=store, options={"older_server": "true"})


@pytest.mark.sweep(2)
@pytest.mark.parametrize(
    "change",
    [
        {"format": "unheard-of"},
        {"large_tables": [{"schema": "a"}]},
        {"major": "x"},
        {"archive": 7},
        {"database": None},
    ],
)
def test_hints_that_are_none_are_an_integrity_error(
    server: PostgresServer, target: str, record: Any, store: str, change: dict[str, Any]
) -> None:
    """A manifest can be forged or damaged."""
    _change_hints(record, change)
    with pytest.raises(holdfast.IntegrityError, match="hints"):
        holdfast.restore(record.id, server.url(target), store=store)


def test_a_drill_says_of_hints_that_are_none_what_a_restore_says(
    server: PostgresServer, record: Any, store: str
) -> None:
    """The backup is damaged: it is no fault of the server that no scratch database could be made by them."""
    _change_hints(record, {"major": "x"})
    before = server.databases()
    result = holdfast.drill(record.id, store=store, into=server.url(""))
    assert result.state == "damaged"
    assert any("the manifest's hints are not those of a PostgreSQL dump" in problem for problem in result.problems)
    assert server.databases() == before


def _change_hints(record: Any, change: dict[str, Any]) -> None:
    path = Path(record.path, "backup_manifest.json")
    manifest = json.loads(path.read_text())
    manifest["hints"] |= change
    path.write_text(json.dumps(manifest))


def test_what_is_restored_otherwise_is_a_warning_with_its_name(
    server: PostgresServer, odd: str, target: str, store: str
) -> None:
    """A tablespace that is not there: all goes to the default one, and the result says so."""
    record = holdfast.backup(server.url(odd), store=store)
    path = Path(record.path, "backup_manifest.json")
    manifest = json.loads(path.read_text())
    manifest["hints"]["tablespaces"] = ["fast_disk"]
    path.write_text(json.dumps(manifest))
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert any("fast_disk" in warning for warning in result.warnings)


def test_statistics_are_there_after_a_restore(server: PostgresServer, target: str, record: Any, store: str) -> None:
    """Unless told otherwise."""
    query = "SELECT count(*) FROM pg_stats WHERE tablename = 'a'"
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.value(target, query) == 2
    holdfast.restore(record.id, server.url(target), store=store, replace=True, options={"analyze": "false"})
    assert server.value(target, query) == 0


def test_a_dry_run_checks_and_touches_nothing(server: PostgresServer, app: str, record: Any, store: str) -> None:
    from holdfast.operations.restore import restore
    from holdfast.plan import RestorePlan
    from holdfast.plugins.registry import Registry

    made = f"{app}_dry"
    plan = RestorePlan(backup=record.id, target=server.url(made), store=store, options={"create": "true"})
    result = restore(plan, registry=Registry(), dry_run=True)
    assert result.dry_run
    assert "data/public.a" in result.steps
    assert made not in server.databases()


def test_plain_scripts_refuse_what_they_cannot_do(server: PostgresServer, app: str, target: str, store: str) -> None:
    """A script is restored whole and as it is."""
    record = holdfast.backup(server.url(app), store=store, options={"format": "plain"})
    with pytest.raises(UsageError, match="whole"):
        holdfast.restore(record.id, server.url(target), store=store, select=("a",))
    with pytest.raises(UsageError, match="owners"):
        holdfast.restore(record.id, server.url(target), store=store, options={"no_owner": "true"})
