"""Changes of a PostgreSQL database, each of objects of its own and with what a drill has to say of it."""

import os
import random
from collections.abc import Iterable, Sequence

import holdfast
from holdfast.operations.drill import DrillResult
from holdfast.testing.drills import drill_mutated
from support.mutations import Change
from support.postgres_newer_mutations import newer_changes
from support.postgres_object_mutations import object_changes
from support.postgres_table_mutations import table_changes
from support.postgres_value_mutations import bit_changes, row_changes, value_changes
from support.servers.postgres import PostgresServer

_VERSION = int(os.environ.get("HOLDFAST_TEST_PG", "15"))
# The wheel of PostgreSQL 16 is built without these.
_WHEEL = _VERSION == 16
_NOT_IN_WHEEL = ("provider = icu", "COLLATE loose", " xml", "EXTENSION")


def known(*, seed: int = 1) -> list[Change]:
    """Every change that the server under test can hold, in an order of the seed's."""
    changes = [*value_changes(), *row_changes(), *bit_changes(seed), *table_changes(), *object_changes()]
    changes += newer_changes(_VERSION)
    changes = [change for change in changes if all(map(can_be, (*change.make, *change.change)))]
    names = [change.name for change in changes]
    assert len(set(names)) == len(names), "two changes have one name"
    random.Random(seed).shuffle(changes)
    return changes


def can_be(statement: str) -> bool:
    """Whether the server under test is built with what a statement needs."""
    return not _WHEEL or not any(word in statement for word in _NOT_IN_WHEEL)


# What several changes refer to, made before them and never changed.
SHARED = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE referred (id int PRIMARY KEY, a int, UNIQUE (a), UNIQUE (id, a));
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION fires_too() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION watches() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION adds(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION adds_too(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $2 + $1';
CREATE FUNCTION compares(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE FUNCTION weighs(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a';
CREATE FUNCTION weighs_too(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT -($1).a';
CREATE FUNCTION handles() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION gap(numeric, numeric) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT ($1 - $2)::float8';
"""


def run(server: PostgresServer, database: str, scripts: Iterable[Iterable[str]]) -> None:
    """Run scripts on one connection; event triggers of the tests' own do nothing."""
    with server.connect(database) as connection:
        for statement in (statement for script in scripts for statement in script):
            if statement:
                connection.execute(statement.encode())


def drill_of_all(server: PostgresServer, changes: Sequence[Change], store: str) -> DrillResult:
    """A drill of a backup of all objects, with every change made to what was restored; without them it passes."""
    with server.database() as database:
        run(server, database, [filter(can_be, SHARED.splitlines()), *(change.make for change in changes)])
        record = holdfast.backup(server.url(database), store=store, proof=True)
        clean = holdfast.drill(record.id, store=store, into=server.url(""))
        assert (clean.passed, clean.state, clean.problems) == (True, "proven", ())

        def apply(url: str) -> None:
            run(server, url.partition("?")[0].rpartition("/")[2], [change.change for change in changes])

        return drill_mutated(record.id, store, apply, into=server.url(""))
