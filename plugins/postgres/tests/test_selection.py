"""--select and --exclude, at backup and at restore."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from servers.postgres import PostgresServer

import holdfast
from holdfast_postgres.formats import archive
from holdfast_postgres.selection import restore_scope
from holdfast_postgres.selection.patterns import Selection


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


def _relations(server: PostgresServer, database: str) -> set[str]:
    query = """
        SELECT n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'v', 'm', 'p') AND n.nspname !~ '^pg_|information_schema'
    """
    return {row[0] for row in server.rows(database, query)}


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
    assert _relations(server, target) == expected
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
    assert _relations(server, target) == ALL
    assert server.text(target) == server.text(shop)


def test_what_leads_out_of_a_selective_backup_is_left_out_with_a_warning(
    server: PostgresServer, shop: str, target: str, store: str
) -> None:
    """Its rows and all else are there."""
    record = holdfast.backup(server.url(shop), store=store, select=("sales",))
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert _relations(server, target) == {"sales.customer", "sales.orders", "sales.open", "sales.log.2024"}
    (warning,) = result.warnings
    assert "orders_item_fkey" in warning
    assert server.rows(target, "SELECT count(*) FROM sales.orders") == [(2,)]
    assert server.value(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == 1


def test_a_pattern_that_matches_nothing_is_refused(server: PostgresServer, shop: str, target: str, store: str) -> None:
    """It is mistyped, and what it meant would be missing."""
    for fields in ({"select": ("sails",)}, {"exclude": ("sales.oders",)}):
        with pytest.raises(holdfast.UsageError, match="no schema and no table matches"):
            holdfast.backup(server.url(shop), store=store, **fields)
    record = holdfast.backup(server.url(shop), store=store)
    with pytest.raises(holdfast.UsageError, match="no schema and no table matches"):
        holdfast.restore(record.id, server.url(target), store=store, select=("sails",))
    assert _relations(server, target) == set()


@pytest.mark.parametrize("kind", ["custom", "tar", "directory"])
def test_the_other_archives_restore_a_selection_too(
    server: PostgresServer, shop: str, target: str, store: str, kind: str
) -> None:
    record = holdfast.backup(server.url(shop), store=store, options={"format": kind})
    holdfast.restore(record.id, server.url(target), store=store, select=("sales.customer",))
    assert _relations(server, target) == {"sales.customer"}
    assert server.value(target, "SELECT count(*) FROM sales.customer") == 2


def test_the_table_of_contents_is_read_exactly(server: PostgresServer, odd: str, tmp_path: Path) -> None:
    """Names with line breaks and quotes; every format; each entry that pg_restore lists is there."""
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    found = {}
    for kind, flag in (("custom", "c"), ("tar", "t"), ("directory", "d")):
        path = server.folder / f"{odd}.{kind}"
        server.run.output("pg_dump", *where, f"-F{flag}", "-f", str(path), odd)
        entries = archive.read_entries(path)
        listing = server.run.output("pg_restore", "--list", "--create", str(path))
        listed = {int(line.partition(";")[0]) for line in listing.splitlines() if line[:1].isdigit()}
        assert listed == {entry.id for entry in entries if entry.kind not in ("ENCODING", "STDSTRINGS", "SEARCHPATH")}
        found[kind] = [(entry.kind, entry.schema, entry.tag, entry.oid) for entry in entries]
    assert found["custom"] == found["tar"] == found["directory"]
    tags = {tag for _, _, tag, _ in found["custom"]}
    assert "table\nwith 'line break' } ` ü --x" in tags
    chosen = restore_scope.choose(entries, Selection(select=("app.totals_of_totals",)))
    assert ("app", "node") in chosen.relations  # a view's rows need the table below it


@pytest.mark.parametrize("cut", [0, 3, 20, 200, 2000])
def test_an_archive_that_is_cut_or_none_is_an_integrity_error(
    server: PostgresServer, odd: str, tmp_path: Path, cut: int
) -> None:
    path = server.folder / f"{odd}.whole"
    server.run.output(
        "pg_dump", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-Fc", "-f", str(path), odd
    )
    broken = tmp_path / "broken"
    broken.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(holdfast.IntegrityError):
        archive.read_entries(broken)


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
    assert selection.whole("app")
    assert not selection.whole("x")


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
    assert any("restored besides" in warning and "public.base" in warning for warning in result.warnings)
    assert _relations(server, target) == {"public.base", f"public.{select}"}
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
    assert _relations(server, target) == set()


def test_a_doubled_quote_in_a_pattern_is_one_in_the_name() -> None:
    """As in SQL."""
    for pattern in ('"S p""q.x".*', '"S p""q.x"', '"S p""*"."t"', '"S p""q.x"."""t?"'):
        name = '"t1' if "?" in pattern else "t"
        assert Selection(select=(pattern,)).takes('S p"q.x', name), pattern
        assert not Selection(select=(pattern,)).takes("S pq.x", name), pattern


@pytest.fixture
def tangled(server: PostgresServer, database: str, bare: bool) -> str:
    """Tables that cannot be made without what lies elsewhere."""
    server.execute(
        database,
        "CREATE SCHEMA x; CREATE SCHEMA y; CREATE SCHEMA z; CREATE SCHEMA ext",
        "SELECT" if bare else "CREATE EXTENSION hstore SCHEMA ext",
        f"""
        CREATE SEQUENCE free; CREATE SEQUENCE z.far START 10;
        CREATE TYPE x.mood AS ENUM ('good', 'bad');
        CREATE DOMAIN x.moods AS x.mood[];
        CREATE COLLATION x.plain FROM "C";
        CREATE FUNCTION z.seven() RETURNS int LANGUAGE sql AS 'SELECT 7';
        CREATE FUNCTION x.seven(a int DEFAULT z.seven()) RETURNS int LANGUAGE sql AS 'SELECT 7';
        CREATE FUNCTION x.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TABLE x.secret (a int);
        CREATE FUNCTION x.all_of_it() RETURNS SETOF x.secret LANGUAGE sql AS 'SELECT * FROM x.secret';
        CREATE TABLE film (id int DEFAULT nextval('free') PRIMARY KEY, far int DEFAULT nextval('z.far'));
        CREATE TABLE actor (id int PRIMARY KEY);
        CREATE TABLE film_actor (film int REFERENCES film, actor int REFERENCES actor);
        CREATE TABLE y.t (
            a x.mood, b x.moods, c text COLLATE x.plain, d int DEFAULT x.seven(), film int REFERENCES film
        );
        CREATE INDEX t_d ON y.t ((x.seven(d + 0))) WHERE false;
        CREATE TRIGGER touched BEFORE INSERT ON y.t FOR EACH ROW EXECUTE FUNCTION x.touch();
        CREATE TABLE y.tags (a {"text" if bare else "ext.hstore"});
        CREATE TABLE y.base (a int); CREATE TABLE z.heir (b int) INHERITS (y.base);
        CREATE TABLE y.root (a int) PARTITION BY LIST (a); CREATE TABLE z.part PARTITION OF y.root FOR VALUES IN (1);
        CREATE INDEX ON y.root (a);
        CREATE VIEW y.films AS SELECT id FROM film;
        CREATE VIEW y.pairs AS SELECT id, a FROM y.films, y.base;
        INSERT INTO film SELECT; INSERT INTO actor VALUES (1); INSERT INTO film_actor VALUES (1, 1);
        INSERT INTO y.t VALUES ('good', ARRAY['bad'::x.mood], 'c'); INSERT INTO z.heir VALUES (1, 2);
        INSERT INTO y.root VALUES (1); INSERT INTO x.secret VALUES (1);
        """,
    )
    return database


FORMATS = ["parallel", "custom"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("select", "exclude", "expected", "besides"),
    [
        (("film", "film_actor"), (), {"public.film", "public.film_actor"}, "sequence z.far"),
        (("y.t",), (), {"y.t"}, "'schema x', 'schema z'"),
        (("y.tags",), (), {"y.tags"}, "schema ext"),
        (("z.heir",), (), {"z.heir", "y.base"}, "table y.base"),
        (("z.part",), (), {"z.part", "y.root"}, "table y.root"),
        (("z.part",), ("root",), {"z.part"}, ""),
        (("pairs",), (), {"y.pairs", "y.films", "public.film", "y.base"}, "table public.film"),
        (("y", "actor"), ("film",), {"y.t", "y.tags", "y.base", "y.root", "public.actor"}, "schema x"),
        (("y",), ("x", "pairs", "film"), {"y.t", "y.tags", "y.base", "y.root"}, "schema x"),
        ((), ("x", "z.?*", "pairs", "film*"), {"y.t", "y.tags", "y.base", "y.root", "public.actor"}, "schema x"),
    ],
)  # fmt: skip
def test_a_selected_backup_holds_what_its_tables_need(
    server: PostgresServer,
    tangled: str,
    target: str,
    store: str,
    kind: str,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: set[str],
    besides: str,
    bare: bool,
) -> None:
    """Sequences, types, routines and parents; a drill finds all of it."""
    if bare and besides == "schema ext":
        besides = ""
    record = holdfast.backup(
        server.url(tangled), store=store, select=select, exclude=exclude, options={"format": kind, "large_table": "0"}
    )
    told = [warning for warning in record.warnings if "backed up besides" in warning]
    assert besides in "".join(told)
    assert bool(told) == bool(besides)
    holdfast.restore(record.id, server.url(target), store=store)
    assert _relations(server, target) == expected
    for name in expected - {"y.films", "y.pairs"}:
        query = f"SELECT count(*), min(t::text) FROM ONLY {name} t"
        assert server.rows(target, query) == server.rows(tangled, query)
    if "public.film" in expected:
        assert server.rows(target, "INSERT INTO film SELECT RETURNING id, far") == [(2, 11)]
    assert holdfast.drill(record.id, store=store, into=server.url("postgres")).passed


def test_views_that_need_what_is_excluded_are_not_backed_up(
    server: PostgresServer, tangled: str, target: str, store: str
) -> None:
    """A warning names them, and they leave no trace at the restore."""
    record = holdfast.backup(server.url(tangled), store=store, select=("y",), exclude=("film",))
    (warning,) = [warning for warning in record.warnings if "needs what is excluded" in warning]
    assert "view y.films" in warning
    assert "view y.pairs" in warning
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert not any("films" in warning for warning in result.warnings)
    with pytest.raises(holdfast.UsageError, match="nothing is left"):
        holdfast.backup(server.url(tangled), store=store, select=("pairs",), exclude=("film",))


def test_a_table_that_could_not_be_restored_is_refused_before_anything_is_written(
    server: PostgresServer, tangled: str, store: str
) -> None:
    server.execute(
        tangled,
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER other FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE z.away (a int) SERVER other",
    )
    for select, exclude, message in (
        (("film",), ("free",), "table public.film needs sequence public.free, which is excluded"),
        ((), ("z",), "table public.film needs sequence z.far, which is excluded"),
        ((), ("y.base",), "table z.heir needs table y.base, which is excluded"),
        (("z.away",), (), "foreign table z.away needs server other, which a backup of a selection cannot hold"),
    ):
        with pytest.raises(holdfast.UsageError, match=message):
            holdfast.backup(server.url(tangled), store=store, select=select, exclude=exclude)
    assert not Path(store).exists()
    holdfast.backup(server.url(tangled), store=store, exclude=("x.secret",))


def test_a_selection_of_data_alone_takes_nothing_besides(server: PostgresServer, tangled: str, store: str) -> None:
    """Whoever asks for rows alone has the rest."""
    record = holdfast.backup(
        server.url(tangled), store=store, select=("pairs", "heir"), options={"data_only": "true", "large_table": "0"}
    )
    assert not any("besides" in warning for warning in record.warnings)
    assert [path.name for path in Path(record.path, "data").iterdir()] == ["z.heir.copy.zst"]


@pytest.mark.parametrize(
    ("select", "exclude", "expected", "left_out"),
    [
        (("film_actor", "y.t"), ("film",), {"public.film_actor", "y.t"}, ("film_actor_film_fkey", "t_film_fkey")),
        (("public", "x"), ("actor", "secret"), {"public.film", "public.film_actor"}, ("actor_fkey", "all_of_it")),
        (("z.part",), ("root",), {"z.part"}, ("part",)),
        (
            (),
            ("y", "z.heir", "film"),
            {"public.film_actor", "public.actor", "x.secret", "z.part"},
            ("part", "film_fkey"),
        ),
    ],
)
def test_a_selected_script_runs_without_an_error(
    server: PostgresServer,
    tangled: str,
    target: str,
    store: str,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: set[str],
    left_out: tuple[str, ...],
) -> None:
    """Psql stops at the first: the schema public may be there, and what leads out of the selection is not in it."""
    server.execute(tangled, "ALTER SCHEMA public OWNER TO guarded")
    record = holdfast.backup(
        server.url(tangled), store=store, select=select, exclude=exclude, options={"format": "plain"}
    )
    (warning,) = [warning for warning in record.warnings if "leads beyond the selection" in warning]
    assert all(name in warning for name in left_out)
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert not result.warnings
    assert _relations(server, target) == expected
    assert server.rows(target, "SELECT * FROM ONLY " + min(expected)) == server.rows(
        tangled, "SELECT * FROM ONLY " + min(expected)
    )
    if select == ("public", "x"):
        assert server.value(target, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'") == (
            "guarded"
        )
    assert holdfast.drill(record.id, store=store, into=server.url("postgres")).passed


def test_a_selected_script_is_restored_by_hand_too(server: PostgresServer, tangled: str, store: str) -> None:
    """With the commands of RESTORE.md, into a new database, which has a schema public."""
    record = holdfast.backup(server.url(tangled), store=store, select=("film_actor",), options={"format": "plain"})
    guide = Path(record.path, "RESTORE.md").read_text()
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)).replace("TARGET_DB", f"{tangled}_by_hand")
    folder = os.environ.get("HOLDFAST_PG_BINDIR", server.run.folder)
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    environment = {**os.environ, **where, "PATH": f"{folder}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=record.path,
            check=False,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert server.rows(f"{tangled}_by_hand", "SELECT * FROM film_actor") == [(1, 1)]
    finally:
        server.drop(f"{tangled}_by_hand")


@pytest.mark.parametrize("kind", ["parallel", "custom", "tar"])
def test_what_is_excluded_stays_out_of_a_restore_with_what_needs_it(
    server: PostgresServer, tangled: str, target: str, store: str, kind: str
) -> None:
    """As out of a backup: views and routines go with it and are named, tables are refused, a partition stands alone."""
    record = holdfast.backup(server.url(tangled), store=store, options={"format": kind, "large_table": "0"})

    def restore(*exclude: str, select: tuple[str, ...] = ()) -> tuple[str, ...]:
        return holdfast.restore(
            record.id, server.url(target), store=store, select=select, exclude=exclude, replace=True
        ).warnings

    everything = _relations(server, tangled)
    (lost,) = [warning for warning in restore("film", "root", "x.secret") if "needs what is excluded" in warning]
    assert _relations(server, target) == everything - {"public.film", "y.films", "y.pairs", "y.root", "x.secret"}
    assert all(name in lost for name in ("view y.films", "view y.pairs", "x.all_of_it"))
    assert server.value(target, "SELECT count(*) FROM z.part") == 1
    for exclude, message in (
        ("y.base", "table z.heir needs table y.base, which is excluded"),
        ("free", "table public.film needs sequence public.free, which is excluded"),
    ):
        with pytest.raises(holdfast.UsageError, match=message):
            restore(exclude)
    with pytest.raises(holdfast.UsageError, match="nothing is left"):
        restore("film", select=("films",))


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
