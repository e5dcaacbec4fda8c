from typing import Any

import psycopg
import pytest
from support.servers.postgres import PostgresServer

from holdfast.testing import EngineSuite

TABLES = """
CREATE TABLE note (id int PRIMARY KEY, text text);
INSERT INTO note SELECT n, repeat('note ' || n, 20) FROM generate_series(1, 2000) n;
CREATE INDEX ON note (text);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other VALUES (1), (2);
"""


class TestPostgres(EngineSuite):
    password = "s3cr3t of p:o/s@t"
    selection = ("other",)

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

    def into(self, target: str) -> str:
        return target.rpartition("/")[0]

    def change(self, url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE note SET text = '' WHERE id = 7")
