"""A store that version 0.1.0 wrote, before claims had hosts, is read, pruned and written on."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.commandline import Shell

import holdfast
from holdfast.functions import installed
from holdfast.host import Host
from holdfast.store.catalog import open_catalog
from holdfast.store.claims import claim_name, owner_of
from holdfast.store.origin import Origin

OLDER = Path(__file__).parent / "older_stores" / "0.1.0"


@pytest.fixture
def store(shell: Shell) -> str:
    """The store, and in it what git does not keep: modes."""
    shutil.copytree(OLDER, shell.store)
    return str(shell.store)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])


def test_all_that_it_holds_is_read_as_it_was(store: str, tmp_path: Path) -> None:
    records = holdfast.list_backups(store)
    assert [(record.name, record.state, record.pinned, record.tags) for record in records] == [
        ("app", "complete", True, ("first",)),
        ("app", "proven", False, ("release-1",)),
        ("app", "complete", False, ()),
        ("books", "verified", False, ()),
        ("books", "damaged", False, ()),
    ]
    for record, rows in zip(records[:4], (20, 21, 22, 5), strict=True):
        holdfast.restore(record, f"sqlite:///{tmp_path}/{record.id}.db", store=store)
        assert count(tmp_path / f"{record.id}.db") == rows
        assert holdfast.drill(record, store=store).passed
    assert [result.passed for result in holdfast.verify(store=store, read_data=True)] == [True] * 4 + [False]


def test_it_is_pruned_by_the_same_rules(store: str) -> None:
    ids = [record.id for record in holdfast.list_backups(store)]
    done = holdfast.prune(store, max_backups=1)
    # The pinned one, the newest good and the newest proven one of each source stay, and the damaged one is the newest.
    assert [choice.id for choice in done.deleted] == []
    assert done.leftovers == ("books/20261101T000000Z-aaaaaa",)
    holdfast.pin(ids[0], store=store, pinned=False)
    assert [choice.id for choice in holdfast.prune(store, max_backups=1).deleted] == [ids[0]]


def test_its_sources_are_gone_on_with_and_bound_to_the_first_host_that_comes(shell: Shell, store: str) -> None:
    catalog = open_catalog(store, installed())
    known = owner_of(catalog, "app")
    assert known is not None
    assert known.host is None
    here, there = (Origin(identity=known.identity, host=Host(name=name)) for name in ("here", "there"))
    assert claim_name(catalog, here, name="app", explicit=False, adopt=False).name == "app"
    assert claim_name(catalog, there, name="app", explicit=False, adopt=False).name == "app-there"
    assert claim_name(catalog, here, name="app", explicit=False, adopt=False).name == "app"
    assert "another database" in shell.fails(16, "backup", "sqlite:///app.db", "--name", "books").stderr
    adopted = shell.backup("sqlite:///app.db", "--name", "books", "--adopt")
    assert shell.run("prune", "books", "--keep-last", "1").code == 0
    left = {record.id for record in holdfast.list_backups(store, name="books")}
    assert adopted["id"] in left
    assert len(left) == 1


def test_it_is_renamed_and_its_backups_are_still_good(store: str, tmp_path: Path) -> None:
    assert holdfast.rename("app", "shop", store=store).backups == 3
    assert [record.state for record in holdfast.list_backups(store, name="shop")] == ["complete", "proven", "complete"]
    holdfast.restore("shop/latest", f"sqlite:///{tmp_path}/copy.db", store=store)
    assert count(tmp_path / "copy.db") == 22
