"""Backups of rows alone, restored into tables that are there: triggers, foreign keys and their order."""

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.errors import HoldfastError

_LOG = "BEGIN INSERT INTO public.log VALUES (new.id); RETURN new; END"

_LOGGED = (
    "CREATE TABLE log (a int)",
    "CREATE TABLE b (id int PRIMARY KEY)",
    "CREATE TABLE a (id int PRIMARY KEY REFERENCES b)",
    f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '{_LOG}'",
    "INSERT INTO b SELECT generate_series(1, 1000)",
    "INSERT INTO a SELECT generate_series(1, 1000)",
    "CREATE TRIGGER tr AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE TRIGGER off AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION f()",
    "ALTER TABLE b DISABLE TRIGGER off",
)


def _definitions_and_rows(server: PostgresServer, source: str, store: str, **options: str) -> tuple[str, str]:
    """The ids of two backups of a database, which make up one."""
    url = server.url(source)
    definitions = holdfast.backup(url, store=store, options={"schema_only": "true"})
    rows = holdfast.backup(url, store=store, options={"data_only": "true", **options})
    return definitions.id, rows.id


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", swept("parallel", "plain", long=["custom"]))
def test_rows_alone_come_back_without_triggers_in_any_format(
    server: PostgresServer, database: str, target: str, store: str, kind: str
) -> None:
    """Nor are foreign keys checked, whatever the order; a trigger that is disabled stays so."""
    server.execute(database, *_LOGGED)
    definitions, rows = _definitions_and_rows(server, database, store, format=kind, large_table="0")
    for backup in (definitions, rows):
        holdfast.restore(backup, server.url(target), store=store)
    assert server.value(target, "SELECT count(*) FROM log") == 0
    assert server.text(target) == server.text(database)


def test_triggers_that_fire_as_rows_come_back_are_named(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Nobody can keep those quiet that are to fire always."""
    server.execute(database, *_LOGGED, "ALTER TABLE a ENABLE ALWAYS TRIGGER tr")
    definitions, rows = _definitions_and_rows(server, database, store)
    holdfast.restore(definitions, server.url(target), store=store)
    result = holdfast.restore(rows, server.url(target), store=store)
    (warning,) = result.warnings
    assert "ENABLE ALWAYS" in warning
    assert "tr on public.a" in warning


_CHAIN = (
    "CREATE TABLE d (id int PRIMARY KEY)",
    "CREATE TABLE small (id int PRIMARY KEY)",
    "CREATE TABLE c (id int PRIMARY KEY REFERENCES d, small int REFERENCES small, up int REFERENCES c)",
    "CREATE TABLE tiny (id int PRIMARY KEY REFERENCES c)",
    "CREATE TABLE a (id int PRIMARY KEY REFERENCES c, tiny int REFERENCES tiny)",
    "INSERT INTO d SELECT generate_series(1, 40000)",
    "INSERT INTO small VALUES (1)",
    "INSERT INTO c SELECT n, 1, n FROM generate_series(1, 40000) n",
    "INSERT INTO tiny VALUES (7)",
    "INSERT INTO a SELECT n, 7 FROM generate_series(1, 40000) n",
)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", swept("parallel", "plain", long=["custom"]))
def test_rows_alone_are_restored_by_a_role_that_cannot_disable_triggers(
    server: PostgresServer, database: str, store: str, role: str, kind: str
) -> None:
    """It gives nobody anything, and foreign keys are satisfied by the order: what is referred to goes first."""
    server.execute(database, *_CHAIN)
    definitions, rows = _definitions_and_rows(server, database, store, format=kind, large_table="1MB")
    made = f"{database}_rows"
    try:
        options = {"create": "true", "no_owner": "true"}
        holdfast.restore(definitions, server.url(made, role), store=store, options=options)
        holdfast.restore(rows, server.url(made, role), store=store)
        for table in ("a", "c", "d", "small", "tiny"):
            count = f"SELECT count(*) FROM {table}"
            assert server.value(made, count) == server.value(database, count)
    finally:
        server.drop(made)


@pytest.mark.parametrize("options", swept({"large_table": "0"}, {"format": "plain"}, long=[{"format": "custom"}]))
def test_large_objects_come_back_with_rows_alone(
    server: PostgresServer, database: str, target: str, store: str, options: dict[str, str]
) -> None:
    """Up to version 16 pg_dump makes them in another section than the rows."""
    server.execute(database, "CREATE TABLE f (a oid)", "INSERT INTO f SELECT lo_from_bytea(0, 'abc')")
    definitions, rows = _definitions_and_rows(server, database, store, **options)
    for backup in (definitions, rows):
        holdfast.restore(backup, server.url(target), store=store)
    assert server.rows(target, "SELECT lo_get(a) FROM f") == [(b"abc",)]


_REFUSED_AT_LAST = (
    "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)",
    "CREATE TABLE q (p int REFERENCES p) PARTITION BY RANGE (p)",
    "CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (9)",
    "CREATE TABLE f (a oid)",
    "CREATE TABLE z (a int)",
    "INSERT INTO p VALUES (1)",
    "INSERT INTO f SELECT lo_from_bytea(0, 'abc')",
    "INSERT INTO z VALUES (1)",
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''never''; END'",
    "CREATE TRIGGER no BEFORE INSERT OR TRUNCATE ON z EXECUTE FUNCTION no()",
    "ALTER TABLE z ENABLE ALWAYS TRIGGER no",
)


def test_rows_alone_that_are_refused_leave_the_target_as_it_was(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Tables that foreign keys of partitioned ones lead to are emptied too, and only new large objects go."""
    server.execute(database, *_REFUSED_AT_LAST)
    definitions, rows = _definitions_and_rows(server, database, store, format="custom")
    holdfast.restore(definitions, server.url(target), store=store)
    server.execute(target, "SELECT lo_from_bytea(77, 'own')")
    before = server.text(target)
    with pytest.raises(HoldfastError, match=r"rows of table public\.z: never$"):
        holdfast.restore(rows, server.url(target), store=store)
    assert server.text(target) == before
