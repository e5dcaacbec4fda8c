"""A private MariaDB for the session, and databases of their own for each test."""

import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import settings
from support.servers.mariadb import MariaDB, mariadb

import holdfast

__all__ = ["mariadb"]

settings.register_profile("mysql", deadline=None)  # a busy machine is no failure
settings.load_profile("mysql")

_NUMBERS = itertools.count(1)
_ROUTINES = "SELECT routine_name FROM information_schema.routines WHERE routine_schema='{0}' AND routine_type='{1}'"
_OBJECTS = {
    **dict.fromkeys(("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY"), _ROUTINES),
    "TRIGGER": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema='{0}'",
    "EVENT": "SELECT event_name FROM information_schema.events WHERE event_schema='{0}'",
}


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def new_name(mariadb: MariaDB) -> Iterator[Callable[[], str]]:
    """Names that no database has; what is made under them is dropped."""
    names: list[str] = []

    def make(prefix: str = "t") -> str:
        names.append(f"{prefix}{next(_NUMBERS)}")
        return names[-1]

    yield make
    with mariadb.connect() as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def database(mariadb: MariaDB, new_name: Callable[[], str]) -> str:
    """An empty database."""
    name = new_name()
    mariadb.rows(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def round_trip(mariadb: MariaDB, new_name: Callable[[], str], store: str) -> Callable[..., str]:
    """Backs a database up, restores it under another name, and returns that name."""

    def run(source: str, *, backup: dict[str, Any] | None = None, restore: dict[str, Any] | None = None) -> str:
        target = new_name()
        record = holdfast.backup(mariadb.url(quote(source)), store=store, **(backup or {}))
        holdfast.restore(record.id, mariadb.url(target), store=store, **(restore or {}))
        return target

    return run


@pytest.fixture
def by_hand(mariadb: MariaDB, store: str, new_name: Callable[[], str], tmp_path: Path) -> Callable[..., str]:
    """Backs a database up and restores it by `RESTORE.md` as it stands, with the stock client; returns the new name."""

    def run(source: str, form: str, **options: object) -> str:
        record = holdfast.backup(mariadb.url(source), store=store, options={"format": form, **options})
        commands = re.findall(r"```sh\n(.*?)```", Path(record.path, "RESTORE.md").read_text(), re.DOTALL)
        target = new_name()
        (tmp_path / ".my.cnf").write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\nskip-ssl\n")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands).replace("TARGET_DB", target)],
            cwd=record.path,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return target

    return run


@pytest.fixture
def content(mariadb: MariaDB) -> Callable[[str], dict[str, object] | None]:
    """Everything that a database holds, as data that can be compared after a restore under another name."""
    return lambda database: _content_of(mariadb, database)


def _content_of(server: MariaDB, database: str) -> dict[str, object] | None:
    """Definitions with the settings they were made under, CHECKSUM TABLE, order of triggers; None for no database."""
    if not server.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{database}'"):
        return None
    content: dict[str, object] = {}

    def show(word: str, name: str) -> tuple[object, ...]:
        # Literals with an introducer are bytes of their character set.
        row = server.rows(f"SHOW CREATE {word} {name}", database=database, use_unicode=False)[0]
        return tuple(value.decode(errors="backslashreplace") if isinstance(value, bytes) else value for value in row)

    def add(key: str, row: tuple[object, ...]) -> None:
        # Without the time of creation; with the names of this database taken out of references.
        content[key] = [str(value).replace(f"`{database}`", "`*`") for value in row if not hasattr(value, "year")]

    add("database", server.rows(f"SHOW CREATE DATABASE {database}")[0][1:])
    add(
        "comment",
        server.rows(f"SELECT schema_comment FROM information_schema.schemata WHERE schema_name='{database}'")[0],
    )
    for name, kind in server.rows(
        f"SELECT table_name, table_type FROM information_schema.tables WHERE table_schema='{database}'"
    ):
        quoted = "`" + str(name).replace("`", "``") + "`"
        word = {"VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}.get(str(kind), "TABLE")
        add(f"{word} {name}", show(word, quoted))
        if word == "SEQUENCE":
            add(f"state {name}", server.rows(f"SELECT * FROM {quoted}", database=database)[0])
        elif word == "TABLE":
            add(f"sum {name}", server.rows(f"CHECKSUM TABLE {quoted} EXTENDED", database=database)[0][1:])
            if kind == "SYSTEM VERSIONED":
                times = "" if "AS ROW START" in str(content[f"TABLE {name}"]) else ", row_start, row_end"
                query = f"SELECT *{times} FROM {quoted} FOR SYSTEM_TIME ALL"
                content[f"history {name}"] = sorted(map(str, server.rows(query, database=database)))
    for word, query in _OBJECTS.items():
        for (name,) in server.rows(query.format(database, word)):
            quoted = "`" + str(name).replace("`", "``") + "`"
            add(f"{word} {name}", show(word, quoted))
    content["order of triggers"] = server.rows(
        "SELECT event_object_table, event_manipulation, action_timing, action_order, trigger_name"
        f" FROM information_schema.triggers WHERE trigger_schema='{database}' ORDER BY 1, 2, 3, 4"
    )
    return content
