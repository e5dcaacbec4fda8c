"""Extensions that keep rows of their own: what a backup holds of them, and where it comes back."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.servers.postgres import PostgresServer
from support.servers.postgres_extension import OwnExtension, own_extension, rows_of_users

import holdfast
from holdfast.errors import HoldfastError, UnsafeError

ROWS = 3000


@pytest.fixture
def extension(server: PostgresServer) -> Iterator[OwnExtension]:
    """An extension that the server has."""
    with own_extension(server) as extension:
        yield extension


@pytest.fixture
def filled(server: PostgresServer, database: str, extension: OwnExtension) -> str:
    """A database with rows in the tables of the extension, and a table that needs some of them."""
    server.execute(
        database,
        *rows_of_users(extension.name),
        "CREATE TABLE at (id int PRIMARY KEY, where_it_is kind_number, pad text)",
        f"INSERT INTO at SELECT i, i % 5 + 1, repeat('x', 500) FROM generate_series(1, {ROWS}) i",
        "CREATE TABLE other (id int)",
        "INSERT INTO other VALUES (1)",
    )
    return database


def content(server: PostgresServer, database: str) -> list[Any]:
    """What the tables hold, and the sequence."""
    queries = (
        "SELECT * FROM kind ORDER BY id",
        "SELECT * FROM chapter",
        "SELECT * FROM book",
        "SELECT count(*), sum(where_it_is) FROM at",
        "SELECT last_value, is_called FROM kind_id_seq",
    )
    return [server.rows(database, query) for query in queries]


@pytest.mark.parametrize("pg_format", ["parallel", "custom", "directory"])
def test_a_selection_takes_the_rows_of_the_extensions_that_it_needs(
    server: PostgresServer, store: str, filled: str, target: str, pg_format: str
) -> None:
    """Values of their types may be refused without, at the restore of a whole backup and of one of a selection."""
    options = {"format": pg_format, "large_table": "0"} if pg_format == "parallel" else {"format": pg_format}
    whole = holdfast.backup(server.url(filled), store=store, options=options, jobs=4)
    part = holdfast.backup(server.url(filled), store=store, options=options, select=("at",))
    holdfast.restore(whole.id, server.url(target), store=store, select=("at",), jobs=4)
    assert content(server, target) == content(server, filled)
    assert "public.other" not in server.relations(target)
    with server.database() as second:
        holdfast.restore(part.id, server.url(second), store=store)
        assert content(server, second) == content(server, filled)


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("pg_format", ["parallel", "custom", "tar"])
def test_tables_of_an_extension_that_refer_to_each_other_come_back(
    server: PostgresServer, store: str, filled: str, target: str, pg_format: str, jobs: int
) -> None:
    """pg_restore reports an error there; a backup of ours says nothing of it, and a drill proves it."""
    backup = holdfast.backup(server.url(filled), store=store, options={"format": pg_format}, proof=True)
    assert not backup.warnings
    holdfast.restore(backup.id, server.url(target), store=store, jobs=jobs)
    assert content(server, target) == content(server, filled)
    assert holdfast.drill(backup.id, store=store, into=server.url("postgres"), jobs=jobs).state == "proven"


def test_another_version_at_the_target_is_said(
    server: PostgresServer, store: str, filled: str, target: str, extension: OwnExtension
) -> None:
    """That which CREATE EXTENSION would take, or that which somebody has installed there."""
    backup = holdfast.backup(server.url(filled), store=store)
    extension.install("1.1")
    said = f"the target has other versions of extensions than the backup: {extension.name} 1.0 (here 1.1)"
    assert holdfast.restore(backup.id, server.url(target), store=store).warnings == (said,)
    with server.database() as prepared:
        server.execute(prepared, f"CREATE EXTENSION {extension.name} VERSION '1.0'")
        assert not holdfast.restore(backup.id, server.url(prepared), store=store).warnings


def test_an_extension_elsewhere_at_the_target_is_refused_where_it_is_needed(
    server: PostgresServer, store: str, filled: str, target: str, extension: OwnExtension
) -> None:
    """Else the restore would end in the middle; where nothing needs it, it may stay."""
    backup = holdfast.backup(server.url(filled), store=store)
    server.execute(target, "CREATE SCHEMA ext", f"CREATE EXTENSION {extension.name} SCHEMA ext")
    with pytest.raises(UnsafeError, match=f"{extension.name} in schema ext, the backup in public"):
        holdfast.restore(backup.id, server.url(target), store=store)
    assert "public.other" not in server.relations(target)


def test_a_missing_extension_of_a_selection_is_named_before_anything_is_made(
    server: PostgresServer, store: str, filled: str, target: str, extension: OwnExtension
) -> None:
    """What the selection does not need may be missing."""
    server.execute(filled, "CREATE SCHEMA own", "CREATE TABLE own.plain (a int)")
    backup = holdfast.backup(server.url(filled), store=store)
    extension.remove()
    with pytest.raises(HoldfastError, match=f"does not have the extension {extension.name}"):
        holdfast.restore(backup.id, server.url(target), store=store, select=("at",))
    assert not server.relations(target)
    holdfast.restore(backup.id, server.url(target), store=store, select=("plain",))
    assert server.relations(target) == {"own.plain"}
