"""A server that is told to read damaged pages as empty ones does not do so for a backup, nor in silence."""

from collections.abc import Iterator

import pytest
from support.servers.postgres import PostgresServer, running

import holdfast
from holdfast.api import IntegrityError

_PAGE = 8192


@pytest.fixture(scope="module")
def damaged() -> Iterator[PostgresServer]:
    """A server whose database `app` has a table with a page of rubbish."""
    with running() as server:
        server.create("app")
        server.execute("app", "CREATE TABLE t AS SELECT n, repeat('x', 100) AS text FROM generate_series(1, 5000) n")
        path = server.data / server.value("app", "SELECT pg_relation_filepath('t')")
        server.stop("fast")
        with open(path, "r+b") as file:
            file.seek(3 * _PAGE)
            file.write(b"\xff" * _PAGE)
        server.start()
        server.execute("postgres", "CREATE ROLE reader LOGIN IN ROLE pg_read_all_data")
        yield server


@pytest.fixture
def lenient(damaged: PostgresServer) -> Iterator[PostgresServer]:
    """The database is told to read it as an empty one."""
    damaged.execute("postgres", "ALTER DATABASE app SET zero_damaged_pages TO on")
    try:
        yield damaged
    finally:
        damaged.execute("postgres", "ALTER DATABASE app RESET zero_damaged_pages")


@pytest.mark.parametrize("options", [{}, {"large_table": "0"}, {"format": "plain"}])
def test_a_damaged_page_ends_the_backup_whatever_the_database_is_told(
    lenient: PostgresServer, store: str, options: dict[str, str]
) -> None:
    """By pg_dump and by COPY alike."""
    with pytest.raises(IntegrityError, match="invalid page in block 3"):
        holdfast.backup(lenient.url("app"), store=store, options=options)


def test_a_role_that_may_not_change_it_gets_a_warning(lenient: PostgresServer, store: str) -> None:
    """So does who asks for it in the URL."""
    for url in (lenient.url("app", "reader"), lenient.url("app", options="-c%20zero_damaged_pages%3Don")):
        record = holdfast.backup(url, store=store)
        assert [text for text in record.warnings if text.startswith("zero_damaged_pages is on")]
