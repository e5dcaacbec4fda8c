"""Names without a schema that several schemas have: a drill calls no backup damaged for what nobody wrote down."""

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import DatabaseURL
from holdfast.errors import HoldfastError
from holdfast.testing.drills import drill_mutated

_GENERATED = (
    "CREATE TABLE t (id int, d int GENERATED ALWAYS AS (f(id)) STORED)",
    "INSERT INTO t SELECT generate_series(1, 9)",
)
_PATH = {"search_path": "app, lib"}


def make(server: PostgresServer, database: str, schema: str, factor: int, *statements: str) -> None:
    """What calls `g` of one of two schemas, found by the path of a session."""
    server.execute(
        database,
        "CREATE SCHEMA app; CREATE SCHEMA lib; CREATE SCHEMA IF NOT EXISTS " + schema,
        f"CREATE FUNCTION {schema}.g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * {factor}'",
        "CREATE OR REPLACE FUNCTION lib.g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3'",
        "CREATE FUNCTION app.f(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN g(x); END'",
        f"SET search_path TO app, lib; {'; '.join(statements)}",
    )


@pytest.mark.parametrize(
    ("schema", "options"),
    [("other", {}), ("public", {"large_table": "0"}), ("public", {"format": "plain"})],
    ids=["archive", "large", "plain"],
)
def test_a_name_that_several_schemas_have_is_no_damage(
    schema: str, options: dict[str, str], server: PostgresServer, database: str, store: str
) -> None:
    """Found nowhere, or in the wrong one: that of the schema public, which every session looks into."""
    checked = "CREATE TABLE t (id int CHECK (f(id) % 3 = 0)); INSERT INTO t SELECT generate_series(1, 10)"
    make(server, database, schema, 2, checked)
    backup = holdfast.backup(server.url(database), store=store, proof=True, options=options)
    with pytest.raises(HoldfastError, match=rf"the schemas lib, {schema} have g, and nothing tells") as caught:
        holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (type(caught.value), caught.value.exit_code) == (HoldfastError, 1)
    assert "-o search_path=app,lib, or another" in str(caught.value.hint)
    (listed,) = holdfast.list_backups(store=store)
    assert listed.state == "complete"
    drilled = holdfast.drill(backup.id, store=store, into=server.url(""), options=_PATH)
    assert (drilled.problems, drilled.state) == ((), "proven")


def test_a_generated_column_is_proven_under_the_path_that_it_was_made_under(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """A restore computes it by the function of the schema public, and the drill says which path does better."""
    make(server, database, "public", 2, *_GENERATED)
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    drilled = holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (drilled.problems, drilled.state) == ((), "proven")
    assert [text for text in drilled.warnings if text.endswith("restore with -o search_path=app,lib")]
    holdfast.restore(backup.id, server.url(target), store=store, options=_PATH)
    assert server.value(target, "SELECT sum(d) FROM app.t") == 135


_G = "CREATE FUNCTION {0}.g(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT '{0}' || $1$$"


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ("g(x)", {}),
        ("concat(current_schema(), x)", {"large_table": "0"}),
        ("concat(current_schema(), x)", {"format": "custom"}),
        ("concat(current_schema(), x)", {"format": "plain"}),
    ],
    ids=["name", "large", "custom", "plain"],
)
def test_columns_that_the_first_schema_of_the_path_decides_are_proven_and_restored_by_it(
    server: PostgresServer, database: str, target: str, store: str, body: str, options: dict[str, str]
) -> None:
    """Under an empty path the own schema has another function of that name, or there is no current_schema()."""
    server.execute(
        database,
        "CREATE SCHEMA app; CREATE SCHEMA lib",
        *map(_G.format, ("app", "lib")),
        f"CREATE FUNCTION lib.f(x int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN {body}; END'",
        "SET search_path TO lib; CREATE TABLE app.t (id int, d text GENERATED ALWAYS AS (lib.f(id)) STORED); "
        "INSERT INTO app.t VALUES (1)",
    )
    backup = holdfast.backup(server.url(database), store=store, proof=True, options=options)
    drilled = holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (drilled.problems, drilled.state) == ((), "proven")
    assert [text for text in drilled.warnings if text.endswith("restore with -o search_path=lib,app")]
    holdfast.restore(backup.id, server.url(target), store=store, options={"search_path": "lib,app"})
    assert server.value(target, "SELECT d FROM app.t") == "lib1"


def test_functions_that_are_alike_in_several_schemas_are_one(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """As where each tenant has copies of the same functions."""
    make(server, database, "other", 3, *_GENERATED)
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    drilled = holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (drilled.problems, drilled.state) == ((), "proven")
    holdfast.restore(backup.id, server.url(target), store=store)
    assert server.value(target, "SELECT sum(d) FROM app.t") == 135


def test_a_column_that_names_objects_hides_no_function_that_was_not_found(
    server: PostgresServer, database: str, store: str
) -> None:
    checked = "CREATE TABLE t (r regclass, id int CHECK (f(id) % 3 = 0)); INSERT INTO t VALUES ('t', 2)"
    make(server, database, "other", 2, checked)
    backup = holdfast.backup(server.url(database), store=store)
    with pytest.raises(HoldfastError, match="the schemas lib, other have g, and nothing tells") as caught:
        holdfast.drill(backup.id, store=store, into=server.url(""))
    assert "-o search_path=" in str(caught.value.hint)


_ROUTINE = ("lib.g(x)", "g(x)", "lib has g")
_DICTIONARY = ("ts_lexize(''lib.d'', x::text) IS NULL", "ts_lexize(''d'', x::text) IS NULL", "lib has d")


@pytest.mark.parametrize(
    ("before", "after", "said", "options"),
    [(*_ROUTINE, {}), (*_ROUTINE, {"format": "plain"}), (*_DICTIONARY, {})],
    ids=["archive", "plain", "dictionary"],
)
def test_an_index_that_the_server_makes_under_a_path_of_its_own_is_no_damage(
    server: PostgresServer,
    database: str,
    target: str,
    store: str,
    before: str,
    after: str,
    said: str,
    options: dict[str, str],
) -> None:
    """Since PostgreSQL 17, which its source could not make anew either: nothing is known of the backup then."""
    body = "'BEGIN RETURN ({})::int; END'"
    named = f"CREATE OR REPLACE FUNCTION app.f(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS {body}"
    dictionary = "CREATE TEXT SEARCH DICTIONARY lib.d (TEMPLATE = pg_catalog.simple)"
    made = "CREATE TABLE t AS SELECT generate_series(1, 9) AS id; CREATE INDEX i ON t (f(id))"
    make(server, database, "lib", 3, dictionary, named.format(before), made, named.format(after))
    backup = holdfast.backup(server.url(database), store=store, proof=True, options=options)
    if server.value("postgres", "SELECT current_setting('server_version_num')::int") < 170000:
        drilled = holdfast.drill(backup.id, store=store, into=server.url(""))
        assert (drilled.problems, drilled.state) == ((), "proven")
        return
    with pytest.raises(HoldfastError, match=f"schema {said}, which this server looks for in pg_catalog") as caught:
        holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (type(caught.value), caught.value.exit_code) == (HoldfastError, 1)
    (listed,) = holdfast.list_backups(store=store)
    assert listed.state == "complete"
    result = holdfast.restore(backup.id, server.url(target), store=store, options={"on_error": "continue"})
    assert [failure.name for failure in result.failures] == ["app.i"]
    assert server.value(target, "SELECT count(*) FROM app.t") == 9


@pytest.mark.parametrize("options", [{}, {"format": "plain"}], ids=["archive", "plain"])
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (("CREATE TABLE t (id int, d int GENERATED ALWAYS AS (f(id)) STORED UNIQUE)",), "generated columns of app.t"),
        (("CREATE TABLE t (id int CHECK (h(id) > 0))",), "the schemas lib, public have ###"),
    ],
    ids=["key over a generated column", "operator"],
)
def test_what_a_wrong_routine_or_operator_makes_alike_is_no_damage(
    made: tuple[str, ...], said: str, options: dict[str, str], server: PostgresServer, database: str, store: str
) -> None:
    """That of the schema public gives each row the same value, where that of the source gave each another."""
    operators = "CREATE OPERATOR {}.### (LEFTARG = int, RIGHTARG = int, FUNCTION = {})"
    body = "CREATE FUNCTION h(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN x ### 0; END'"
    server.execute(
        database,
        "CREATE SCHEMA app; CREATE SCHEMA lib",
        "CREATE FUNCTION public.g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0'",
        "CREATE FUNCTION lib.g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
        "CREATE FUNCTION app.f(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN g(x); END'",
        operators.format("public", "int4mul"),
        operators.format("lib", "int4pl"),
        f"SET search_path TO app, lib; {body}; {'; '.join(made)}; INSERT INTO t SELECT generate_series(1, 3)",
    )
    backup = holdfast.backup(server.url(database), store=store, proof=True, options=options)
    with pytest.raises(HoldfastError, match=said) as caught:
        holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (type(caught.value), caught.value.exit_code) == (HoldfastError, 1)
    assert "search_path=" in str(caught.value.hint)
    if not options:
        assert holdfast.drill(backup.id, store=store, into=server.url(""), options=_PATH).state == "proven"


@pytest.mark.parametrize("body", ["nextval('s') + x", "(SELECT min(r) FROM rate) * x"], ids=["sequence", "table"])
def test_columns_whose_function_is_immutable_by_name_alone_are_told_and_the_others_compared(
    server: PostgresServer, database: str, store: str, body: str
) -> None:
    """Nobody can restore what a sequence gave, or a table that has changed since."""
    server.execute(
        database,
        "CREATE SEQUENCE s; SELECT setval('s', 100); CREATE TABLE rate (r int); INSERT INTO rate VALUES (5)",
        f"CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql IMMUTABLE SET search_path TO public AS $$SELECT {body}$$",
        "CREATE TABLE t (id int, d int GENERATED ALWAYS AS (f(id)) STORED)",
        "INSERT INTO t SELECT generate_series(1, 9)",
        "UPDATE rate SET r = 7",
    )
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    drilled = holdfast.drill(backup.id, store=store, into=server.url(""))
    assert (drilled.problems, drilled.state) == ((), "proven")
    assert [text for text in drilled.warnings if "the generated columns of table public.t have other values" in text]
    change = ["UPDATE t SET id = 0 WHERE id = 3"]
    changed = drill_mutated(
        backup.id, store, lambda url: server.execute(DatabaseURL.parse(url).path[1:], *change), into=server.url("")
    )
    differing = {(entry.kind, entry.name) for entry in changed.differences}
    assert {("table", "public.t"), ("stored columns", "public.t")} <= differing
