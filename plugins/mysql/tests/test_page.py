"""What the pages about MySQL show is what happens, on a real server."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB
from support.snippets import alike, snippets

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shop(mariadb: MariaDB) -> Iterator[None]:
    mariadb.rows("CREATE DATABASE shop")
    mariadb.rows("CREATE TABLE customers(id INT PRIMARY KEY, name VARCHAR(100) NOT NULL)", database="shop")
    mariadb.rows("CREATE TABLE orders(id INT PRIMARY KEY, customer INT, note TEXT)", database="shop")
    mariadb.rows("INSERT INTO customers SELECT seq, CONCAT('Customer ', seq) FROM seq_1_to_300", database="shop")
    mariadb.rows("INSERT INTO orders SELECT seq, seq % 300, UUID() FROM seq_1_to_2000", database="shop")
    yield
    mariadb.rows("DROP DATABASE shop")
    mariadb.rows("DROP DATABASE IF EXISTS copy")


@pytest.mark.parametrize("page", ["docs/mysql.md", "plugins/mysql/README.md"])
def test_the_commands_of_the_page_do_what_it_shows(mariadb: MariaDB, shop: None, tmp_path: Path, page: str) -> None:
    session = [block for block in snippets((ROOT / page).read_text()) if block.language == "console"]
    assert session
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in session:
        commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.body, re.MULTILINE)
        assert commands
        for command, expected in commands:
            done = subprocess.run(
                ["bash", "-c", command.replace("127.0.0.1", f"127.0.0.1:{mariadb.port}")],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(tmp_path), "PATH": path},
                check=False,
            )
            assert alike(expected, done.stdout.decode().replace(f":{mariadb.port}", "")), done.stdout.decode()


def test_every_privilege_that_the_page_names_for_a_backup_is_enough(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """With these and no others an account backs up a database with every kind of object."""
    import holdfast

    mariadb.client(
        Path(__file__).with_name("odd.sql").read_bytes(),
        database=database,
        options=("--comments", "--binary-mode", "--default-character-set=utf8mb4"),
    )
    page = (ROOT / "docs/mysql.md").read_text()
    listed = re.findall(r"`([A-Z ]+)`", page[page.index("| rows and definitions |") :].splitlines()[0])
    assert listed == ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"]
    mariadb.rows("CREATE USER reader@'%' IDENTIFIED BY 'x'")
    try:
        mariadb.rows(f"GRANT {', '.join(listed)} ON {database}.* TO reader@'%'")
        mariadb.rows("GRANT SELECT ON mysql.proc TO reader@'%'")
        mariadb.rows("GRANT RELOAD, BINLOG MONITOR ON *.* TO reader@'%'")
        record = holdfast.backup(mariadb.url(database, user="reader", password="x"), store=store)
        assert [warning for warning in record.warnings if "not in the snapshot" not in warning] == []
    finally:
        mariadb.rows("DROP USER reader@'%'")
