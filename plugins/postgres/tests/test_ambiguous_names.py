"""Names without a schema that several schemas have: a drill calls no backup damaged for what nobody wrote down."""

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.errors import HoldfastError

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
        "CREATE FUNCTION lib.g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3'",
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
