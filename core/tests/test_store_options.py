"""The options of a storage reach it from wherever a store is named, and none of them is ignored."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

import holdfast
from holdfast.api import Capability, Component, Kind, hookimpl
from holdfast.cli import COMMANDS, cli, run
from holdfast.errors import UsageError
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.setup import StoreAddress, open_storage
from holdfast.tasks import backup_task, copy_task, drill_task, prune_task, verify_task
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryStorage, memory_registry

STORE, OTHER = "shelf://here", "shelf://there"
OPTIONS = {"floor": 3, "order": "date"}
WORDS = ["--store-option", "floor=3", "--store-option", "order=date"]


@dataclass(frozen=True, kw_only=True)
class ShelfOptions:
    """Options of a storage."""

    floor: int = field(default=0, metadata={"help": "where the shelf stands"})
    order: Literal["name", "date"] = "name"


class Shelf(MemoryStorage):
    """A storage that can do all that a command may ask for."""

    def shared_lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name alone: here nobody asks for it at the same time."""
        return self.lease(name, ttl)

    def rename(self, old: str, new: str) -> None:
        """Move what lies below a folder."""
        for path in [path for path in self.objects if path.startswith(f"{old}/")]:
            self.objects[new + path.removeprefix(old)] = self.objects.pop(path)


class Shelves:
    """A plugin with a storage in memory for each URL, which remembers how each was opened."""

    def __init__(self) -> None:
        self.storages: dict[str, MemoryStorage] = {}
        self.opened: list[tuple[str, Any]] = []

    @hookimpl
    def holdfast_components(self) -> Iterator[Component]:
        yield Component(kind=Kind.STORAGE, name="shelf", options=ShelfOptions)

    @hookimpl
    def holdfast_storage(self, scheme: str, url: str, options: Any) -> MemoryStorage | None:
        if scheme != "shelf":
            return None
        self.opened.append((url, options))
        return self.storages.setdefault(url, Shelf(url))


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch) -> Shelves:
    """The plugin as if it were installed, with a backup in one of its stores."""
    plugin = Shelves()
    registry = memory_registry(plugin, engine=MemoryEngine(capabilities=frozenset({Capability.PROOF})))
    for module in (
        "defaults",
        "functions",
        "housekeeping",
        "pipeline",
        "operations.store_check",
        "backup_set",
        "watching",
    ):
        monkeypatch.setattr(f"holdfast.{module}.installed", lambda: registry, raising=False)
    holdfast.backup(URL, store=STORE)
    plugin.opened.clear()
    return plugin


def back_up_one_of_all(**where: Any) -> None:
    """Make the one backup of a run of several, or raise what it fails with."""
    for failure in holdfast.backup_all([URL], **where).failed:
        raise failure.error


VERBS: Mapping[str, Callable[..., object]] = {
    "backup": lambda **where: holdfast.backup(URL, **where),
    "backup of a plan": lambda **where: holdfast.backup(BackupPlan(source=URL, **where)),
    "backup_all": back_up_one_of_all,
    "Pipeline": lambda **where: holdfast.Pipeline(source=URL).replace(**where).run(),
    "preview": lambda **where: holdfast.Pipeline(source=URL, **where).preview(),
    "restore": lambda **where: holdfast.restore("latest", TARGET, **where),
    "restore of a plan": lambda **where: holdfast.restore(RestorePlan(backup="latest", target=TARGET, **where)),
    "verify": holdfast.verify,
    "list_backups": holdfast.list_backups,
    "drill": lambda **where: holdfast.drill("latest", **where),
    "copy": lambda **where: holdfast.copy(to=OTHER, to_options=OPTIONS, **where),
    "check_store": holdfast.check_store,
    "prune": lambda **where: holdfast.prune(**where, keep_last=1),
    "pin": lambda **where: holdfast.pin("latest", **where),
    "tag": lambda **where: holdfast.tag("latest", "nightly", **where),
    "rename": lambda **where: holdfast.rename("app", "other", **where),
    "delete": lambda **where: holdfast.delete("latest", allow_last=True, **where),
    "backup_task": lambda **where: backup_task(URL, **where),
    "verify_task": lambda **where: verify_task("latest", **where),
    "drill_task": lambda **where: drill_task("latest", **where),
    "copy_task": lambda **where: copy_task("latest", to=OTHER, to_options=OPTIONS, **where),
    "prune_task": lambda **where: prune_task(**where, keep_last=1),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_function_hands_them_on(shelves: Shelves, verb: str) -> None:
    VERBS[verb](store=STORE, store_options=OPTIONS)
    assert {options for _, options in shelves.opened} == {ShelfOptions(floor=3, order="date")}
    assert {url for url, _ in shelves.opened} == ({STORE, OTHER} if "copy" in verb else {STORE})
    with pytest.raises(UsageError, match=r"storage 'shelf' has no option 'flor' \(it has: floor, order\)"):
        VERBS[verb](store=STORE, store_options={"flor": 3})


def test_every_public_function_that_takes_a_store_takes_its_options() -> None:
    legacy = {"BackupManager", "DatabaseBackup", "backup_database"}
    for name in set(holdfast.__all__) - legacy:
        thing = getattr(holdfast, name)
        parameters = inspect.signature(thing).parameters if callable(thing) else {}
        assert "store" not in parameters or "store_options" in parameters, name


COMMAND_LINES = {
    "backup": [URL],
    "list": [],
    "show": ["latest"],
    "verify": [],
    "restore": ["latest", TARGET],
    "drill": ["latest"],
    "copy": [STORE, OTHER],
    "check": [STORE],
    "delete": ["latest", "--allow-last"],
    "prune": ["--keep-last", "1"],
    "rename": ["app", "other"],
    "pin": ["latest"],
    "unpin": ["latest"],
    "tag": ["latest", "nightly"],
    "import": ["."],
    "cat": ["latest"],
    "key": ["list"],
    "metrics": [],
    "report": ["report.html"],
    "undelete": [],  # of a store that keeps no versions, as it says once it is open
}


@pytest.mark.parametrize(
    "command", sorted(set(COMMANDS) - {"plugins", "schema", "completion", "config", "run", "schedule"})
)
def test_every_command_hands_them_on(
    shelves: Shelves, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("manifest.json").write_text("[]")  # of what is imported
    monkeypatch.setenv("HOLDFAST_STORE", STORE)
    assert run([command, *COMMAND_LINES[command], *WORDS]) == (10 if command == "undelete" else 0)
    assert (STORE, ShelfOptions(floor=3, order="date")) in shelves.opened
    assert all(url != STORE or options == ShelfOptions(floor=3, order="date") for url, options in shelves.opened)
    assert run([command, *COMMAND_LINES[command], "--store-option", "flor=3"]) == 2
    assert "storage 'shelf' has no option 'flor' (it has: floor, order)" in capfd.readouterr().err


def test_a_copy_gives_each_store_its_own(shelves: Shelves) -> None:
    assert run(["copy", STORE, OTHER, "--store-option", "floor=1", "--other-store-option", "floor=2"]) == 0
    assert set(shelves.opened) == {(STORE, ShelfOptions(floor=1)), (OTHER, ShelfOptions(floor=2))}


def test_a_count_of_copies_gives_all_other_stores_the_same(shelves: Shelves, capfd: pytest.CaptureFixture[str]) -> None:
    others = ("shelf://there", "shelf://elsewhere")
    for other in others:
        holdfast.copy(store=STORE, to=other)
    shelves.opened.clear()
    words = [word for other in others for word in ("--other-store", other)]
    words = ["list", "--store", STORE, "--copies", "3", *words, "--store-option", "floor=1"]
    assert run([*words, "--other-store-option", "floor=2"]) == 0
    assert shelves.opened == [(STORE, ShelfOptions(floor=1)), *((other, ShelfOptions(floor=2)) for other in others)]
    assert run([*words, "--other-store-option", "flor=2"]) == 2
    assert "storage 'shelf' has no option 'flor'" in capfd.readouterr().err
    assert run(["list", "--store", STORE, "--other-store-option", "floor=2"]) == 2
    assert "go together" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("floor=high", "storage 'shelf', option 'floor' 'high': expected `int`, got `str`"),
        ("order=size", "option 'order' 'size': invalid enum value 'size' (it takes: date, name)"),
        ("=3", "cannot read option '=3', expected KEY=VALUE"),
        ("floor=3 --store-option floor=3", "option 'floor' is given twice"),
    ],
)
def test_a_wrong_one_is_refused_in_so_many_words(
    shelves: Shelves, word: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    del shelves
    assert run(["list", "--store", STORE, "--store-option", *word.split()]) == 2
    assert message in capfd.readouterr().err


def test_they_travel_with_a_plan_and_with_the_result_of_a_task(shelves: Shelves) -> None:
    plan = BackupPlan(source=URL, store=STORE, store_options=OPTIONS)
    assert BackupPlan.from_json(plan.to_json()) == plan
    done = backup_task(plan.as_data())
    assert done["store_options"] == OPTIONS
    shelves.opened.clear()
    copied = copy_task(done, to=OTHER, to_options={"floor": 7})
    verify_task(copied)
    assert set(shelves.opened) == {(STORE, ShelfOptions(floor=3, order="date")), (OTHER, ShelfOptions(floor=7))}
    assert "store_options" not in backup_task(URL, store=STORE)


def test_plugins_show_lists_them(shelves: Shelves, capfd: pytest.CaptureFixture[str]) -> None:
    del shelves
    assert run(["plugins", "show", "shelf"]) == 0
    assert "  floor=integer  [default: 0]  where the shelf stands\n" in capfd.readouterr().out


def test_a_folder_and_an_object_take_none(tmp_path: Path) -> None:
    registry = memory_registry()
    for store, message in (
        (str(tmp_path), r"storage 'file' has no option 'floor' \(it has: none\)"),
        (MemoryStorage(), "the store is an object of type MemoryStorage, and takes no options"),
    ):
        with pytest.raises(UsageError, match=message):
            open_storage(StoreAddress(store, OPTIONS), registry)
    with pytest.raises(UsageError, match="the options of a store are list, expected a mapping of their names"):
        open_storage(StoreAddress(str(tmp_path), [("floor", 3)]), registry)  # type: ignore[arg-type]


def test_every_command_with_a_store_has_the_option() -> None:
    context = cli.make_context("holdfast", [], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        names = {parameter.name for parameter in command.params} if command else set()
        assert bool(names & {"store", "stores"}) == ("store_options" in names), name
