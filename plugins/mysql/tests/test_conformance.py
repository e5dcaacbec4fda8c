"""The MySQL engine keeps the contract of an engine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.other_program import listening
from support.servers.mariadb import MariaDB

from holdfast.testing import EngineSuite


class TestMysql(EngineSuite):
    password = ""
    selection = ("other",)
    content_of: Callable[[str], Any]
    server: MariaDB

    @pytest.fixture(autouse=True)
    def _looking(self, content: Callable[[str], Any], mariadb: MariaDB) -> None:
        self.content_of = content
        self.server = mariadb

    @pytest.fixture
    def source(self, mariadb: MariaDB, database: str) -> str:
        mariadb.rows(f"CREATE TABLE {database}.other(id INT PRIMARY KEY)")
        mariadb.rows(f"INSERT INTO {database}.other VALUES (1)")
        columns = "id INT PRIMARY KEY, body TEXT NOT NULL, of INT REFERENCES other(id), KEY (body(20))"
        mariadb.rows(f"CREATE TABLE {database}.note({columns})")
        mariadb.rows(
            "INSERT INTO note SELECT seq, CONCAT('note ', seq, REPEAT('x', 100)), 1 FROM seq_1_to_2000",
            database=database,
        )
        mariadb.rows(f"CREATE VIEW {database}.short AS SELECT id FROM {database}.note WHERE id < 5")
        return mariadb.url(database)

    @pytest.fixture
    def target(self, mariadb: MariaDB, new_name: Callable[[], str]) -> str:
        return mariadb.url(new_name())

    def content(self, url: str) -> Any:
        return self.content_of(url.rpartition("/")[2])

    def selected(self, content: Any) -> Any:
        return {name: row for name, row in content.items() if "note" not in name and "short" not in name}

    def excluded(self, content: Any) -> Any:
        return {name: row for name, row in content.items() if "other" not in name}

    def rows(self, content: Any) -> dict[str, int]:
        del content
        return {"note": 2000, "other": 1}

    def surroundings(self, url: str) -> list[Any]:
        return sorted(name for (name,) in self.server.rows("SHOW DATABASES") if name != url.rpartition("/")[2])

    def into(self, target: str) -> str:
        return target.rpartition("/")[0]

    def foreign(self, source: str, target: str) -> Iterator[str]:
        del source, target
        with listening() as port:
            yield f"mysql://somebody@127.0.0.1:{port}/app"

    def leave_log(self, url: str) -> bool:
        del url
        return False  # the server's own affair

    def change(self, url: str) -> None:
        self.server.rows("UPDATE note SET body = '' WHERE id = 7", database=url.rpartition("/")[2])

    def test_what_a_dump_does_before_its_streams_are_known_is_told(self, source: str, store: str) -> None:
        told: list[tuple[str, str]] = []
        self.backup(source, store, on_event=lambda event: told.append((str(event.type), event.message)))
        name = source.rpartition("/")[2]
        waiting, reading = f"waiting for a snapshot of {name}", f"reading the definitions of {name}"
        assert told[:3] == [("preparing", waiting), ("preparing", reading), ("started", "")]
