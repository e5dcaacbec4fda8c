"""What the tables of a selection need, and what cannot be made without what is excluded."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.errors import HoldfastError


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


@pytest.mark.sweep(6)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("select", "exclude", "expected", "added"),
    [
        (("film", "film_actor"), (), {"public.film", "public.film_actor"}, "sequence z.far"),
        (("y.t",), (), {"y.t"}, "'schema x', 'schema z'"),
        (("y.tags",), (), {"y.tags"}, "schema ext"),
        (("z.heir",), (), {"z.heir", "y.base"}, "table y.base"),
        (("z.part",), (), {"z.part"}, ""),
        (("z.part",), ("root",), {"z.part"}, ""),
        (("pairs",), (), {"y.pairs", "y.films", "public.film", "y.base"}, "table public.film"),
        (("y", "actor"), ("film", "part", "heir"), {"y.t", "y.tags", "y.base", "y.root", "public.actor"}, "schema x"),
        (("y",), ("x", "pairs", "film"), {"y.t", "y.tags", "y.base", "y.root", "z.part", "z.heir"}, "schema x"),
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
    added: str,
    bare: bool,
) -> None:
    """Sequences, types, routines and parents; a drill finds all of it."""
    if bare and added == "schema ext":
        added = ""
    record = holdfast.backup(
        server.url(tangled), store=store, select=select, exclude=exclude, options={"format": kind, "large_table": "0"}
    )
    warnings = [warning for warning in record.warnings if "also backed up" in warning]
    assert added in "".join(warnings)
    assert bool(warnings) == bool(added)
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.relations(target) == expected
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


def test_a_selection_of_data_alone_takes_nothing_added(server: PostgresServer, tangled: str, store: str) -> None:
    """Whoever asks for rows alone has the rest."""
    record = holdfast.backup(
        server.url(tangled), store=store, select=("pairs", "heir"), options={"data_only": "true", "large_table": "0"}
    )
    assert not any("also backed up" in warning for warning in record.warnings)
    assert [path.name for path in Path(record.path, "data").iterdir()] == ["z.heir.copy.zst"]


@pytest.mark.parametrize(
    ("select", "exclude", "expected", "omitted"),
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
    omitted: tuple[str, ...],
) -> None:
    """Psql stops at the first: the schema public may be there, and what leads out of the selection is not in it."""
    server.execute(tangled, "ALTER SCHEMA public OWNER TO guarded")
    record = holdfast.backup(
        server.url(tangled), store=store, select=select, exclude=exclude, options={"format": "plain"}
    )
    (warning,) = [warning for warning in record.warnings if "leads beyond the selection" in warning]
    assert all(name in warning for name in omitted)
    result = holdfast.restore(record.id, server.url(target), store=store)
    assert not result.warnings
    assert server.relations(target) == expected
    assert server.rows(target, "SELECT * FROM ONLY " + min(expected)) == server.rows(
        tangled, "SELECT * FROM ONLY " + min(expected)
    )
    if select == ("public", "x"):
        archive = holdfast.backup(server.url(tangled), store=store, select=select, exclude=exclude)
        (warning,) = [warning for warning in archive.warnings if "leads beyond the selection" in warning]
        assert all(name in warning for name in omitted)
        assert warning in Path(archive.path, "backup_manifest.json").read_text(encoding="utf-8")
        assert server.value(target, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'") == (
            "guarded"
        )
    assert holdfast.drill(record.id, store=store, into=server.url("postgres")).passed


def test_a_selected_script_is_restored_by_hand_too(server: PostgresServer, tangled: str, store: str) -> None:
    """With the commands of RESTORE.md, into a new database, which has a schema public."""
    record = holdfast.backup(server.url(tangled), store=store, select=("film_actor",), options={"format": "plain"})
    instructions = Path(record.path, "RESTORE.md").read_text()
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", instructions, re.DOTALL)).replace(
        "TARGET_DB", f"{tangled}_by_hand"
    )
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


@pytest.mark.parametrize("kind", swept("parallel", "custom", long=["tar"]))
def test_what_is_excluded_stays_out_of_a_restore_with_what_needs_it(
    server: PostgresServer, tangled: str, target: str, store: str, kind: str
) -> None:
    """As out of a backup: views and routines go with it and are named, tables are refused, a partition stands alone."""
    record = holdfast.backup(server.url(tangled), store=store, options={"format": kind, "large_table": "0"})

    def restore(*exclude: str, select: tuple[str, ...] = ()) -> tuple[str, ...]:
        return holdfast.restore(
            record.id, server.url(target), store=store, select=select, exclude=exclude, replace=True
        ).warnings

    everything = server.relations(tangled)
    (lost,) = [warning for warning in restore("film", "root", "x.secret") if "needs what is excluded" in warning]
    assert server.relations(target) == everything - {"public.film", "y.films", "y.pairs", "y.root", "x.secret"}
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


def test_rows_that_name_objects_beyond_a_selection_are_said(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """A drill cannot tell whether such a backup is good, and a restore leaves their table empty if it may."""
    server.execute(
        database,
        "CREATE SCHEMA lib; CREATE FUNCTION lib.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE DOMAIN which AS regclass",
        "CREATE TABLE kept (id int PRIMARY KEY); CREATE TABLE left_out (id int)",
        'CREATE TABLE "a%s" (r which, f regprocedure[], k regclass, y regtype, g regclass)',
        """INSERT INTO "a%s" VALUES ('left_out', '{lib.f(),now()}', 'kept', 'kept', '99999999')""",
    )
    select = ("public.a%s", "public.kept")
    backup = holdfast.backup(server.url(database), store=store, select=select, proof=True)
    assert [text.rpartition("column ")[2].partition(";")[0] for text in backup.warnings] == [
        "f names: 'function lib.f()'", "r names: 'table public.left_out'"
    ]  # fmt: skip
    with pytest.raises(HoldfastError, match="its rows name objects") as caught:
        holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (type(caught.value), str(caught.value.hint).partition(",")[0]) == (HoldfastError, "select it too")
    whole = holdfast.backup(server.url(database), store=store)
    assert whole.warnings == ()
    with pytest.raises(HoldfastError, match=r"rows of table public\.a%s: .*its rows name objects"):
        holdfast.restore(whole.id, server.url(target), store=store, select=("public.a%s",))
    options = {"on_error": "continue"}
    result = holdfast.restore(whole.id, server.url(target), store=store, select=("public.a%s",), options=options)
    assert [(failure.kind, failure.name) for failure in result.failures] == [("rows of table", "public.a%s")]


def test_rows_that_name_what_is_made_after_them_are_no_damage(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """No restore of PostgreSQL's own loads them either."""
    server.execute(
        database,
        "CREATE TABLE kept (id int); CREATE INDEX kept_id ON kept (id)",
        "CREATE TABLE naming (r regclass); INSERT INTO naming VALUES ('kept_id')",
    )
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    with pytest.raises(HoldfastError, match=r"table public\.naming: .*is not there before them") as caught:
        holdfast.drill(backup.id, store=store, into=server.url(""))
    assert type(caught.value) is HoldfastError
    assert [backup.state for backup in holdfast.list_backups(store=store)] == ["complete"]
    result = holdfast.restore(backup.id, server.url(target), store=store, options={"on_error": "continue"})
    assert [failure.name for failure in result.failures] == ["public.naming"]


_OPERATORS = """
CREATE SCHEMA lib;
CREATE FUNCTION lib.cmp(point, point) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btfloat8cmp($1[0], $2[0])';
CREATE FUNCTION lib.lt(point, point) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1[0] < $2[0]';
CREATE FUNCTION lib.eq(point, point) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1[0] = $2[0]';
CREATE OPERATOR lib.<< (LEFTARG = point, RIGHTARG = point, FUNCTION = lib.lt);
CREATE OPERATOR lib.=== (LEFTARG = point, RIGHTARG = point, FUNCTION = lib.eq, COMMUTATOR = OPERATOR(lib.===));
CREATE OPERATOR FAMILY lib.places USING btree;
CREATE OPERATOR CLASS lib.places DEFAULT FOR TYPE point USING btree FAMILY lib.places AS
    OPERATOR 1 lib.<<, OPERATOR 3 lib.===, FUNCTION 1 lib.cmp(point, point);
CREATE OPERATOR CLASS lib.places FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int);
CREATE FUNCTION lib.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE apart (a int, EXCLUDE USING hash (a lib.places WITH =) WHERE (lib.twice(a) > 0));
CREATE TABLE place (at point PRIMARY KEY);
INSERT INTO apart VALUES (1), (2);
INSERT INTO place VALUES ('(1,2)'), ('(2,1)');
"""


@pytest.mark.parametrize("kind", FORMATS)
def test_operator_classes_of_ones_own_come_with_the_constraints_that_use_them(
    server: PostgresServer, database: str, target: str, store: str, kind: str
) -> None:
    """Of the index of a constraint pg_dump does not say what it needs, and the default one is not even written."""
    server.execute(database, _OPERATORS)
    whole = holdfast.backup(server.url(database), store=store, options={"format": kind})
    holdfast.restore(whole.id, server.url(target), store=store, select=("apart", "place"))
    query = "SELECT conrelid::regclass::text, conindid::regclass::text FROM pg_constraint WHERE contype IN ('p', 'x')"
    assert set(server.rows(target, query)) == set(server.rows(database, query))
    server.execute(target, "DROP TABLE apart; INSERT INTO place VALUES ('(3,3)')")
    done = holdfast.restore(whole.id, server.url(target), store=store, select=("apart", "place"), replace=True)
    assert done.warnings == ()
    assert server.rows(target, "SELECT (SELECT count(*) FROM apart), (SELECT count(*) FROM place)") == [(2, 2)]


def test_what_only_the_body_of_a_routine_names_is_to_be_selected_too(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """The server keeps no dependency of a text, and no search_path finds a name that has its schema."""
    server.execute(
        database,
        "CREATE SEQUENCE numbers",
        "CREATE FUNCTION next() RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT nextval('public.numbers')::int$$",
        "CREATE TABLE numbered (a int, id int GENERATED ALWAYS AS (next()) STORED)",
        "INSERT INTO numbered VALUES (1)",
    )
    backup = holdfast.backup(server.url(database), store=store)
    with pytest.raises(HoldfastError, match=r"public\.numbers") as caught:
        holdfast.restore(backup.id, server.url(target), store=store, select=("numbered",))
    assert str(caught.value.hint).endswith("select it too")
    holdfast.restore(backup.id, server.url(target), store=store, select=("numbered", "numbers"))
    assert server.value(target, "SELECT count(*) FROM numbered") == 1
