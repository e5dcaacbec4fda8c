"""No drill calls a good backup damaged because a definition prints otherwise, and every changed definition is found.

`make definitions` draws 5,000 definitions and changes 500 and more; the suite some hundreds.
"""

import os

import psycopg
import pytest
from support.postgres_proofs import recorded_proof
from support.postgres_random_definitions import EXTENSIONS, SHARED, Generator, Made
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.testing.drills import drill_mutated

_BATCH = 250  # definitions in a database
_TABLES = 10
_COUNT = int(os.environ.get("HOLDFAST_DEFINITIONS", str(_BATCH)))
SEEDS = range((_COUNT + _BATCH - 1) // _BATCH)


def draw(server: PostgresServer, database: str, seed: int, *, extensions: bool) -> list[tuple[Made, Made]]:
    """Make random definitions that this server takes, with the change that it takes of each, until there are enough."""
    generator = Generator(seed, extensions=extensions)
    drawn: list[tuple[Made, Made]] = []
    with server.connect(database) as connection:
        for statement in (*(EXTENSIONS if extensions else ()), *SHARED):
            connection.execute(statement)
        for number in range(_TABLES):
            connection.execute(f"CREATE TABLE t{number} ({generator.columns})".encode())
            connection.execute(f"INSERT INTO t{number} (id) VALUES (1)".encode())
        number = 0
        while len(drawn) < _BATCH:
            number += 1
            first, other = generator.draw(number, f"t{number % _TABLES}")
            try:
                with connection.transaction():
                    for statement in (other.make, other.drop, first.make):
                        connection.execute(statement.encode())
            except psycopg.Error as error:
                if (error.sqlstate or "")[:2] not in {"0A", "22", "23", "2B", "42"}:
                    raise
                continue
            drawn.append((first, other))
    assert number < 4 * _BATCH
    return drawn


@pytest.mark.parametrize("seed", SEEDS)
def test_random_definitions_are_proven_and_their_changes_found(
    seed: int, server: PostgresServer, database: str, target: str, store: str, *, bare: bool
) -> None:
    """Those over types of extensions are no affair of PostgreSQL's own programs, which do not restore them all."""
    extensions = not bare and not seed % 2
    drawn = draw(server, database, seed, extensions=extensions)
    if not extensions:
        script = server.folder / f"{database}.sql"
        script.write_text(server.text(database))
        server.run.output("psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(script), server.url(target))
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    drilled = holdfast.drill(backup, store=store, into=server.url(""))
    assert (drilled.problems, drilled.warnings, drilled.state) == ((), (), "proven")

    expected = {first.place for first, _ in drawn}
    assert len(expected) == len(drawn)
    assert expected <= {(entry.kind, entry.name) for entry in recorded_proof(backup).objects}

    def change(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET search_path TO public")
            for first, _ in drawn:
                connection.execute(first.drop.encode())
            for _, other in drawn:  # in the order in which they can be made: no MERGE where there are rules
                connection.execute(other.make.encode())

    changed = drill_mutated(backup.id, store, change, into=server.url(""))
    differing = {(entry.kind, entry.name) for entry in changed.differences}
    assert expected <= differing
    # The index of an exclusion constraint differs with it.
    also = {("definition of index", f"public.{first.name.rsplit('.', 1)[-1]}") for first, _ in drawn}
    assert differing - expected <= also
