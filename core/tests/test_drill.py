"""A drill proves what is as recorded, names what is not, and says nothing of a backup that it could not test."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast import errors
from holdfast.api import (
    Blob,
    Capability,
    Component,
    DatabaseURL,
    DumpRequest,
    Facts,
    Kind,
    ObjectProof,
    Proof,
    RestoreRequest,
    ScratchRequest,
    Step,
    Stream,
)
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, PluginError, UsageError
from holdfast.operations.backup import backup
from holdfast.operations.drill import DrillResult, drill
from holdfast.operations.verify import verify
from holdfast.plan import BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.removal import remove_backup


@dataclass(frozen=True, kw_only=True)
class ToyOptions:
    pace: str = field(default="slow", metadata={"help": "how it goes"})


def prove(content: dict[str, list[str]]) -> Proof:
    objects = tuple(
        ObjectProof(kind="table", name=name, rows=len(rows), digest=hashlib.sha256(repr(rows).encode()).hexdigest())
        for name, rows in content.items()
    )
    return Proof(method="toy-1", objects=(*objects, ObjectProof(kind="stream", name="all")), settings={"seed": 7})


class Toy:
    """An engine for JSON files of tables; `broken` says which part of a drill fails and how."""

    def __init__(self) -> None:
        self.proof: Proof | str | None = "recorded"
        self.broken: dict[str, Any] = {}
        self.seen: dict[str, Any] = {}
        self.open = 0

    def _break(self, where: str) -> None:
        if isinstance(self.broken.get(where), BaseException):
            raise self.broken[where]

    def holdfast_components(self) -> list[Component]:
        capabilities = frozenset({Capability.PROOF})
        return [
            Component(kind=Kind.ENGINE, name=name, aliases=aliases, capabilities=capabilities, options=ToyOptions)
            for name, aliases in (("toy", ("plaything",)), ("other", ()))
        ]

    def holdfast_dump(self, scheme: str, request: DumpRequest) -> Any:
        return self._dump(request)

    @contextmanager
    def _dump(self, request: DumpRequest) -> Iterator[Any]:
        toy, data = self, Path(DatabaseURL.parse(request.url).path).read_bytes()

        class Session:
            streams = (Stream(name="all", suffix=".json"),)

            def read(self, stream: Stream) -> Iterator[bytes]:
                yield data

            def proof(self) -> Proof | None:
                toy.seen["asked"] = request.proof
                return prove(json.loads(data)) if toy.proof == "recorded" else toy.proof  # type: ignore[return-value]

            def facts(self) -> Facts:
                return Facts(server_version="toy 1", hints={"shape": "round"})

        yield Session()

    def holdfast_restore(self, scheme: str, request: RestoreRequest) -> Any:
        self.seen["restore"] = request
        return self._restore(request)

    @contextmanager
    def _restore(self, request: RestoreRequest) -> Iterator[Any]:
        toy, path = self, Path(DatabaseURL.parse(request.url).path)

        class Session:
            steps = (Step(stream="all"),)

            def load(self, step: Step, blob: Blob) -> None:
                toy._break("restore")
                path.write_bytes(b"".join(blob.chunks()))

            def commit(self) -> None:
                toy._break("commit")

        yield Session()

    def holdfast_scratch(self, scheme: str, request: ScratchRequest) -> Any:
        self.seen["scratch"] = request
        return self._scratch(request)

    @contextmanager
    def _scratch(self, request: ScratchRequest) -> Iterator[Any]:
        toy, path = self, request.scratch / "toy.json"
        self._break("scratch")

        class Scratch:
            url = f"toy://me:s3cret@host{path}"
            server_version = "toy 2"

            def check(self) -> list[str]:
                toy._break("check")
                return list(toy.broken.get("problems", []))

            def proof(self, recorded: Proof) -> Proof:
                toy._break("proof")
                toy.seen["recorded"] = recorded
                content = {**json.loads(path.read_bytes()), **toy.broken.get("content", {})}
                proof = prove({name: rows for name, rows in content.items() if rows is not None})
                objects = tuple(record for record in proof.objects if record.kind != "stream")
                return Proof(method=toy.broken.get("method", "toy-1"), objects=objects)

        self.open += 1
        try:
            yield Scratch()
        finally:
            self.open -= 1
        self._break("drop")


class Bench:
    """A store with one backup of a toy database."""

    def __init__(self, tmp_path: Path) -> None:
        self.toy = Toy()
        self.registry = Registry(plugins=[self.toy])
        self.source = tmp_path / "toy.json"
        self.source.write_text(json.dumps({"orders": ["a", "b"], "people": ["x"]}))
        self.catalog = Catalog(self.registry.storage(str(tmp_path / "store")))

    def backup(self, **fields: Any) -> Entry:
        plan = BackupPlan(source=f"toy://{self.source}", codec="none", **fields)
        record = backup(plan, registry=self.registry, parts=Parts(storage=self.catalog.storage))
        return self.catalog.find(record.id)

    def drill(self, entry: Entry, **fields: Any) -> DrillResult:
        return drill(entry.id, store=self.catalog.storage, registry=self.registry, **fields)

    def findings(self, entry: Entry) -> list[dict[str, Any]]:
        folder = Path(self.catalog.storage.location, entry.folder, "findings")
        return [json.loads(path.read_text()) for path in sorted(folder.glob("*"))]

    def state(self, entry: Entry) -> str:
        return str(self.catalog.find(entry.id).state)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("HOLDFAST_DRILL_URL", raising=False)
    return Bench(tmp_path)


def test_a_drill_that_agrees_proves_the_backup_and_records_time_version_and_result(bench: Bench) -> None:
    entry = bench.backup()
    before = Path(bench.catalog.storage.location, entry.folder, "backup_manifest.json").read_bytes()
    result = bench.drill(entry)
    assert (result.passed, result.state, result.depth, result.compared) == (True, "proven", "drill", 3)
    assert bench.state(entry) == "proven"
    (finding,) = bench.findings(entry)
    assert finding["result"] == "passed"
    assert finding["server_version"] == "toy 2"
    assert finding["time"].startswith("20")
    assert finding["method"] == "toy-1"
    assert Path(bench.catalog.storage.location, entry.folder, "backup_manifest.json").read_bytes() == before
    assert bench.toy.open == 0


def test_the_restore_knows_that_it_is_a_drill_and_the_scratch_what_it_is_for(bench: Bench) -> None:
    entry = bench.backup()
    bench.drill(entry, options={"pace": "quick"}, jobs=3)
    request, scratch, recorded = (bench.toy.seen[name] for name in ("restore", "scratch", "recorded"))
    assert request.drill
    assert request.options == scratch.options == ToyOptions(pace="quick")
    assert (scratch.id, scratch.jobs, scratch.server_version) == (entry.id, 3, "toy 1")
    assert scratch.size == bench.source.stat().st_size
    assert scratch.facts == {"shape": "round"}
    assert recorded.settings == {"seed": 7}
    stream = next(record for record in recorded.objects if record.kind == "stream")
    assert stream.digest == hashlib.sha256(bench.source.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"orders": ["a", "c"]}, "table orders: differs from what was recorded"),
        ({"orders": ["a"]}, "table orders: 2 rows recorded, 1 row found"),
        ({"people": None}, "table people: is missing"),
        ({"new one": []}, "table 'new one': was not in the source"),
    ],
)  # fmt: skip
def test_every_difference_is_named(bench: Bench, content: dict[str, Any], problem: str) -> None:
    entry = bench.backup()
    bench.toy.broken["content"] = content
    result = bench.drill(entry)
    assert (result.passed, result.state, result.problems) == (False, "damaged", (problem,))
    assert bench.findings(entry)[0]["problems"] == [problem]
    assert bench.state(entry) == "damaged"


@pytest.mark.parametrize("where", ["scratch", "restore", "check", "proof"])
@pytest.mark.parametrize(
    "error",
    [errors.UnreachableError("no server"), HoldfastError("no space"), errors.LockedError("held"),
     errors.CredentialsError("no"), OSError(28, "full"), RuntimeError("a bug"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_drill_that_cannot_be_carried_out_records_nothing_and_is_never_exit_13(
    bench: Bench, where: str, error: BaseException
) -> None:
    entry = bench.backup()
    bench.toy.broken[where] = error
    with pytest.raises((HoldfastError, KeyboardInterrupt)) as raised:
        bench.drill(entry)
    assert not isinstance(raised.value, IntegrityError)
    assert bench.findings(entry) == []
    assert bench.state(entry) == "complete"
    assert bench.toy.open == 0


def test_a_scratch_that_cannot_be_made_is_not_the_backups_fault_whatever_the_error(bench: Bench) -> None:
    entry = bench.backup()
    bench.toy.broken["scratch"] = IntegrityError("the server's own catalog is damaged")
    with pytest.raises(HoldfastError, match="no scratch database") as raised:
        bench.drill(entry)
    assert raised.value.exit_code == 1
    assert bench.findings(entry) == []


@pytest.mark.parametrize("where", ["restore", "commit", "check", "proof"])
def test_damage_that_shows_anywhere_in_the_drill_is_recorded(bench: Bench, where: str) -> None:
    entry = bench.backup()
    bench.toy.broken[where] = IntegrityError("page 7 is damaged")
    result = bench.drill(entry)
    assert (result.passed, result.problems) == (False, ("page 7 is damaged",))
    assert bench.findings(entry)[0]["result"] == "failed"
    assert bench.toy.open == 0


def test_problems_of_the_engines_own_check_fail_the_drill(bench: Bench) -> None:
    entry = bench.backup()
    bench.toy.broken["problems"] = ["index x lacks\n a row"]
    assert bench.drill(entry).problems == ("index x lacks a row",)
    assert bench.state(entry) == "damaged"


def test_a_failed_drill_is_cleared_by_a_drill_and_not_by_a_verify(bench: Bench) -> None:
    entry = bench.backup()
    bench.toy.broken["problems"] = ["bad"]
    bench.drill(entry)
    verify(bench.catalog.find(entry.id), storage=bench.catalog.storage, registry=bench.registry, read_data=True)
    assert bench.state(entry) == "damaged"
    bench.toy.broken.clear()
    assert bench.drill(entry).state == "proven"
    verify(bench.catalog.find(entry.id), storage=bench.catalog.storage, registry=bench.registry)
    assert bench.state(entry) == "proven"


def test_without_a_proof_a_drill_restores_and_checks_and_earns_verified(bench: Bench) -> None:
    entry = bench.backup(proof=False)
    result = bench.drill(entry)
    assert (result.passed, result.state, result.depth, result.compared) == (True, "verified", "restore", 0)
    assert "no proof" in result.warnings[0]
    bench.toy.broken["problems"] = ["bad"]
    assert bench.drill(entry).state == "damaged"
    verify(bench.catalog.find(entry.id), storage=bench.catalog.storage, registry=bench.registry, read_data=True)
    assert bench.state(entry) == "damaged"
    bench.toy.broken.clear()
    assert bench.drill(entry).state == "verified"


def test_a_blob_that_is_missing_or_changed_fails_the_drill(bench: Bench) -> None:
    changes: list[Callable[[Path], object]] = [lambda path: path.write_bytes(b"{}"), lambda path: path.unlink()]
    for change in changes:
        entry = bench.backup()
        (blob,) = Path(bench.catalog.storage.location, entry.folder).glob("all*")
        change(blob)
        result = bench.drill(entry)
        assert not result.passed
        assert blob.name in result.problems[0] or "all" in result.problems[0]
        assert result.state == "damaged"


@pytest.mark.parametrize("name", ["RESTORE.md", "SHA256SUMS"])
def test_a_file_beside_the_data_that_was_changed_fails_the_drill_as_it_fails_verify(bench: Bench, name: str) -> None:
    entry = bench.backup()
    path = Path(bench.catalog.storage.location, entry.folder, name)
    path.write_text(path.read_text() + "more" if name == "RESTORE.md" else "")
    result = bench.drill(entry)
    assert (result.passed, result.state) == (False, "damaged")
    assert name in result.problems[0]


@pytest.mark.parametrize("moment", ["scratch", "proof"])
def test_a_backup_deleted_under_the_drill_is_not_damaged_and_does_not_come_back(
    moment: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = bench.catalog.find(bench.backup().id)

    def delete(where: str) -> None:
        if where == moment:
            remove_backup(bench.catalog, entry)

    monkeypatch.setattr(bench.toy, "_break", delete)
    with pytest.raises(NotFoundError, match="has been deleted meanwhile"):
        bench.drill(entry)
    assert not Path(bench.catalog.storage.location, entry.folder).exists()


def test_a_manifest_that_cannot_be_read_is_damage(bench: Bench) -> None:
    entry = bench.backup()
    Path(bench.catalog.storage.location, entry.folder, "backup_manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="damaged"):
        bench.drill(entry)


def test_a_proof_by_a_method_that_the_engine_has_no_more_is_not_compared(bench: Bench) -> None:
    entry = bench.backup()
    bench.toy.broken["method"] = "toy-2"
    with pytest.raises(PluginError, match=r"'toy-1'.*'toy-2'"):
        bench.drill(entry)
    assert bench.findings(entry) == []


def test_the_server_is_the_one_asked_for_else_the_first_in_the_environment_that_fits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = bench.backup()
    with pytest.raises(UsageError, match=r"'toy', but .* is of 'other'"):
        bench.drill(entry, into="other://host/")
    bench.drill(entry, into="plaything://host/")
    assert bench.toy.seen["scratch"].into == "plaything://host/"
    monkeypatch.setenv("HOLDFAST_DRILL_URL", "other://o/ plaything://first/ toy://second/")
    bench.drill(entry)
    assert bench.toy.seen["scratch"].into == "plaything://first/"
    monkeypatch.setenv("HOLDFAST_DRILL_URL", "other://o/")
    bench.drill(entry)
    assert bench.toy.seen["scratch"].into is None


def test_passwords_of_server_and_scratch_are_in_no_error_and_no_finding(bench: Bench) -> None:
    entry = bench.backup()
    bench.drill(entry)
    assert "s3cret" not in json.dumps(bench.findings(entry))
    bench.toy.broken["restore"] = RuntimeError("cannot log in with s3cret")
    with pytest.raises(HoldfastError) as raised:
        bench.drill(entry, into="toy://me:hush@host/")
    assert "s3cret" not in str(raised.value)
    bench.toy.broken = {"scratch": RuntimeError("hush is wrong")}
    with pytest.raises(HoldfastError) as raised:
        bench.drill(entry, into="toy://me:hush@host/")
    assert "hush" not in str(raised.value)


def test_a_scratch_database_that_cannot_be_dropped_is_told_though_the_result_stands(bench: Bench) -> None:
    entry = bench.backup()
    bench.toy.broken["drop"] = HoldfastError("cannot drop it")
    with pytest.raises(HoldfastError, match="cannot drop it"):
        bench.drill(entry)
    assert bench.state(entry) == "proven"


def test_a_proof_that_was_asked_for_must_be_recorded_and_name_each_object_once(bench: Bench) -> None:
    bench.toy.proof = None
    assert bench.backup().manifest.proof is None  # type: ignore[union-attr]
    assert bench.toy.seen["asked"] is None
    with pytest.raises(PluginError, match="no proof"):
        bench.backup(proof=True)
    bench.toy.proof = Proof(method="toy-1", objects=(ObjectProof(kind="table", name="t", rows=1),) * 2)
    with pytest.raises(PluginError, match="table t twice"):
        bench.backup()
    assert len(bench.catalog.listing().entries) == 1
