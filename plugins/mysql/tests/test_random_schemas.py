"""Random schemas come back under the same and another name, no drill calls a good one damaged, and changes are found.

`make schemas` makes 2,000 databases, of MariaDB or of the MySQL below HOLDFAST_TEST_MYSQL_ROOT; the suite two. Each
seed draws other definitions of the same kinds, so that more databases find more than larger ones, which
HOLDFAST_SCHEMA_OBJECTS makes.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from support.mysql_contents import contents, drop_lost
from support.mysql_random_schemas import Generator, Made, shared
from support.mysql_random_sql import CHARSETS
from support.servers.mariadb import MariaDB, running_mariadb
from support.servers.mysql import running_mysql

import holdfast
from holdfast.api import DatabaseURL, quote_name
from holdfast.testing.drills import drill_mutated

_OBJECTS = int(os.environ.get("HOLDFAST_SCHEMA_OBJECTS", "20"))  # of a database
SEEDS = range(*map(int, os.environ.get("HOLDFAST_SCHEMAS", "2").split(":")))  # 2000, or a part of them: 500:1000
_PRODUCT = "mysql" if os.environ.get("HOLDFAST_TEST_MYSQL_ROOT") else "mariadb"
_CHANGED = 4  # one in so many databases is changed too


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    options = ("--event-scheduler=OFF", "--local-infile=ON", "--log-bin-trust-function-creators=ON")
    with (running_mysql if _PRODUCT == "mysql" else running_mariadb)(*options) as running:
        yield running


def draw(server: MariaDB, database: str, seed: int) -> list[tuple[Made, Made]]:
    """Make a database with definitions that this server takes, with the change that it takes of each."""
    generator = Generator(seed, _PRODUCT, database)
    charset = CHARSETS[seed % 6] if seed % 2 else "utf8mb4"
    server.rows(f"CREATE DATABASE {database} CHARACTER SET {charset}")
    drawn: list[tuple[Made, Made]] = []
    with server.connect(database) as connection, connection.cursor() as cursor:
        for statement in shared(database):
            cursor.execute(statement)
        for number in range(20 * _OBJECTS):
            if len(drawn) == _OBJECTS:
                break
            pair = generator.draw(number)
            try:
                for made in (pair[1], pair[0]):
                    cursor.execute(f"SET sql_mode='{made.mode}'")
                    for statement in (*made.make, *(made.drop if made is pair[1] else ())):
                        cursor.execute(statement)
            except (pymysql.MySQLError, UnicodeError):
                for statement in pair[0].drop:
                    _try(cursor, statement)
                continue
            drawn.append(pair)
    lost = drop_lost(server, database, product=_PRODUCT)
    return [pair for pair in drawn if pair[0].place not in lost]


def _try(cursor: "pymysql.cursors.Cursor", statement: str) -> None:
    try:
        cursor.execute("SET sql_mode=''")
        cursor.execute(statement)
    except pymysql.MySQLError:
        return  # nothing was made


@pytest.mark.parametrize("seed", SEEDS)
def test_random_schemas_are_proven_and_their_changes_found(seed: int, server: MariaDB, store: str) -> None:
    database, copy = f"schema{seed}", f"copy{seed}"
    try:
        drawn = draw(server, database, seed)
        before = contents(server, database)
        backup = holdfast.backup(server.url(database), store=store, proof=True)
        drilled = holdfast.drill(backup, store=store, into=server.url(""))
        assert (drilled.problems, drilled.warnings, drilled.state) == ((), (), "proven")
        server.rows(f"DROP DATABASE {database}")
        for target in (database, copy):
            holdfast.restore(backup.id, server.url(target), store=store)
        assert contents(server, database) == before
        assert {place: row[-1] for place, row in contents(server, copy).items() if place[0] == "table"} == {
            place: row[-1] for place, row in before.items() if place[0] == "table"
        }
        if seed % _CHANGED == 0:  # the last, for it makes a damaged backup of it
            check_changes(server, backup, store, drawn)
    finally:
        for name in (database, copy):
            server.rows(f"DROP DATABASE IF EXISTS {name}")


def check_changes(server: MariaDB, backup: holdfast.Backup, store: str, drawn: list[tuple[Made, Made]]) -> None:
    """Change each definition of a restored copy: all of them are found, and nothing else."""
    expected: set[tuple[str, str]] = set()

    def change(url: str) -> None:
        with server.connect(DatabaseURL.parse(url).path[1:]) as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks=0")
            for first, other in drawn:
                cursor.execute(f"SET sql_mode='{first.mode}'")
                for statement in (*first.drop, *other.make):
                    cursor.execute(statement)
                expected.add(first.place)

    manifest = json.loads(Path(backup.path, "backup_manifest.json").read_text())
    compared = {(entry["kind"], entry["name"]) for entry in manifest["proof"]["objects"]}
    changed = drill_mutated(backup.id, store, change, into=server.url(""))
    differing = {(entry.kind, entry.name) for entry in changed.differences}
    # Views that refer to what is not there, such as a definer, are told of and not compared.
    broken = {(kind, name) for kind, name in expected - compared if kind == "view"}
    assert all(any(f"view {quote_name(name)} is broken" in text for text in backup.warnings) for _, name in broken)
    expected -= broken
    assert expected <= differing
    # The rows of a table are made anew with it.
    also = {("rows", name) for kind, name in expected if kind == "table"}
    also |= {("sequence state", name) for kind, name in expected if kind == "sequence"}
    assert differing - expected - broken <= also
