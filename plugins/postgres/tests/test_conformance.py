from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from support.other_program import listening
from support.servers.postgres import PostgresServer

from holdfast.testing import EngineSuite

TABLES = """
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other VALUES (1), (2);
CREATE TABLE note (id int PRIMARY KEY, text text, of int DEFAULT 1 REFERENCES other);
INSERT INTO note SELECT n, repeat('note ' || n, 20) FROM generate_series(1, 2000) n;
CREATE INDEX ON note (text);
"""


class TestPostgres(EngineSuite):
    password = "s3cr3t of p:o/s@t"
    selection = ("other",)
    server: PostgresServer

    @pytest.fixture(autouse=True)
    def _looking(self, server: PostgresServer) -> None:
        self.server = server

    @pytest.fixture
    def source(self, server: PostgresServer, database: str) -> str:
        server.execute(database, TABLES)
        server.execute("postgres", f"COMMENT ON DATABASE {database} IS 'source'")
        return server.url(database, password="s3cr3t%20of%20p%3Ao%2Fs%40t")

    @pytest.fixture
    def target(self, server: PostgresServer, target: str) -> str:
        return server.url(target)

    def content(self, url: str) -> Any:
        with psycopg.connect(url) as connection:
            names = connection.execute("SELECT relname FROM pg_class WHERE relname IN ('note', 'other')").fetchall()
            return {name: connection.execute(f"TABLE {name} ORDER BY id").fetchall() for (name,) in sorted(names)}

    def selected(self, content: dict[str, Any]) -> dict[str, Any]:
        return {"other": content["other"]}

    def excluded(self, content: dict[str, Any]) -> dict[str, Any]:
        return {"note": content["note"]}

    def rows(self, content: dict[str, Any]) -> dict[str, int]:
        return {f"public.{name}": len(rows) for name, rows in content.items()}

    def surroundings(self, url: str) -> list[str]:
        names = self.server.rows("postgres", "SELECT datname FROM pg_database ORDER BY 1")
        return [name for (name,) in names if name != url.rpartition("/")[2]]

    def into(self, target: str) -> str:
        return target.rpartition("/")[0]

    def foreign(self, source: str, target: str) -> Iterator[str]:
        del source, target
        with listening() as port:
            yield f"postgresql://somebody@127.0.0.1:{port}/app"

    def leave_log(self, url: str) -> bool:
        del url
        return False  # the server's own affair

    def change(self, url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE note SET text = '' WHERE id = 7")

    def test_what_a_dump_does_before_its_streams_are_known_is_told(self, source: str, store: str) -> None:
        told: list[tuple[str, str]] = []
        self.backup(source, store, on_event=lambda event: told.append((str(event.type), event.message)))
        assert [kind for kind, _ in told[:3]] == ["preparing", "preparing", "started"]
        assert [message.partition(" of ")[0] for _, message in told[:2]] == [
            "locking the tables",
            "reading the definitions",
        ]
        assert self.password not in str(told)
