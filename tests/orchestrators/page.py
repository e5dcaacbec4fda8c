"""The examples of docs/orchestrators.md, and what they work on."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from support.snippets import snippets

PAGE = Path(__file__).parents[2] / "docs" / "orchestrators.md"
STORE = "/srv/app/backups"


def write_example(name: str, folder: Path) -> None:
    """Write the example of that name, as the page has it but for the path of the store."""
    (body,) = (each.body for each in snippets(PAGE.read_text()) if each.body.startswith(f"# {name}\n"))
    assert STORE in body
    (folder / name).write_text(body.replace(STORE, str(folder / "store")))


def make_app(path: Path) -> None:
    """A small database."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t(x)")
        db.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(5)])
        db.commit()


def manifests(store: Path) -> list[dict[str, Any]]:
    """The manifests of all backups of a store."""
    return [json.loads(path.read_text()) for path in store.glob("*/*/backup_manifest.json")]
