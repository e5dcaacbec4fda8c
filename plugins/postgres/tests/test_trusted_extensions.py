"""Trusted extensions, installed by a role that is no superuser: as an application has them on a hosted service."""

import pytest
from support.servers.postgres import PostgresServer

import holdfast

_STATEMENTS = (
    "CREATE EXTENSION pgcrypto",
    "CREATE SCHEMA ext",
    "CREATE EXTENSION hstore SCHEMA ext",
    "CREATE EXTENSION citext",
    "CREATE TABLE t (a citext PRIMARY KEY, h ext.hstore, d text DEFAULT encode(digest('x', 'sha256'), 'hex'))",
    "CREATE INDEX by_h ON t USING gin (h)",
    "INSERT INTO t VALUES ('Anna', 'k=>1'), ('Otto', 'k=>2')",
)


@pytest.mark.parametrize("form", ["parallel", "plain"])
def test_a_role_that_owns_the_database_does_everything_with_trusted_extensions(
    server: PostgresServer, role: str, bare: bool, store: str, form: str
) -> None:
    """It made them itself: the server's bootstrap superuser owns what is in them."""
    if bare:
        return
    app, new = f"app_{role}", f"new_{role}"
    server.execute("postgres", f"CREATE DATABASE {app} OWNER {role}", f"CREATE DATABASE {new} OWNER {role}")
    url = server.url(app, user=role)
    try:
        with server.connect(app, user=role) as connection:
            for statement in _STATEMENTS:
                connection.execute(statement)
        record = holdfast.backup(url, store=store, proof=True, options={"format": form})
        assert record.warnings == ()
        result = holdfast.drill(record.id, store=store, into=server.url("", user=role))
        assert (result.state, result.problems, result.warnings) == ("proven", (), ())
        restored = holdfast.restore(record.id, server.url(new, user=role), store=store)
        assert restored.warnings == ()
        _assert_same(server, new)
        with server.connect(new, user=role) as connection:
            connection.execute("INSERT INTO t VALUES ('later', 'k=>3')")
        options = {"disconnect": "true"}
        restored = holdfast.restore(record.id, server.url(new, user=role), store=store, replace=True, options=options)
        assert restored.warnings == ()
        _assert_same(server, new)
    finally:
        server.drop(app)
        server.drop(new)


def _assert_same(server: PostgresServer, database: str) -> None:
    query = "SELECT a, h::text, d = encode(digest('x', 'sha256'), 'hex') FROM t WHERE a IN ('anna', 'OTTO') ORDER BY 1"
    with server.connect(database) as connection:
        connection.execute("SET search_path TO public, ext")
        assert connection.execute(query).fetchall() == [("Anna", '"k"=>"1"', True), ("Otto", '"k"=>"2"', True)]
    assert server.value(database, "SELECT count(*) FROM t") == 2
    names = "SELECT array_agg(extname::text ORDER BY 1) FROM pg_extension WHERE extname <> 'plpgsql'"
    assert server.value(database, names) == ["citext", "hstore", "pgcrypto"]
