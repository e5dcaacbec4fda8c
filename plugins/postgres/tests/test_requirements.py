"""What a check says that a role lacks is what makes its backup fail; after its statement the backup is whole."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.operations.source_check import check_drill

REGISTRY = holdfast.Registry()
_CONTENT = """
CREATE SCHEMA "Odd one"; CREATE TABLE "Odd one"."T" (a int); INSERT INTO "Odd one"."T" VALUES (1);
CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY, x text); INSERT INTO plain (x) VALUES ('one');
CREATE TABLE parted (a int) PARTITION BY RANGE (a); CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9);
CREATE SEQUENCE counter; SELECT nextval('counter');
CREATE TABLE owned (who text); INSERT INTO owned VALUES ('a');
ALTER TABLE owned ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON owned USING (who = current_user);
SELECT lo_from_bytea(4711, 'large');
CREATE SCHEMA functions; CREATE FUNCTION functions.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW functions.v AS SELECT 1 AS a; REVOKE ALL ON FUNCTION functions.f() FROM PUBLIC;
CREATE MATERIALIZED VIEW functions.m AS SELECT 1 AS a;
CREATE TYPE functions.mood AS ENUM ('sad'); REVOKE USAGE ON TYPE functions.mood FROM PUBLIC
"""
_ALL = """
GRANT USAGE ON SCHEMA "Odd one" TO {0}; GRANT SELECT ON ALL TABLES IN SCHEMA public, "Odd one" TO {0};
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {0}; GRANT SELECT ON LARGE OBJECT 4711 TO {0};
ALTER ROLE {0} BYPASSRLS
"""
#: What is taken from a role that has all it needs, and what a check says then; empty where a backup needs it not.
LACKING = {
    "nothing": ("SELECT 1", ""),
    "a table": ("REVOKE SELECT ON plain FROM {0}", r"no SELECT on table public\.plain"),
    "columns": (
        "REVOKE SELECT ON plain FROM {0}; GRANT SELECT (x) ON plain TO {0}",
        r"no SELECT on table public\.plain",
    ),
    "a partition": ("REVOKE SELECT ON part FROM {0}", r"no SELECT on table public\.part$"),
    "a partitioned table": ("REVOKE SELECT ON parted FROM {0}", r"no SELECT on table public\.parted"),
    "a schema": ('REVOKE USAGE ON SCHEMA "Odd one" FROM {0}', "no USAGE on schema 'Odd one'"),
    "a sequence": ("REVOKE SELECT ON counter FROM {0}", r"no SELECT on sequence public\.counter"),
    "usage of a sequence": (
        "REVOKE SELECT ON counter FROM {0}; GRANT USAGE ON counter TO {0}",
        r"no SELECT on sequence public\.counter",
    ),
    "an identity": ("REVOKE SELECT ON plain_id_seq FROM {0}", r"no SELECT on sequence public\.plain_id_seq"),
    "a large object": ("REVOKE SELECT ON LARGE OBJECT 4711 FROM {0}", "no SELECT on 1 large objects: 4711"),
    "rows": ("ALTER ROLE {0} NOBYPASSRLS", r"row-level security hides rows of table public\.owned"),
}


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer) -> Iterator[tuple[str, str]]:
    """A database with one of everything, and a role."""
    with postgres_server.database() as name:
        role = f"reader_{name}"
        with postgres_server.connect(name) as connection:
            connection.execute(_CONTENT)
            connection.execute(f"CREATE ROLE {role} LOGIN")
        yield name, role
        postgres_server.execute(name, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def lacks(url: str, **options: object) -> list[str]:
    result = holdfast.check_source(holdfast.BackupPlan(source=url, **options))  # type: ignore[arg-type]
    names = {each.name for each in result.requirements}
    assert {"plugins", "server", "clock", "programs", "rights"} <= names, result
    return [each.detail for each in result.requirements if each.state == "failed"]


def backup_code(url: str, store: str, **options: object) -> int:
    try:
        record = holdfast.backup(url, store=store, **options)  # type: ignore[arg-type]
    except holdfast.HoldfastError as error:
        return error.exit_code
    assert record.warnings == ()
    return 0


@pytest.mark.parametrize("case", LACKING)
def test_what_is_said_to_be_missing_is_what_fails_and_its_statement_mends_it(
    case: str, postgres_server: PostgresServer, filled: tuple[str, str], store: str
) -> None:
    database, role = filled
    taken, said = LACKING[case]
    url = postgres_server.url(database, role)
    postgres_server.execute(database, _ALL.format(role), taken.format(role))
    checked = holdfast.check_source(url)
    details = lacks(url)
    assert [bool(re.search(said, detail)) for detail in details] == [True] * bool(said), details
    code = backup_code(url, store)
    assert code == (checked.failure.exit_code if checked.failure else 0) == (12 if said else 0)
    for each in checked.requirements:
        if each.state == "failed":
            postgres_server.execute(database, str(each.remedy))
    assert lacks(url) == []
    assert backup_code(url, store) == 0


def test_a_role_with_nothing_lacks_all_and_all_statements_together_are_enough(
    postgres_server: PostgresServer, database: str, store: str
) -> None:
    role = f"bare_{database}"
    postgres_server.execute(database, _CONTENT, f"CREATE ROLE {role} LOGIN")
    url = postgres_server.url(database, role)
    try:
        result = holdfast.check_source(url)
        assert len([each for each in result.requirements if each.state == "failed"]) == 5
        assert backup_code(url, store) == 12
        for each in result.requirements:
            if each.state == "failed":
                postgres_server.execute(database, str(each.remedy))
        assert lacks(url) == []
        assert backup_code(url, store) == 0
    finally:
        postgres_server.execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_of_much_that_is_missing_one_statement_grants_it(
    postgres_server: PostgresServer, database: str, store: str
) -> None:
    role = f"many_{database}"
    tables = [f"CREATE TABLE t{number} (a int)" for number in range(25)]
    postgres_server.execute(
        database, *tables, *(f"SELECT lo_create({n})" for n in range(1, 26)), f"CREATE ROLE {role} LOGIN"
    )
    url = postgres_server.url(database, role)
    try:
        result = holdfast.check_source(url)
        remedies = [str(each.remedy) for each in result.requirements if each.state == "failed"]
        assert [remedy.partition(" TO ")[0] for remedy in remedies][:1] == ["GRANT pg_read_all_data"]
        assert remedies[1].startswith("DO ")
        for remedy in remedies:
            postgres_server.execute(database, remedy)
        assert lacks(url) == []
        assert backup_code(url, store) == 0
    finally:
        postgres_server.execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "options",
    [{"exclude": ("public.plain",)}, {"options": {"schema_only": True}}, {"select": ("public.owned",)}],
    ids=str,
)
def test_what_a_backup_leaves_out_needs_no_right(
    options: dict[str, object], postgres_server: PostgresServer, filled: tuple[str, str], store: str
) -> None:
    database, role = filled
    url = postgres_server.url(database, role)
    schema_only = "options" in options
    taken = "REVOKE SELECT ON SEQUENCE counter FROM {0}" if schema_only else "REVOKE SELECT ON plain FROM {0}"
    postgres_server.execute(database, _ALL.format(role), taken.format(role))
    assert lacks(url), "the backup of all of it would fail"
    result = holdfast.check_source(holdfast.BackupPlan(source=url, **options))  # type: ignore[arg-type]
    assert result.failure is None
    holdfast.backup(url, store=store, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (lambda server: server.url("nonesuch"), 15),
        (lambda server: server.url("postgres", "nobody_here"), 12),
        (lambda _server: "postgresql://127.0.0.1:1/x", 15),
    ],
    ids=["database", "role", "port"],
)
def test_a_server_that_lets_nobody_in_is_told_as_a_backup_tells_it(
    url: Callable[[PostgresServer], str], code: int, server: PostgresServer, store: str
) -> None:
    result = holdfast.check_source(url(server))
    assert result.failure is not None
    assert result.failure.exit_code == backup_code(url(server), store) == code


def test_missing_programs_are_told(
    server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_PG_BINDIR", str(tmp_path))
    failed = [each for each in holdfast.check_source(server.url(database)).requirements if each.state == "failed"]
    assert [(each.name, each.exit_code) for each in failed] == [("programs", 14)]
    assert "postgresql-client" in str(failed[0].remedy)


def test_a_server_that_says_nothing_is_bounded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"
        result = holdfast.check_source(url, timeout=0.5)
    assert result.failure is not None
    assert result.failure.exit_code == 15
    assert "no answer within 0.5 s" in result.failure.message


def test_a_role_that_may_not_make_a_database_is_told_before_a_drill(
    server: PostgresServer, database: str, store: str
) -> None:
    role = f"drill_{database}"
    server.execute(database, "CREATE TABLE t (a int)", f"CREATE ROLE {role} LOGIN")
    record = holdfast.backup(server.url(database), store=store)
    into = server.url("", role)
    try:
        result = check_drill(server.url(database), into, registry=REGISTRY)
        (failed,) = [each for each in result.requirements if each.state == "failed"]
        assert failed.name == "scratch"
        with pytest.raises(holdfast.CredentialsError):
            holdfast.drill(record, store=store, into=into)
        server.execute("postgres", str(failed.remedy))
        assert check_drill(server.url(database), into, registry=REGISTRY).failure is None
        assert holdfast.drill(record, store=store, into=into).passed
    finally:
        server.execute("postgres", f"DROP ROLE {role}")


def test_a_check_changes_nothing_and_leaves_no_session(server: PostgresServer, database: str) -> None:
    query = (
        "SELECT xact_commit >= 0, tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = '{}'"
    )
    before = server.rows("postgres", query.format(database))
    assert holdfast.check_source(server.url(database)).failure is None
    assert server.rows("postgres", query.format(database)) == before
    assert server.quiet()
