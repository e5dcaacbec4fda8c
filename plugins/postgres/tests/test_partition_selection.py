"""A partitioned table that is selected has its rows in its partitions, and they come with it."""

import itertools
from typing import Any

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import paired, swept

import holdfast
from holdfast.defaults import installed
from holdfast.errors import UnsafeError
from holdfast.operations.restore import restore as restore_plan

FORMATS = swept("parallel", "plain", long=["custom", "directory", "tar"])
SOURCE = """
    CREATE SCHEMA a; CREATE SCHEMA parts;
    CREATE FUNCTION a.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE a.owner (id int PRIMARY KEY); INSERT INTO a.owner VALUES (1), (2);
    CREATE TABLE a.event (id bigserial, gid int, year int NOT NULL, owner int REFERENCES a.owner,
        PRIMARY KEY (year, id)) PARTITION BY LIST (year);
    CREATE TABLE parts.event_1 PARTITION OF a.event FOR VALUES IN (1);
    CREATE TABLE parts."Event 2" PARTITION OF a.event FOR VALUES IN (2) PARTITION BY RANGE (id);
    CREATE TABLE parts.event_2_low PARTITION OF parts."Event 2" FOR VALUES FROM (MINVALUE) TO (5);
    CREATE TABLE parts.event_2_high PARTITION OF parts."Event 2" FOR VALUES FROM (5) TO (MAXVALUE);
    CREATE TABLE parts.event_rest PARTITION OF a.event DEFAULT;
    CREATE INDEX event_gid ON a.event (gid);
    CREATE TRIGGER touching BEFORE INSERT ON a.event FOR EACH ROW EXECUTE FUNCTION a.touch();
    ALTER TABLE a.event REPLICA IDENTITY FULL; ALTER TABLE parts.event_1 REPLICA IDENTITY USING INDEX event_1_pkey;
    CREATE TABLE a.note (year int, event bigint, FOREIGN KEY (year, event) REFERENCES a.event);
    CREATE TABLE a.base (x int); CREATE TABLE parts.heir (y int) INHERITS (a.base);
    CREATE VIEW a.shown AS SELECT id FROM a.event;
    INSERT INTO a.event (gid, year, owner) SELECT i, i % 4, 1 FROM generate_series(1, 20) i;
    INSERT INTO a.note SELECT year, id FROM a.event WHERE year = 1;
    INSERT INTO a.base VALUES (1); INSERT INTO parts.heir VALUES (2, 3);
"""
TREE = {"a.event", "parts.event_1", "parts.Event 2", "parts.event_2_low", "parts.event_2_high", "parts.event_rest"}
ROWS = "SELECT array_agg((tableoid::regclass, e) ORDER BY id)::text FROM a.event e"


@pytest.fixture
def tree(server: PostgresServer, database: str) -> str:
    server.execute(database, SOURCE)
    return database


def restored(
    server: PostgresServer, record: holdfast.Backup, target: str, store: str, *, dry_run: bool = False, **fields: Any
) -> Any:
    plan = holdfast.RestorePlan(backup=record.id, target=server.url(target), store=store, **fields)
    before = server.databases()
    try:
        return restore_plan(plan, registry=installed(), dry_run=dry_run)
    finally:
        assert server.databases() == before


PARTS = [
    ROWS,
    "SELECT count(*) FROM pg_index WHERE NOT indisvalid",
    "SELECT array_agg(tgrelid::regclass::text ORDER BY tgrelid::regclass::text) FROM pg_trigger WHERE tgname ~ 'ing'",
    """SELECT array_agg(indexrelid::regclass::text ORDER BY indexrelid::regclass::text) FROM pg_index
        WHERE indexrelid >= 16384 AND indrelid::regclass::text ~ 'vent'""",
    """SELECT array_agg((oid::regclass, relreplident, relispartition) ORDER BY oid::regclass::text)::text FROM pg_class
        WHERE relkind IN ('r', 'p') AND relname ~* 'event'""",
    "SELECT pg_get_serial_sequence('a.event', 'id')",
]


def check_tree(server: PostgresServer, source: str, target: str) -> None:
    """The rows, each where it was, and what hangs on the table at its top."""
    for query in PARTS:
        assert server.value(target, query) == server.value(source, query), query


@pytest.mark.parametrize("kind", swept("parallel", "tar", long=["custom", "directory"]))
def test_the_partitions_of_all_levels_come_with_their_table_at_the_restore(
    server: PostgresServer, tree: str, target: str, store: str, kind: str
) -> None:
    record = holdfast.backup(server.url(tree), store=store, options={"format": kind, "large_table": "0"})
    result = restored(server, record, target, store, select=("a.event",))
    assert server.relations(target) == TREE
    check_tree(server, tree, target)
    assert not any("attach" in warning for warning in result.warnings)
    assert server.value(target, "INSERT INTO a.event (year) VALUES (9) RETURNING id") == 21


@pytest.mark.parametrize("kind", FORMATS)
def test_the_partitions_of_all_levels_come_with_their_table_at_the_backup(
    server: PostgresServer, tree: str, target: str, store: str, kind: str
) -> None:
    """And the drill of such a backup proves their rows."""
    record = holdfast.backup(
        server.url(tree), store=store, select=("a.event",), options={"format": kind, "large_table": "0"}, proof=True
    )
    assert [warning for warning in record.warnings if "also backed up" in warning] == []
    restored(server, record, target, store)
    assert server.relations(target) == TREE
    check_tree(server, tree, target)
    assert holdfast.drill(record.id, store=store, into=server.url("postgres")).state == "proven"


def test_a_view_brings_the_partitions_of_its_table(server: PostgresServer, tree: str, target: str, store: str) -> None:
    for select in ((), ("a.shown",)):
        record = holdfast.backup(server.url(tree), store=store, select=select)
        server.execute(target, "DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA IF EXISTS parts CASCADE")
        restored(server, record, target, store, select=("a.shown",))
        assert server.relations(target) == {*TREE, "a.shown"}
        assert server.value(target, "SELECT count(*) FROM a.shown") == 20


def test_rows_alone_come_with_those_of_the_partitions(
    server: PostgresServer, tree: str, target: str, store: str
) -> None:
    record = holdfast.backup(server.url(tree), store=store, select=("a.event",), options={"data_only": "true"})
    server.execute(target, SOURCE, "TRUNCATE a.owner, a.event, a.base, a.note")
    server.execute(target, "ALTER TABLE a.event DROP CONSTRAINT event_owner_fkey")
    restored(server, record, target, store)
    assert server.value(target, ROWS) == server.value(tree, ROWS)


@pytest.mark.parametrize("excluded", ["parts.event_1", 'parts."Event 2"'])
def test_a_partition_that_is_excluded_stays_out_and_is_named(
    server: PostgresServer, tree: str, target: str, store: str, excluded: str
) -> None:
    left = {"parts.event_1"} if "1" in excluded else {name for name in TREE if "2" in name}
    for at_backup, with_select in itertools.product((True, False), (True, False)):
        select = ("a.event",) if with_select else ()
        chosen: dict[str, Any] = {"select": select, "exclude": (excluded, "note", "a.shown")}
        record = holdfast.backup(server.url(tree), store=store, **(chosen if at_backup else {}))
        server.execute(target, "DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA IF EXISTS parts CASCADE")
        result = restored(server, record, target, store, **({} if at_backup else chosen))
        warnings = record.warnings if at_backup else result.warnings
        assert len([warning for warning in warnings if "partition of, since it is excluded" in warning]) == 1
        if with_select:
            assert server.relations(target) == TREE - left
        else:
            assert excluded.replace('"', "") not in server.relations(target)
        assert server.value(target, "SELECT count(*) FROM a.event") == 15


@pytest.mark.parametrize("kind", FORMATS)
def test_a_partition_alone_is_a_table_of_its_own(
    server: PostgresServer, tree: str, target: str, store: str, kind: str
) -> None:
    """With its rows, from a backup of it and from one of everything."""
    for at_backup in (True, False):
        if kind == "plain" and not at_backup:
            continue
        select = ("parts.event_1",)
        record = holdfast.backup(
            server.url(tree), store=store, select=select if at_backup else (), options={"format": kind}, proof=True
        )
        server.execute(target, "DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA IF EXISTS parts CASCADE")
        result = restored(server, record, target, store, select=() if at_backup else select)
        assert "parts.event_1" in server.relations(target)
        assert not any(name in server.relations(target) for name in TREE - {"parts.event_1"})
        query = "SELECT array_agg(e ORDER BY id)::text FROM parts.event_1 e"
        assert server.value(target, query) == server.value(tree, query)
        assert server.value(target, "SELECT count(*) FROM pg_index WHERE indrelid = 'parts.event_1'::regclass") == 2
        warnings = [*record.warnings, *result.warnings]
        assert any(("event_1" in warning and "attach" in warning) or "of its own" in warning for warning in warnings)
        assert holdfast.drill(record.id, store=store, into=server.url("postgres")).state == "proven"


CHANGED = """
    CREATE TABLE parts.event_9 PARTITION OF a.event FOR VALUES IN (9);
    INSERT INTO a.event (gid, year) SELECT i, 9 FROM generate_series(1, 3) i;
    DELETE FROM a.event WHERE year = 2; UPDATE a.event SET gid = 0;
    CREATE TABLE other (x int); INSERT INTO other VALUES (1); DROP VIEW a.shown;
"""


def test_the_whole_tree_is_replaced_and_new_partitions_are_named(server: PostgresServer, tree: str, store: str) -> None:
    record = holdfast.backup(server.url(tree), store=store, options={"large_table": "0"})
    before = server.value(tree, ROWS)
    server.execute(tree, CHANGED)
    today = server.value(tree, ROWS)
    with pytest.raises(UnsafeError, match=r"already holds table a\.event") as caught:
        restored(server, record, tree, store, select=("a.event",))
    assert "parts.event_9: gone" in (caught.value.hint or "")
    changes = restored(server, record, tree, store, select=("a.event",), replace=True, dry_run=True).changes
    assert {change.name for change in changes if change.action == "replaced"} == TREE
    assert [str(change) for change in changes if change.action != "replaced"] == ["table parts.event_9: gone"]
    assert server.value(tree, ROWS) == today
    result = restored(server, record, tree, store, select=("a.event",), replace=True)
    assert any("parts.event_9" in warning and "gone" in warning for warning in result.warnings)
    assert server.value(tree, ROWS) == before
    assert server.value(tree, "SELECT count(*) FROM pg_constraint WHERE conname = 'note_year_event_fkey'") == 1
    assert server.value(tree, "SELECT x FROM other") == 1


def test_a_new_partition_that_is_excluded_is_not_dropped(server: PostgresServer, tree: str, store: str) -> None:
    record = holdfast.backup(server.url(tree), store=store)
    server.execute(tree, CHANGED, "CREATE TABLE parts.event_8 PARTITION OF a.event FOR VALUES IN (8)")
    before = server.value(tree, ROWS)
    with pytest.raises(UnsafeError, match=r"would go with them: 'partition parts\.event_1'"):
        restored(server, record, tree, store, select=("a.event",), exclude=("event_1",), replace=True)
    assert server.value(tree, ROWS) == before


@pytest.mark.parametrize(("kind", "at_backup"), paired(["parallel", "custom"], [True, False]))
def test_a_partition_is_attached_again_to_the_table_that_is_there(
    server: PostgresServer, tree: str, store: str, kind: str, *, at_backup: bool
) -> None:
    """Whether it has been dropped, or is replaced; what leads to its table is checked anew."""
    select = ("parts.event_1",)
    record = holdfast.backup(
        server.url(tree), store=store, select=select if at_backup else (), options={"format": kind}
    )
    chosen = () if at_backup else select
    before = server.value(tree, ROWS)
    server.execute(tree, "UPDATE a.event SET gid = 0 WHERE year = 1")
    result = restored(server, record, tree, store, select=chosen, replace=True)
    check = "SELECT count(*) FROM pg_constraint WHERE conname ~ 'note_year_event_fkey' AND conparentid = 0"
    assert server.value(tree, check) == 1
    assert server.value(tree, ROWS) == before
    assert not any("of its own" in warning or "attach" in warning for warning in result.warnings)
    server.execute(tree, "DROP TABLE a.note; DROP TABLE parts.event_1")
    restored(server, record, tree, store, select=chosen)
    assert server.value(tree, ROWS) == before
    assert server.value(tree, "SELECT last_value FROM a.event_id_seq") == 20


def test_a_partition_whose_place_is_taken_changes_nothing(server: PostgresServer, tree: str, store: str) -> None:
    record = holdfast.backup(server.url(tree), store=store)
    server.execute(tree, "DROP TABLE a.note; DROP TABLE parts.event_1")
    server.execute(tree, "CREATE TABLE mine PARTITION OF a.event FOR VALUES IN (1, 11)")
    with pytest.raises(holdfast.HoldfastError, match="would overlap partition"):
        restored(server, record, tree, store, select=("parts.event_1",))
    assert "parts.event_1" not in server.relations(tree)


def test_what_inherits_comes_with_its_table_and_is_named(
    server: PostgresServer, tree: str, target: str, store: str
) -> None:
    """As in pg_dump --table-and-children: a query of the one reads the rows of the other."""
    for at_backup in (True, False):
        record = holdfast.backup(server.url(tree), store=store, select=("a.base",) if at_backup else ())
        server.execute(target, "DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA IF EXISTS parts CASCADE")
        result = restored(server, record, target, store, select=() if at_backup else ("a.base",))
        assert server.relations(target) == {"a.base", "parts.heir"}
        assert server.rows(target, "SELECT x FROM a.base ORDER BY x") == [(1,), (2,)]
        (warning,) = [
            warning for warning in (*record.warnings, *result.warnings) if "inherits from a selected" in warning
        ]
        assert "parts.heir" in warning


def test_an_owner_who_is_no_superuser_restores_a_tree(
    server: PostgresServer, database: str, target: str, role: str, store: str
) -> None:
    server.execute("postgres", f"ALTER DATABASE {target} OWNER TO {role}", f"ALTER DATABASE {database} OWNER TO {role}")
    server.execute(database, SOURCE)
    record = holdfast.backup(server.url(database), store=store)
    url = server.url(target).replace("postgres@", f"{role}@")
    options = {"no_owner": "true"}
    try:
        for replace in (False, True):
            holdfast.restore(record.id, url, store=store, select=("a.event",), replace=replace, options=options)
            check_tree(server, database, target)
    finally:
        server.execute(target, f"DROP OWNED BY {role} CASCADE")
        server.execute("postgres", f"REASSIGN OWNED BY {role} TO postgres")
