"""Kinds of objects that are left out, at a backup or at a restore: what a hoster does not allow, or nobody wants."""

from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.api import ObjectKind, UsageError
from holdfast_postgres.kinds import ENTRY_KINDS
from holdfast_postgres.plugin import plugin

pytestmark = pytest.mark.usefixtures("several_sessions")

SCHEMA = (
    "CREATE TABLE users (id int PRIMARY KEY, mail text)",
    "INSERT INTO users VALUES (1, 'a')",
    "CREATE TABLE posts (id int PRIMARY KEY, u int REFERENCES users)",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
    "CREATE EVENT TRIGGER forbidden ON sql_drop EXECUTE FUNCTION forbid()",
    "COMMENT ON TABLE users IS 'people'",
    "COMMENT ON EVENT TRIGGER forbidden IS 'nothing is dropped'",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON users USING (mail = current_user)",
    "CREATE PUBLICATION pub FOR TABLE users",
    "GRANT SELECT ON users TO PUBLIC",
    "CREATE VIEW mails AS SELECT mail FROM users",
    "CREATE VIEW again AS SELECT mail FROM mails",
    "CREATE MATERIALIZED VIEW kept_mails AS SELECT mail FROM users",
    "CREATE RULE nothing AS ON DELETE TO posts DO INSTEAD NOTHING",
    "CREATE STATISTICS s ON id, u FROM posts",
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE SERVER far FOREIGN DATA WRAPPER w",
    "CREATE USER MAPPING FOR PUBLIC SERVER far",
)
COUNTS = {
    "trigger": "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
    "event_trigger": "SELECT count(*) FROM pg_event_trigger",
    "comment": "SELECT count(*) FROM pg_description WHERE description IN ('people', 'nothing is dropped')",
    "policy": "SELECT count(*) + (SELECT count(*) FROM pg_class WHERE relrowsecurity) FROM pg_policy",
    "publication": "SELECT count(*) FROM pg_publication",
    "grant": "SELECT count(*) FROM pg_class WHERE relname = 'users' AND relacl IS NOT NULL",
    "view": "SELECT count(*) FROM pg_class WHERE relname IN ('mails', 'again', 'kept_mails')",
    "rule": "SELECT count(*) FROM pg_rewrite WHERE rulename = 'nothing'",
    "statistics": "SELECT count(*) FROM pg_statistic_ext",
    "foreign_key": "SELECT count(*) FROM pg_constraint WHERE contype = 'f'",
    "user_mapping": "SELECT count(*) FROM pg_user_mapping",
}


def test_every_kind_that_is_offered_is_known() -> None:
    assert plugin.component.kinds == set(ENTRY_KINDS)
    assert set(ENTRY_KINDS) == set(ObjectKind) - {"event"}


@pytest.mark.parametrize("form", swept("parallel", "custom", long=["directory"]))
def test_kinds_are_left_out_at_a_restore(server: PostgresServer, database: str, store: str, form: str) -> None:
    """All else is there, and what is said of them goes with them."""
    server.execute(database, *SCHEMA)
    record = holdfast.backup(server.url(database), store=store, options={"format": form})
    some = ["event_trigger", "policy", "view"]
    with server.database() as target:
        result = holdfast.restore(record.id, server.url(target), store=store, exclude_kinds=some, jobs=2)
        assert (result.warnings, result.failures) == ((), ())
        counts = {kind: server.value(target, query) for kind, query in COUNTS.items()}
        assert counts == {kind: 0 if kind in some else 1 for kind in COUNTS}
    with server.database() as target:
        result = holdfast.restore(record.id, server.url(target), store=store, exclude_kinds=list(COUNTS))
        assert (result.warnings, result.failures) == ((), ())
        assert {server.value(target, query) for query in COUNTS.values()} == {0}
        assert server.value(target, "SELECT count(*) FROM users") == 1


@pytest.mark.parametrize("form", swept("parallel", "sql", long=["custom"]))
def test_kinds_are_left_out_at_a_backup(
    server: PostgresServer, database: str, target: str, store: str, form: str
) -> None:
    """By every restore and drill of it; RESTORE.md says what the archive holds all the same."""
    server.execute(database, *SCHEMA)
    kinds = list(COUNTS)
    record = holdfast.backup(
        server.url(database), store=store, options={"format": form}, exclude_kinds=kinds, proof=True
    )
    assert holdfast.restore(record.id, server.url(target), store=store).warnings == ()
    assert {server.value(target, query) for query in COUNTS.values()} == {0}
    assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"
    instructions = (Path(record.path) / "RESTORE.md").read_text()
    assert ("event_trigger" in instructions) == (form != "sql")


def test_a_table_that_needs_what_is_left_out_is_refused_and_a_trigger_goes_along(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    server.execute(database, *SCHEMA)
    record = holdfast.backup(server.url(database), store=store)
    result = holdfast.restore(record.id, server.url(target), store=store, exclude_kinds=["routine"])
    (warning,) = result.warnings
    assert warning.startswith("not restored, since it needs what is left out: ")
    assert "touched" in warning
    server.execute(
        database,
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE needing (a int DEFAULT one())",
    )
    record = holdfast.backup(server.url(database), store=store)
    with pytest.raises(UsageError, match=r"table public\.needing needs what is left out by its kind"):
        holdfast.restore(record.id, server.url(target), store=store, exclude_kinds=["routine"], replace=True)


def test_a_script_is_restored_whole(server: PostgresServer, database: str, target: str, store: str) -> None:
    server.execute(database, *SCHEMA)
    record = holdfast.backup(server.url(database), store=store, options={"format": "sql"})
    with pytest.raises(UsageError, match="it cannot be restored without trigger") as caught:
        holdfast.restore(record.id, server.url(target), store=store, exclude_kinds=["trigger"])
    assert "at the backup" in str(caught.value.hint)


def test_a_role_of_a_hoster_restores_without_what_only_superusers_may(
    server: PostgresServer, database: str, target: str, role: str, store: str
) -> None:
    """Event triggers, extensions that are there, comments on them: left out by kind, or listed where it goes on."""
    server.execute(
        database,
        *SCHEMA,
        "COMMENT ON EXTENSION plpgsql IS 'ours'",
        "CREATE FUNCTION mine() RETURNS text LANGUAGE internal STABLE AS 'pg_current_xact_id'",
    )
    record = holdfast.backup(server.url(database), store=store)
    server.execute("postgres", f"ALTER DATABASE {target} OWNER TO {role}")
    server.execute(target, f"ALTER SCHEMA public OWNER TO {role}", f"GRANT ALL ON SCHEMA public TO {role}")
    options = {"no_owner": "true", "on_error": "continue"}
    kinds = ["event_trigger", "comment", "extension", "publication", "user_mapping"]
    result = holdfast.restore(record.id, server.url(target, role), store=store, options=options, exclude_kinds=kinds)
    failures = {(failure.kind, failure.name): failure.code for failure in result.failures}
    assert failures.pop(("function", "public.mine()")) == "42501"
    assert failures.pop(("foreign data wrapper", "w")) == "42501"
    assert set(failures) == {("server", "far")}
    assert server.value(target, "SELECT count(*) FROM users") == 1
    assert server.value(target, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 1
    server.execute("postgres", f"ALTER DATABASE {target} OWNER TO postgres")
    server.execute(target, f"REASSIGN OWNED BY {role} TO postgres", f"DROP OWNED BY {role}")
