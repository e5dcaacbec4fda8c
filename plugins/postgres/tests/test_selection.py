"""--select and --exclude, at backup and at restore."""

from pathlib import Path
from typing import Any

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast_postgres.selection.patterns import Selection


def test_patterns_are_globs_of_schema_and_name() -> None:
    selection = Selection(select=("app", 'x."a.b"', "y.t_*"), exclude=("app.secret", "*.tmp?"))
    taken: dict[tuple[str, str], Any] = {
        ("app", "a"): True,
        ("app", "secret"): False,
        ("app", "tmp1"): False,
        ("app", "tmp12"): True,
        ("other", "app"): True,
        ("x", "a.b"): True,
        ("x", "ab"): False,
        ("y", "t_1"): True,
        ("y", "t1"): False,
        ("y", "T_1"): False,
    }
    for (schema, name), expected in taken.items():
        assert selection.takes(schema, name) is expected, (schema, name)
    assert selection.takes_schema("app")
    assert not selection.takes_schema("x")


def test_a_doubled_quote_in_a_pattern_is_one_in_the_name() -> None:
    """As in SQL."""
    for pattern in ('"S p""q.x".*', '"S p""q.x"', '"S p"""*."t"', '"S p""q.x"."""t"?'):
        name = '"t1' if "?" in pattern else "t"
        assert Selection(select=(pattern,)).takes('S p"q.x', name), pattern
        assert not Selection(select=(pattern,)).takes("S pq.x", name), pattern


ODD = "odd*name", "oddXname", "a?b", "a1b", "Mixed", "mixed", "pay$", "pay$1", "with.dot", 'qu"ote', "[x]", "x", "b\\c"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('"odd*name"', {"odd*name"}),
        ("odd*name", {"odd*name", "oddXname"}),
        ('odd"*"name', {"odd*name"}),
        ('"a?b"', {"a?b"}),
        ("a?b", {"a?b", "a1b"}),
        ("Mixed", {"Mixed"}),
        ('"mixed"', {"mixed"}),
        ("pay$", {"pay$"}),
        ('"pay$"*', {"pay$", "pay$1"}),
        ('public."with.dot"', {"with.dot"}),
        ('"with.dot"', {"with.dot"}),
        ('"qu""ote"', {'qu"ote'}),
        ("[x]", {"[x]"}),
        ("b\\c", {"b\\c"}),
        ('pub*."?"', set()),
        ("pub*.?", {"x"}),
    ],
)
def test_a_quoted_wildcard_is_a_character_of_the_name(pattern: str, expected: set[str]) -> None:
    """As in patterns of psql and pg_dump."""
    selection = Selection(select=(pattern,))
    assert {name for name in ODD if selection.takes("public", name)} == expected


def test_names_with_wildcards_are_selected_at_backup_and_restore(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """By pg_dump's own filters, too, and nothing that only looks alike."""
    for name in ODD:
        quoted = name.replace('"', '""')
        server.execute(database, f'CREATE TABLE "{quoted}" (a int)')
    select, exclude = ('"odd*name"', "pay$*", '"qu""ote"', "a?b"), ('"a?b"', '"pay$1"')
    expected = {"public.odd*name", "public.pay$", 'public.qu"ote', "public.a1b"}
    part = holdfast.backup(server.url(database), store=store, select=select, exclude=exclude)
    holdfast.restore(part.id, server.url(target), store=store)
    assert server.relations(target) == expected
    whole = holdfast.backup(server.url(database), store=store)
    holdfast.restore(whole.id, server.url(target), store=store, select=select, exclude=exclude, replace=True)
    assert server.relations(target) == expected
    for pattern, message, hint in (
        ('"mix*"', "no schema and no table matches", "in quotes they are none"),
        ("MIXED", "no schema and no table matches", "case counts, as there is Mixed, mixed"),
        ('a"b', "has a quote that is not closed", "write a quote in a name twice"),
    ):
        with pytest.raises(holdfast.UsageError, match=message) as caught:
            holdfast.backup(server.url(database), store=store, select=(pattern,))
        assert hint in str(caught.value.hint)


@pytest.fixture
def shop(server: PostgresServer, database: str, bare: bool) -> str:
    """Two schemas that lean on each other, and on an extension where the server has one."""
    server.execute(
        database,
        "SELECT" if bare else "CREATE EXTENSION citext",
        f"""
        CREATE SCHEMA sales; CREATE SCHEMA stock;
        CREATE TYPE sales.state AS ENUM ('open', 'paid');
        CREATE FUNCTION sales.next() RETURNS int LANGUAGE sql AS 'SELECT 7';
        CREATE TABLE stock.item (id int PRIMARY KEY, name {"text" if bare else "citext"});
        CREATE TABLE sales.customer (id serial PRIMARY KEY, name text);
        CREATE TABLE sales.orders (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            customer int REFERENCES sales.customer,
            item int REFERENCES stock.item,
            state sales.state DEFAULT 'open',
            number int DEFAULT sales.next()
        );
        CREATE INDEX by_state ON sales.orders (state);
        COMMENT ON TABLE sales.orders IS 'orders';
        CREATE VIEW sales.open AS SELECT * FROM sales.orders WHERE state = 'open';
        CREATE TABLE sales."log.2024" (a int);
        CREATE TABLE stock.orders (a int);
        INSERT INTO stock.item VALUES (1, 'Nut');
        INSERT INTO sales.customer (name) VALUES ('Ann'), ('Bob');
        INSERT INTO sales.orders (customer, item) VALUES (1, 1), (2, 1);
        INSERT INTO sales."log.2024" VALUES (1);
        INSERT INTO stock.orders VALUES (5);
        """,
    )
    return database


ALL = {"stock.item", "sales.customer", "sales.orders", "sales.open", "sales.log.2024", "stock.orders"}


@pytest.mark.parametrize(
    ("select", "exclude", "expected"),
    [
        (("sales",), (), {"sales.customer", "sales.orders", "sales.open", "sales.log.2024"}),
        (("stock",), ("stock.orders",), {"stock.item"}),
        (("orders",), ("stock",), {"sales.orders"}),
        ((), ("sales",), {"stock.item", "stock.orders"}),
        ((), ("*.orders", "open"), {"stock.item", "sales.customer", "sales.log.2024"}),
        (("sales.customer", "stock.item"), (), {"sales.customer", "stock.item"}),
        (('sales."log.2024"',), (), {"sales.log.2024"}),
        (("sal?s.c*",), (), {"sales.customer"}),
    ],
)
def test_a_selection_at_backup_and_one_at_restore_give_the_same_tables(
    server: PostgresServer,
    shop: str,
    target: str,
    store: str,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: set[str],
) -> None:
    """With their rows; foreign keys that lead out of the selection are named in a warning."""
    options = {"large_table": "0"}
    whole = holdfast.backup(server.url(shop), store=store, options=options)
    result = holdfast.restore(whole.id, server.url(target), store=store, select=select, exclude=exclude)
    assert server.relations(target) == expected
    if "sales.orders" in expected and "stock.item" not in expected:
        assert any("orders_item_fkey" in warning for warning in result.warnings)
    for name in expected & {"sales.orders", "sales.customer", "stock.item", "stock.orders"}:
        query = f"SELECT count(*), min(t::text) FROM {name} t"
        assert server.rows(target, query) == server.rows(shop, query)
    if "sales.orders" in expected:
        assert server.value(target, "SELECT to_regclass('sales.by_state')") is not None
        assert server.value(target, "SELECT obj_description('sales.orders'::regclass)") == "orders"
        query = "INSERT INTO sales.orders DEFAULT VALUES RETURNING id, state, number"
        assert server.rows(target, query) == [(3, "open", 7)]
    if "sales.customer" in expected:
        assert server.value(target, "INSERT INTO sales.customer (name) VALUES ('Cy') RETURNING id") == 3
    part = holdfast.backup(server.url(shop), store=store, options=options, select=select, exclude=exclude)
    text = Path(part.path, "backup_manifest.json").read_text()
    for name in ALL - expected - {"sales.open"}:
        schema, _, table = name.partition(".")
        assert f'"table":"{table}"' not in text.replace(" ", "") or table == "orders"
        assert f"data/{schema}.{table}" not in text


def test_a_selective_backup_that_needs_nothing_else_restores_by_itself(
    server: PostgresServer, shop: str, target: str, store: str
) -> None:
    """With the types, routines and extensions that it uses."""
    record = holdfast.backup(server.url(shop), store=store, select=("stock", "sales"), options={"large_table": "0"})
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.relations(target) == ALL
    assert server.text(target) == server.text(shop)


def test_what_leads_out_of_a_selective_backup_is_left_out_with_a_warning(
    server: PostgresServer, shop: str, target: str, store: str
) -> None:
    """Its rows and all else are there."""
    record = holdfast.backup(server.url(shop), store=store, select=("sales",))
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert server.relations(target) == {"sales.customer", "sales.orders", "sales.open", "sales.log.2024"}
    (warning,) = result.warnings
    assert "orders_item_fkey" in warning
    assert server.rows(target, "SELECT count(*) FROM sales.orders") == [(2,)]
    assert server.value(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == 1


def test_a_pattern_that_matches_nothing_is_refused(server: PostgresServer, shop: str, target: str, store: str) -> None:
    """It is mistyped, and what it meant would be missing."""
    wrong: list[dict[str, Any]] = [{"select": ("sails",)}, {"exclude": ("sales.oders",)}]
    for fields in wrong:
        with pytest.raises(holdfast.UsageError, match="no schema and no table matches"):
            holdfast.backup(server.url(shop), store=store, **fields)
    record = holdfast.backup(server.url(shop), store=store)
    with pytest.raises(holdfast.UsageError, match="no schema and no table matches"):
        holdfast.restore(record.id, server.url(target), store=store, select=("sails",))
    assert server.relations(target) == set()


@pytest.mark.parametrize("kind", swept("custom", long=["tar", "directory"]))
def test_the_other_archives_restore_a_selection_too(
    server: PostgresServer, shop: str, target: str, store: str, kind: str
) -> None:
    record = holdfast.backup(server.url(shop), store=store, options={"format": kind})
    holdfast.restore(record.id, server.url(target), store=store, select=("sales.customer",))
    assert server.relations(target) == {"sales.customer"}
    assert server.value(target, "SELECT count(*) FROM sales.customer") == 2


@pytest.fixture
def leaning(server: PostgresServer, database: str) -> str:
    """A table with a view and an heir, each of which needs it, and a table that nothing needs."""
    server.execute(
        database,
        "CREATE TABLE base AS SELECT n, md5(n::text) a FROM generate_series(1, 1000) n",
        "CREATE VIEW shown AS SELECT a FROM base",
        "CREATE TABLE heir () INHERITS (base)",
        "CREATE TABLE other AS SELECT 1 a",
    )
    return database


@pytest.mark.parametrize("kind", ["parallel", "custom"])
@pytest.mark.parametrize("select", ["shown", "heir"])
def test_a_table_that_the_selection_needs_comes_with_its_rows(
    server: PostgresServer, leaning: str, target: str, store: str, kind: str, select: str
) -> None:
    """Also where they are in a stream of their own."""
    options = {"format": kind, "large_table": "0"}
    record = holdfast.backup(server.url(leaning), store=store, options=options)
    result = holdfast.restore(record.id, server.url(target), store=store, select=(select,))
    assert any("also restored" in warning and "public.base" in warning for warning in result.warnings)
    assert server.relations(target) == {"public.base", f"public.{select}"}
    assert server.value(target, "SELECT count(*) FROM base") == 1000


def test_a_backup_of_data_alone_is_restored_whole_or_not_at_all(
    server: PostgresServer, leaning: str, target: str, store: str
) -> None:
    """Its archive does not tell which table each row belongs to in a way that a selection could use."""
    options = {"large_table": "0", "data_only": "true"}
    record = holdfast.backup(server.url(leaning), store=store, options=options)
    server.execute(target, "CREATE TABLE base (n int, a text)", "CREATE TABLE other (a int)")
    with pytest.raises(holdfast.UsageError, match="data alone can only be restored whole"):
        holdfast.restore(record.id, server.url(target), store=store, select=("public",))


@pytest.mark.parametrize(
    ("select", "exclude"),
    [(("base",), ("base",)), (("base", "other"), ("public",)), ((), ("*",)), (("other",), ("*.o*", "shown"))],
)
def test_a_selection_of_which_nothing_is_left_is_refused(
    server: PostgresServer, leaning: str, target: str, store: str, select: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    """Rather than everything, or nothing, being backed up or restored."""
    with pytest.raises(holdfast.UsageError, match="nothing is left"):
        holdfast.backup(server.url(leaning), store=store, select=select, exclude=exclude)
    assert not Path(store).exists()
    record = holdfast.backup(server.url(leaning), store=store)
    with pytest.raises(holdfast.UsageError, match="nothing is left"):
        holdfast.restore(record.id, server.url(target), store=store, select=select, exclude=exclude)
    assert server.relations(target) == set()


def test_the_warning_of_a_restore_names_nothing_of_other_tables(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """Neither their triggers that run the same function nor their foreign keys to what is restored."""
    server.execute(
        database,
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TABLE film (id int PRIMARY KEY)",
        "CREATE TABLE rental (id int PRIMARY KEY, film int REFERENCES film)",
        "CREATE TABLE actor (id int PRIMARY KEY, film int REFERENCES film, rental int REFERENCES rental)",
        "CREATE TRIGGER touched BEFORE UPDATE ON film FOR EACH ROW EXECUTE FUNCTION touch()",
        "CREATE TRIGGER touched BEFORE UPDATE ON rental FOR EACH ROW EXECUTE FUNCTION touch()",
        "CREATE TRIGGER touched BEFORE UPDATE ON actor FOR EACH ROW EXECUTE FUNCTION touch()",
    )
    record = holdfast.backup(server.url(database), store=store)
    (warning,) = holdfast.restore(record.id, server.url(target), store=store, select=("actor", "film")).warnings
    assert warning == (
        "not restored, since it leads to a table that was not selected: 'fk constraint public.actor actor_rental_fkey'"
    )
    assert server.value(target, "SELECT count(*) FROM pg_trigger WHERE tgname = 'touched'") == 2
