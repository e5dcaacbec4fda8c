"""Selected tables come into a database that holds more: they take the place of their likes, and all else stays."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.postgres_faults import wait_until
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.defaults import installed
from holdfast.errors import HoldfastError, UnsafeError
from holdfast.operations.restore import restore as restore_plan

SOURCE = """
    CREATE SCHEMA sales; CREATE TYPE sales.state AS ENUM ('open', 'paid');
    CREATE FUNCTION sales.next() RETURNS int LANGUAGE sql AS 'SELECT 7';
    CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE SEQUENCE sales.numbers; SELECT setval('sales.numbers', 50);
    CREATE TABLE sales.customer (id serial PRIMARY KEY, name text NOT NULL, photo bytea);
    CREATE TABLE sales.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer int REFERENCES sales.customer ON DELETE CASCADE, state sales.state DEFAULT 'open',
        number int DEFAULT nextval('sales.numbers'), other int DEFAULT sales.next());
    CREATE TABLE sales.line (id int PRIMARY KEY, o int REFERENCES sales.orders);
    CREATE INDEX by_state ON sales.orders (state);
    CREATE TRIGGER touching BEFORE UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.touch();
    CREATE VIEW sales.open AS SELECT id FROM sales.orders WHERE state = 'open';
    INSERT INTO sales.customer (name, photo) SELECT 'n' || i, decode(md5(i::text), 'hex') FROM generate_series(1, 9) i;
    INSERT INTO sales.orders (customer, state) SELECT i, 'paid' FROM generate_series(1, 9) i;
    INSERT INTO sales.line SELECT i, i FROM generate_series(1, 9) i;
    COMMENT ON TABLE sales.orders IS 'as it was';
"""
TODAY = """
    DROP VIEW sales.open; DROP INDEX sales.by_state; UPDATE sales.orders SET state = 'open';
    CREATE INDEX today ON sales.orders (number); COMMENT ON TABLE sales.orders IS 'today';
    DELETE FROM sales.line WHERE id > 5; SELECT setval('sales.numbers', 99); UPDATE sales.customer SET name = 'today';
    CREATE TABLE late (x int); INSERT INTO late VALUES (1);
    CREATE OR REPLACE FUNCTION sales.next() RETURNS int LANGUAGE sql AS 'SELECT 8';
"""


@pytest.fixture
def shop(server: PostgresServer, database: str) -> str:
    server.execute(database, SOURCE)
    return database


@pytest.fixture
def restore(server: PostgresServer, store: str) -> Callable[..., Any]:
    def restored(record: holdfast.Backup, target: str, *, dry_run: bool = False, **options: Any) -> Any:
        plan = holdfast.RestorePlan(backup=record.id, target=server.url(target), store=store, **options)
        before = server.databases()
        try:
            return restore_plan(plan, registry=installed(), dry_run=dry_run)
        finally:
            assert server.databases() == before

    return restored


def content(server: PostgresServer, database: str) -> dict[str, Any]:
    names = sorted(server.relations(database))
    return {name: server.value(database, f"SELECT array_agg(t ORDER BY t)::text FROM {name} t") for name in names}


KINDS = [{"format": "parallel", "large_table": "0"}, {"format": "custom"}, {"format": "directory"}]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("options", KINDS, ids=lambda options: options["format"])
def test_a_table_takes_the_place_of_its_like_and_all_else_stays(
    options: dict[str, str], server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    saved = content(server, shop)
    record = holdfast.backup(server.url(shop), store=store, options=options)
    server.execute(shop, TODAY)
    today = content(server, shop)
    with pytest.raises(UnsafeError, match=r"already holds table sales.orders$") as caught:
        restore(record, shop, select=("sales.orders",))
    assert "leave all other tables as they are: table sales.orders: replaced" in (caught.value.hint or "")
    assert content(server, shop) == today
    result = restore(record, shop, select=("sales.orders",), replace=True)
    after = content(server, shop)
    assert after["sales.orders"] == saved["sales.orders"]
    unchanged = set(today) - {"sales.orders", "sales.orders_id_seq"}
    assert {name: after[name] for name in unchanged} == {name: today[name] for name in unchanged}
    assert server.value(shop, "SELECT obj_description('sales.orders'::regclass)") == "as it was"
    assert server.value(shop, "SELECT sales.next()") == 8
    indexes = "SELECT array_agg(indexname::text ORDER BY indexname) FROM pg_indexes WHERE tablename = 'orders'"
    assert server.value(shop, indexes) == ["by_state", "orders_pkey"]
    keys = (
        "SELECT array_agg(conrelid::regclass::text || conname ORDER BY conname) FROM pg_constraint WHERE contype = 'f'"
    )
    assert server.value(shop, keys) == ["sales.lineline_o_fkey", "sales.ordersorders_customer_fkey"]
    assert server.value(shop, "INSERT INTO sales.orders (customer) VALUES (1) RETURNING id") == 10
    warnings = [warning for warning in result.warnings if "also restored" not in warning]
    assert warnings == ["index today is gone: sales.orders of the backup has none of that name"]


def test_what_is_not_there_is_added_with_what_it_needs(
    server: PostgresServer, shop: str, target: str, store: str, restore: Callable[..., Any]
) -> None:
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(target, "CREATE SCHEMA sales; CREATE TABLE sales.stays (x int); INSERT INTO sales.stays VALUES (1)")
    result = restore(record, target, select=("sales.orders",), dry_run=True)
    lines = [str(change) for change in result.changes]
    assert sorted(lines) == ["sequence sales.numbers: added", "table sales.orders: added"]
    result = restore(record, target, select=("sales.orders",))
    assert content(server, target)["sales.orders"] == content(server, shop)["sales.orders"]
    assert server.value(target, "SELECT x FROM sales.stays") == 1
    left = [warning for warning in result.warnings if "leads to a table that is not there" in warning]
    assert len(left) == 1
    assert "orders_customer_fkey" in left[0]


def test_a_backup_of_a_selection_leaves_everything_else(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    record = holdfast.backup(server.url(shop), store=store, select=("sales.line",))
    saved = content(server, shop)
    server.execute(shop, TODAY)
    today = content(server, shop)
    result = restore(record, shop, replace=True, dry_run=True)
    assert (result.whole, [str(change) for change in result.changes]) == (False, ["table sales.line: replaced"])
    restore(record, shop, replace=True)
    assert content(server, shop) == {**today, "sales.line": saved["sales.line"]}


def test_exclude_is_a_selection_too(server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]) -> None:
    server.execute(shop, "SELECT lo_from_bytea(4711, 'abc')")
    record = holdfast.backup(server.url(shop), store=store)
    saved = content(server, shop)
    server.execute(shop, TODAY, "SELECT lo_put(4711, 0, 'xyz')")
    today = content(server, shop)
    result = restore(record, shop, replace=True, exclude=("sales.customer",))
    assert any("large objects (1), which belong to no table" in warning for warning in result.warnings)
    assert server.value(shop, "SELECT lo_get(4711)") == b"xyz"
    after = content(server, shop)
    for name in ("sales.customer", "public.late"):
        assert after[name] == today[name]
    for name in ("sales.orders", "sales.line"):
        assert after[name] == saved[name]


def test_a_dry_run_of_a_whole_replacement_says_what_becomes_of_each(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(shop, TODAY)
    result = restore(record, shop, replace=True, dry_run=True)
    assert result.whole
    lines = [str(change) for change in result.changes]
    assert {"table public.late: gone", "table sales.orders: replaced", "view sales.open: added"} <= {*lines}
    assert not any("id_seq" in line for line in lines)


@pytest.mark.sweep(3)
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE VIEW mine AS SELECT id FROM sales.orders", "view public.mine"),
        ("CREATE TABLE part () INHERITS (sales.orders)", "inheriting table public.part"),
        ('CREATE PUBLICATION "a p" FOR TABLE sales.orders, sales.line', "publication a p"),
        (
            "CREATE AGGREGATE a(sales.orders) (SFUNC = array_append, STYPE = sales.orders[])",
            "routine public.a",
        ),
        ("CREATE POLICY p ON sales.line USING (o IN (SELECT id FROM sales.orders))", "policy p on table sales.line"),
        ("ALTER TABLE sales.line ADD n int DEFAULT nextval('sales.orders_id_seq')", "column n of table sales.line"),
        ("CREATE TABLE log (old sales.orders[])", "column old of table public.log"),
        ("CREATE DOMAIN row AS sales.orders", "type .*row"),
        ("CREATE RULE r AS ON UPDATE TO sales.line DO ALSO DELETE FROM sales.orders", "rule r on table sales.line"),
    ],
)
def test_what_would_go_with_a_table_is_a_refusal(
    script: str, said: str, server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    """DROP TABLE … CASCADE, as pg_restore --clean is often helped along, would take views and keys with it."""
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(shop, "DROP VIEW sales.open", script)
    before = content(server, shop)
    for dry_run in (True, False):
        with pytest.raises(UnsafeError, match=f"would go with them: .*{said}") as caught:
            restore(record, shop, select=("sales.orders",), replace=True, dry_run=dry_run)
        # Of these, a selection can name views and tables alone.
        hint = str(caught.value.hint)
        assert hint.startswith("select these too") == said.startswith(("view", "inheriting"))
        assert ('ALTER PUBLICATION "a p" DROP TABLE …' in hint) == said.startswith("publication")
    assert content(server, shop) == before


def test_views_of_views_are_named_at_once(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    """Whoever selects what a refusal names has not to ask again for each level."""
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(
        shop,
        "CREATE VIEW sales.rows AS SELECT o FROM sales.open o",
        "CREATE MATERIALIZED VIEW sales.many AS SELECT count(*) FROM sales.rows",
        "CREATE FUNCTION f(sales.rows) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW sales.called AS SELECT f(NULL)",
    )
    names = "'view sales.called', 'materialized view sales.many', 'view sales.open', 'view sales.rows'"
    with pytest.raises(UnsafeError, match=f"would go with them: {names}$"):
        restore(record, shop, select=("sales.orders",), replace=True)


ROUTINES = """
    CREATE SCHEMA lib;
    CREATE FUNCTION sales.total(sales.orders) RETURNS int LANGUAGE sql AS 'SELECT $1.number';
    CREATE FUNCTION lib.paid() RETURNS SETOF sales.orders BEGIN ATOMIC SELECT * FROM sales.orders; END;
    CREATE FUNCTION lib.many(a sales.orders[]) RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM lib.paid(); END;
    CREATE VIEW sales.paid AS SELECT id FROM lib.paid();
    CREATE FUNCTION lib.first() RETURNS sales.paid LANGUAGE sql AS 'SELECT * FROM sales.paid';
    CREATE PROCEDURE lib.put(sales.orders) LANGUAGE sql AS 'SELECT 1'; ALTER PROCEDURE lib.put OWNER TO guarded;
    REVOKE ALL ON FUNCTION lib.paid() FROM PUBLIC; GRANT EXECUTE ON FUNCTION lib.paid() TO guarded WITH GRANT OPTION;
    COMMENT ON FUNCTION lib.paid() IS 'of today';
"""


def test_routines_over_rows_of_a_replaced_table_come_back_as_they_were(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    """Whether the backup has them, has them otherwise, or has them not; what else needs one of them refuses."""
    server.execute(shop, ROUTINES)
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(
        shop,
        "CREATE FUNCTION lib.late(sales.orders) RETURNS int LANGUAGE sql AS 'SELECT 1'; DELETE FROM sales.line",
        "CREATE OR REPLACE FUNCTION sales.total(sales.orders) RETURNS int LANGUAGE sql AS 'SELECT 5'",
    )
    query = """
        SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), proowner::regrole::text, obj_description(p.oid),
            coalesce(proacl, acldefault('f', proowner)) @> acldefault('f', proowner),
            coalesce(proacl::text, '') LIKE '%guarded=X*%'
        FROM pg_proc p WHERE pronamespace IN ('lib'::regnamespace, 'sales'::regnamespace) ORDER BY 1
    """
    before = server.rows(shop, query)
    for select in (("sales.orders", "sales.open", "sales.paid"), ("sales", "lib")):
        server.execute(shop, "DELETE FROM sales.orders")
        restore(record, shop, select=select, replace=True)
        assert server.rows(shop, query) == before
        assert server.value(shop, "SELECT count(*) FROM lib.paid()") == 9
    server.execute(shop, "CREATE TABLE lib.uses (a int DEFAULT lib.many(NULL))")
    with pytest.raises(UnsafeError, match="column a of table lib"):
        restore(record, shop, select=("sales",), replace=True)
    assert server.rows(shop, query) == before


def test_what_needs_one_another_is_replaced_in_any_order(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    """A view younger than one that needs it, one of each kind over the other, a policy and a rule that lead back."""
    server.execute(
        shop,
        "CREATE VIEW v1 AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS id WITH NO DATA",
        "CREATE MATERIALIZED VIEW m1 AS SELECT id FROM sales.open",
        "CREATE VIEW v2 AS SELECT id FROM m1",
        "CREATE MATERIALIZED VIEW m2 AS SELECT id FROM v2",
        "CREATE OR REPLACE VIEW v1 AS SELECT id FROM m2",
        "CREATE RULE r AS ON UPDATE TO sales.orders DO ALSO SELECT id FROM sales.open",
        "ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY, ADD tags text[] DEFAULT '{NULL,€}'",
        "CREATE POLICY p ON sales.orders USING (id IN (SELECT id FROM sales.open))",
    )
    before = server.text(shop)
    settings = (
        "default_transaction_read_only TO on",
        "array_nulls TO off",
        "client_encoding TO LATIN1",
        "datestyle TO German",
    )
    server.execute("postgres", *(f"ALTER DATABASE {shop} SET {setting}" for setting in settings))
    record = holdfast.backup(server.url(shop), store=store)
    names = ("sales.orders", "sales.numbers", "sales.open", "v1", "v2", "m1", "m2", "unfilled")
    assert restore(record, shop, select=names, replace=True).warnings == ()
    server.execute("postgres", f"ALTER DATABASE {shop} RESET ALL")
    assert server.text(shop) == before


def test_a_foreign_key_that_would_be_broken_ends_the_restore_and_leaves_all(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(
        shop, "INSERT INTO sales.customer VALUES (77, 'new', NULL)", "INSERT INTO sales.orders (customer) VALUES (77)"
    )
    before = content(server, shop)
    with pytest.raises(
        HoldfastError, match=r"violates foreign key constraint .*: Key \(customer\)=\(77\) is"
    ) as caught:
        restore(record, shop, select=("sales.customer",), replace=True)
    assert "select both tables" in str(caught.value.hint)
    assert content(server, shop) == before


def test_the_sequence_of_a_table_that_stays_keeps_its_value(
    server: PostgresServer, shop: str, store: str, restore: Callable[..., Any]
) -> None:
    """A view of the selection needs the table, which is there: neither its rows nor its sequence are touched."""
    server.execute(shop, "CREATE VIEW sales.names AS SELECT name FROM sales.customer")
    record = holdfast.backup(server.url(shop), store=store)
    server.execute(shop, "SELECT setval('sales.customer_id_seq', 99)", "DROP VIEW sales.names")
    restore(record, shop, select=["sales.names"])
    assert server.value(shop, "SELECT last_value FROM sales.customer_id_seq") == 99
    assert server.value(shop, "SELECT count(*) FROM sales.names") == 9


def test_rows_that_break_a_check_of_a_domain_that_is_not_valid_are_put_in(
    server: PostgresServer, database: str, store: str, restore: Callable[..., Any]
) -> None:
    """The domain of the target stays, and holds for rows to come; one that is valid is a refusal."""
    server.execute(
        database,
        "CREATE DOMAIN even AS int",
        "CREATE TABLE t (n even); INSERT INTO t VALUES (1)",
        "ALTER DOMAIN even ADD CONSTRAINT whole CHECK (VALUE % 2 = 0) NOT VALID",
    )
    record = holdfast.backup(server.url(database), store=store)
    restore(record, database, select=("public.t",), replace=True)
    checked = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'whole'"
    assert server.rows(database, "SELECT n::int FROM t") == [(1,)]
    assert server.value(database, checked).endswith("NOT VALID")
    server.execute(database, "DELETE FROM t", "ALTER DOMAIN even VALIDATE CONSTRAINT whole")
    with pytest.raises(HoldfastError, match=r'rows of table t: .*"whole"'):
        restore(record, database, select=("public.t",), replace=True)
    result = restore(record, database, select=("public.t",), replace=True, options={"on_error": "continue"})
    assert [text for text in result.warnings if "made NOT VALID in " in text and "public.even.whole" in text]
    assert server.rows(database, "SELECT n::int FROM t") == [(1,)]


def test_a_merge_whose_psql_outlives_us_for_a_moment_commits_nothing(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Its input ends with us, which is no end of the script; what kills it may come later."""
    fill = "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, {}) i"
    server.execute(database, fill.format(3000))
    server.execute(target, fill.format(5))
    record = holdfast.backup(server.url(database), store=store)
    command = [sys.executable, "-m", "holdfast", "restore", record.id, server.url(target), "--store", store]
    with server.connect(target) as blocker:
        blocker.execute("BEGIN; LOCK TABLE big IN ACCESS SHARE MODE")
        process = subprocess.Popen([*command, "--select", "public.big", "--replace"], stderr=subprocess.DEVNULL)
        session = f"SELECT FROM pg_stat_activity WHERE datname = '{target}'"
        waiting = f"{session} AND query LIKE 'DROP TABLE%' AND wait_event_type = 'Lock'"
        wait_until(lambda: bool(server.rows("postgres", waiting)), 60)
        (shell,) = [child for child in _children(process.pid) if _command(child).startswith(b"/bin/sh")]
        # What kills psql once we are dead waits for the end of a pipe, whose other end is made to live longer.
        lifeline = int(_command(shell).split(b"\0")[4]) + 1
        with open(f"/proc/{process.pid}/fd/{lifeline}", "wb"):
            process.kill()
            process.wait()
            blocker.execute("ROLLBACK")
            wait_until(lambda: not server.rows("postgres", f"{session} AND application_name LIKE 'holdfast merge%'"))
    assert server.value(target, "SELECT count(*) FROM big") == 5


def _children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _command(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()
