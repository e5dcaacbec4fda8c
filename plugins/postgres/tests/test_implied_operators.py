"""Definitions that mean operators without naming them keep their meaning, which PostgreSQL's own dumps lose."""

import psycopg
import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import swept

import holdfast
from holdfast.testing.drills import drill_mutated
from holdfast_postgres.implied_operators import read_implied

# Of a citext the same text has another meaning without a search_path, of an hstore or ltree it has none.
_MADE = """
    CREATE SCHEMA "ext, e'x"; CREATE SCHEMA app;
    CREATE EXTENSION citext SCHEMA "ext, e'x"; CREATE EXTENSION hstore SCHEMA app;
    CREATE EXTENSION ltree SCHEMA public;
    SET search_path TO app, public, "ext, e'x";
    CREATE DOMAIN mail AS citext DEFAULT nullif('B'::citext, 'b') CHECK (nullif(VALUE, 'a') IS NOT NULL);
    CREATE TABLE t (id int, c citext, h hstore, l ltree, x text, CHECK (c IS DISTINCT FROM 'none'),
        g boolean GENERATED ALWAYS AS (c IS DISTINCT FROM 'x') STORED,
        d int DEFAULT CASE 'A'::citext WHEN 'a' THEN 1 ELSE 2 END);
    INSERT INTO t (id, c, h, l) VALUES (1, 'X', 'a=>1', 'a.b');
    CREATE TABLE u (id int, c citext, h hstore, l ltree);
    INSERT INTO u VALUES (1, 'x', 'a=>1', 'a.b');
    CREATE VIEW v1 AS SELECT nullif(c, 'x') FROM t;
    CREATE VIEW v2 AS SELECT CASE c WHEN 'a' THEN 1 WHEN 'x' THEN 2 END FROM t;
    CREATE VIEW v3 AS SELECT c, t.id FROM t JOIN u USING (c);
    CREATE VIEW v4 AS SELECT count(*) FROM t NATURAL JOIN u;
    CREATE VIEW v5 AS SELECT (id, c) IN (SELECT id, c FROM u) AS n, ROW(id, c) < ROW(1, 'y'::citext) AS m FROM t;
    CREATE VIEW v6 AS SELECT l IS NOT DISTINCT FROM 'a.b' AS n, h IS DISTINCT FROM 'a=>2' AS m FROM t;
    CREATE MATERIALIZED VIEW v7 AS SELECT nullif(c, 'x') AS n FROM t;
    CREATE VIEW v8 AS SELECT * FROM v7 WHERE n IS DISTINCT FROM 'y';
    CREATE INDEX i ON t ((nullif(c, 'x'))) WHERE h IS DISTINCT FROM '';
    ALTER TABLE t ADD CONSTRAINT e EXCLUDE ((nullif(c, 'x')) WITH =) WHERE (l IS DISTINCT FROM 'a');
    CREATE POLICY p ON t USING (c IS DISTINCT FROM 'x');
    CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.c IS DISTINCT FROM NEW.c) EXECUTE FUNCTION fires();
    CREATE RULE r AS ON DELETE TO u DO ALSO DELETE FROM t WHERE c IS DISTINCT FROM OLD.c;
    CREATE FUNCTION same(a citext, b citext DEFAULT nullif('X'::citext, 'y')) RETURNS boolean LANGUAGE sql
        RETURN a IS NOT DISTINCT FROM b;
    CREATE STATISTICS s ON (nullif(c, 'x')), id FROM t;
    CREATE TABLE k (c citext) PARTITION BY LIST ((nullif(c, 'x')));
"""
_QUERIES = [f"SELECT v::text FROM app.v{number} v" for number in range(1, 9)]
_QUERIES += ["SELECT g::text || d FROM app.t", "SELECT app.same('x')"]


def meanings(server: PostgresServer, database: str) -> list[tuple[str, list[str]]]:
    """What definitions mean."""
    with server.connect(database) as connection:
        connection.execute("SET search_path TO ''")
        return sorted((each.meaning.label, each.meaning.operators) for each in read_implied(connection))


@pytest.mark.parametrize("form", swept("parallel", "plain", long=["directory", "tar"]))
def test_what_a_definition_means_is_restored(
    form: str, server: PostgresServer, database: str, target: str, store: str
) -> None:
    server.execute(database, _MADE)
    options = {"format": form}
    backup = holdfast.backup(server.url(database), store=store, proof=True, options=options)
    assert backup.warnings == ()
    restored = holdfast.restore(backup, server.url(target), store=store)
    assert restored.warnings == ()
    known = meanings(server, database)
    assert len(known) == 21
    assert meanings(server, target) == known
    for query in _QUERIES:
        assert server.rows(target, query) == server.rows(database, query)
    drilled = holdfast.drill(backup, store=store, into=server.url(""))
    assert (drilled.problems, drilled.warnings, drilled.state) == ((), (), "proven")


def test_what_has_lost_its_meaning_is_named(server: PostgresServer, database: str, store: str) -> None:
    """The text is the same, so that the backup is good: its definition was made anew without a search_path."""
    server.execute(database, "CREATE EXTENSION citext", "CREATE TABLE t (c citext)")
    server.execute(database, "CREATE VIEW v AS SELECT c FROM t a JOIN t b USING (c)", "CREATE VIEW w AS SELECT 1")
    backup = holdfast.backup(server.url(database), store=store, proof=True)

    def change(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET search_path TO ''")
            connection.execute("CREATE OR REPLACE VIEW public.v AS SELECT c FROM public.t a JOIN public.t b USING (c)")

    drilled = drill_mutated(backup.id, store, change, into=server.url(""))
    assert drilled.state == "proven"
    (warning,) = drilled.warnings
    assert "another meaning: 'view public.v';" in warning


def test_a_comparison_of_rows_that_cannot_be_read_again_is_named(
    server: PostgresServer, database: str, store: str
) -> None:
    made = "CREATE VIEW v AS SELECT ROW(c, n) < ROW('a'::citext, 1) AS o FROM t"
    server.execute(database, "CREATE EXTENSION citext", "CREATE TABLE t (c citext, n int)", made)
    server.execute(database, "CREATE VIEW w AS SELECT (n, c) IN (SELECT n, c FROM t) AS o FROM t")
    backup = holdfast.backup(server.url(database), store=store)
    (warning,) = backup.warnings
    assert "in 'view public.v';" in warning


@pytest.mark.parametrize("form", ["parallel", "plain"])
def test_an_identity_column_whose_parent_has_a_default_is_restored(
    form: str, server: PostgresServer, database: str, target: str, store: str
) -> None:
    """pg_dump makes the column with the default of its parent, and the server then refuses to make it an identity."""
    server.execute(
        database,
        "CREATE TABLE parent (a int DEFAULT 7); CREATE TABLE serials (a serial)",
        'CREATE TABLE "odd ""child" (a int GENERATED ALWAYS AS IDENTITY (START 5)) INHERITS (parent)',
        "CREATE TABLE other () INHERITS (serials); ALTER TABLE other ALTER a DROP DEFAULT;"
        "ALTER TABLE other ALTER a ADD GENERATED BY DEFAULT AS IDENTITY",
    )
    backup = holdfast.backup(server.url(database), store=store, proof=True, options={"format": form})
    drilled = holdfast.drill(backup, store=store, into=server.url(""))
    assert (drilled.problems, drilled.warnings, drilled.state) == ((), (), "proven")
    holdfast.restore(backup, server.url(target), store=store)
    assert server.value(target, 'INSERT INTO "odd ""child" DEFAULT VALUES RETURNING a') == 5
