"""The contract of the earlier BackupManager holds, and its backups can be imported, verified and restored."""

import gzip
import hashlib
import json
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import holdfast
from holdfast import (
    Backup,
    BackupFormat,
    BackupManager,
    BackupMetadata,
    BackupResult,
    DatabaseBackup,
    HoldfastError,
    IntegrityError,
    NotFoundError,
    UnreachableError,
    UnsafeError,
    UsageError,
    backup_database,
)
from holdfast.legacy.importer import import_backups
from holdfast.legacy.manager import sqlite_url
from holdfast.operations.verify import verify
from holdfast.plugins.registry import Registry
from holdfast.store.catalog import Catalog


def make(path: Path, text: str = "one") -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE IF NOT EXISTS t (x)")
        db.execute("INSERT INTO t VALUES (?)", (text,))
        db.commit()
    return path


def rows(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute("SELECT x FROM t")]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make(tmp_path / "app #1?.db")


class TestBackupManager:
    def test_a_round_trip_by_url_with_every_method(self, app: Path, tmp_path: Path) -> None:
        manager = BackupManager(tmp_path / "new" / "backups")
        assert (tmp_path / "new" / "backups").is_dir()
        assert manager.list_backups() == []
        result = manager.backup(sqlite_url(app)).raise_for_error()
        assert result.success
        assert result.error is None
        assert result.duration_seconds >= 0
        record = result.backup
        assert isinstance(record, Backup)
        assert record.size_bytes == app.stat().st_size
        assert Path(record.file_path).is_dir()
        manifest = Path(record.file_path, "backup_manifest.json").read_bytes()
        assert record.checksum == hashlib.sha256(manifest).hexdigest()
        assert [backup.id for backup in manager.list_backups()] == [record.id]
        assert manager.get_backup(record.id) == record
        assert manager.restore(record.id, f"sqlite:///{tmp_path}/copy.db").success
        assert rows(tmp_path / "copy.db") == ["one"]
        again = manager.create_backup(sqlite_url(app)).raise_for_error()
        assert again.backup is not None
        assert manager.delete_backup(record.id)
        assert [backup.id for backup in BackupManager(tmp_path / "new/backups").list_backups()] == [again.backup.id]

    def test_an_operation_that_failed_is_a_result_and_not_an_exception(self, app: Path, tmp_path: Path) -> None:
        manager = BackupManager(tmp_path / "store")
        result = manager.backup(f"sqlite:///{tmp_path}/missing.db")
        assert not result.success
        assert result.backup is None
        assert "does not exist" in str(result.error)
        with pytest.raises(UnreachableError):
            result.raise_for_error()
        assert not (tmp_path / "missing.db").exists()
        record = manager.backup(sqlite_url(app)).raise_for_error().backup
        assert record is not None
        refused = manager.restore(record.id, sqlite_url(app))
        with pytest.raises(UnsafeError):
            refused.raise_for_error()
        assert manager.restore(record.id, sqlite_url(app), replace=True).success

    def test_everything_else_raises(self, tmp_path: Path) -> None:
        manager = BackupManager(tmp_path / "store")
        with pytest.raises(NotFoundError):
            manager.get_backup("20260101T000000Z-aaaaaa")
        with pytest.raises(NotFoundError):
            manager.delete_backup("20260101T000000Z-aaaaaa")
        with pytest.raises(UsageError, match="empty"):
            manager.prune()
        (tmp_path / "file").write_text("")
        with pytest.raises(HoldfastError, match="cannot make the folder"):
            BackupManager(tmp_path / "file" / "store")
        with pytest.raises(UsageError, match="expected a path"):
            BackupManager(5)  # type: ignore[arg-type]
        for wrong in (None, 5):
            with pytest.raises(UsageError, match="expected an id or a record"):
                manager.get_backup(wrong)  # type: ignore[arg-type]
        for rules in ({"max_age_days": "30"}, {"max_backups": 1.5}, {"keep_foo": 1}, {"keep_last": "2"}):
            with pytest.raises(UsageError):
                manager.prune(**rules)

    def test_a_wrong_argument_is_a_failed_operation_too(self, app: Path, tmp_path: Path) -> None:
        manager = BackupManager(tmp_path / "store")
        refused = manager.backup(sqlite_url(app), store="x")  # type: ignore[call-arg]
        assert "'store' is no option" in str(refused.error)
        assert "of type int" in str(manager.restore(5, "sqlite:///copy.db").error)  # type: ignore[arg-type]
        assert not backup_database(sqlite_url(app), 5).success  # type: ignore[arg-type]

    def test_a_record_is_taken_wherever_an_id_is(self, app: Path, tmp_path: Path) -> None:
        manager = BackupManager(tmp_path / "store")
        record = manager.backup(sqlite_url(app)).raise_for_error().backup
        assert isinstance(record, Backup)
        assert manager.get_backup(record) == record
        assert manager.restore(record, f"sqlite:///{tmp_path}/copy.db").success
        assert manager.delete_backup(record, allow_last=True)

    def test_prune_tells_how_many_are_gone_and_keeps_the_newest(self, app: Path, tmp_path: Path) -> None:
        manager = BackupManager(tmp_path / "store")
        for _ in range(3):
            manager.backup(sqlite_url(app)).raise_for_error()
        newest = manager.list_backups()[-1].id
        assert manager.prune(max_backups=2) == 1
        assert manager.prune(max_age_days=0) == 1
        assert manager.prune(keep_daily=3) == 0
        assert [backup.id for backup in manager.list_backups()] == [newest]


class TestDatabaseBackup:
    def test_a_round_trip_by_name(self, app: Path, tmp_path: Path) -> None:
        backups = DatabaseBackup(tmp_path / "store")
        first = backups.backup_sqlite(app, "app")
        assert (first.name, first.engine) == ("app", "sqlite")
        make(app, "two")
        backups.backup_sqlite(str(app), "app")
        assert backups.restore_sqlite("app", tmp_path / "deep" / "copy.db") is True
        assert rows(tmp_path / "deep" / "copy.db") == ["one", "two"]
        assert len(backups.list_backups()) == 2
        assert backups.prune(max_backups=1) == 1
        assert backups.prune(max_age_days=30, max_backups=10) == 0

    def test_restore_takes_the_newest_good_one_and_refuses_a_file_with_data(self, app: Path, tmp_path: Path) -> None:
        backups = DatabaseBackup(tmp_path / "store")
        backups.backup_sqlite(app, "app")
        make(app, "two")
        newest = backups.backup_sqlite(app, "app")
        for blob in Path(newest.path).glob("database*"):
            blob.write_bytes(b"")
        backups.restore_sqlite("app", tmp_path / "copy.db")
        assert rows(tmp_path / "copy.db") == ["one"]
        with pytest.raises(UnsafeError):
            backups.restore_sqlite("app", tmp_path / "copy.db")
        assert backups.restore_sqlite("app", tmp_path / "copy.db", replace=True)
        with pytest.raises(NotFoundError, match="nothing"):
            backups.restore_sqlite("nothing", tmp_path / "copy2.db")
        with pytest.raises(UsageError, match="not a source name"):
            backups.restore_sqlite("", tmp_path / "copy2.db")

    def test_a_format_that_is_none_is_refused(self, tmp_path: Path) -> None:
        assert [str(form) for form in BackupFormat] == ["sql", "custom", "directory", "tar"]
        with pytest.raises(UsageError, match="no format zip"):
            DatabaseBackup(tmp_path).backup_postgres("postgresql://localhost/app", "app", "zip")


def test_backup_database_tells_success_and_error(app: Path, tmp_path: Path) -> None:
    result = backup_database(sqlite_url(app), tmp_path / "store")
    assert result.success
    assert result.backup
    metadata = BackupMetadata.of(result.backup)
    assert (metadata.backup_id, metadata.success, metadata.error) == (result.backup.id, True, None)
    failed = backup_database("nothing://at/all", tmp_path / "store")
    assert (failed.success, failed.backup) == (False, None)
    assert "nothing" in str(failed.error)
    assert backup_database("no url").success is False
    assert pickle.loads(pickle.dumps(failed)) == failed
    with pytest.raises(HoldfastError, match="why"):
        BackupResult(success=False, error="why").raise_for_error()


# --- import ---


class OldFolder:
    """A folder as the earlier BackupManager left it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[object] = []
        path.mkdir()

    def add(self, name: str, data: bytes, **fields: object) -> None:
        (self.path / name).write_bytes(data)
        stamp = 1_700_000_000 + len(self.entries) * 1000
        form = "compressed" if name.endswith(".gz") else "file_copy" if name.endswith(".db") else "sql_dump"
        self.entries.append({
            "backup_id": name.partition(".")[0], "source": "app.db", "destination": f"/srv/old/{name}", "format": form,
            "timestamp": stamp + 0.5, "size_bytes": len(data), "checksum": hashlib.sha256(data).hexdigest(),
            "success": True, "error": None, **fields,
        })  # fmt: skip
        self.write()

    def write(self) -> None:
        (self.path / "manifest.json").write_text(json.dumps(self.entries))


@pytest.fixture
def old(app: Path, tmp_path: Path) -> OldFolder:
    folder = OldFolder(tmp_path / "old")
    with closing(sqlite3.connect(app)) as db:
        text = "\n".join(db.iterdump()).encode()
    folder.add("app_20231114.sql.gz", gzip.compress(text))
    folder.add("app_20231115.sql", text)
    folder.add("customers.db", app.read_bytes(), source=str(app))
    return folder


def imported(old: OldFolder, store: Path) -> dict[str, tuple[str, str]]:
    return {
        result.file: (result.status, result.message)
        for result in import_backups(str(old.path), registry=Registry(), store=str(store))
    }


def test_every_file_of_the_earlier_manager_becomes_a_backup_with_its_old_time(old: OldFolder, tmp_path: Path) -> None:
    results = list(import_backups(str(old.path), registry=Registry(), store=str(tmp_path / "store")))
    assert [result.status for result in results] == ["imported"] * 3
    records = {record.id: record for record in holdfast.list_backups(str(tmp_path / "store"))}
    stamps = [records[result.id].timestamp.timestamp() for result in results]
    assert stamps == [1_700_000_000.5, 1_700_001_000.5, 1_700_002_000.5]
    assert results[0].id.startswith("20231114T221320Z-")
    assert [records[result.id].name for result in results] == ["app", "app", "customers"]
    catalog = Catalog(Registry().storage(str(tmp_path / "store")))
    for entry in catalog.listing().entries:
        assert verify(entry, storage=catalog.storage, registry=Registry(), read_data=True).passed
    hints = [entry.manifest.hints["format"] for entry in catalog.listing().entries if entry.manifest]
    assert hints == ["sql", "sql", "image"]
    assert sorted(path.name for path in old.path.iterdir()) == [
        "app_20231114.sql.gz", "app_20231115.sql", "customers.db", "manifest.json"
    ]  # fmt: skip


def test_an_imported_copy_is_restored_and_drilled(old: OldFolder, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    imported(old, tmp_path / "store")
    holdfast.restore("customers/latest", f"sqlite:///{tmp_path}/copy.db", store=store)
    assert rows(tmp_path / "copy.db") == ["one"]
    assert DatabaseBackup(store).restore_sqlite("customers", tmp_path / "copy2.db")
    result = holdfast.drill("customers/latest", store=store)
    assert (result.passed, result.state, result.compared) == (True, "verified", 0)


def test_importing_twice_imports_nothing_twice_also_into_the_old_folder_itself(old: OldFolder) -> None:
    assert {status for status, _ in imported(old, old.path).values()} == {"imported"}
    assert {status for status, _ in imported(old, old.path).values()} == {"present"}
    assert len(BackupManager(old.path).list_backups()) == 3
    old.add("app_20231116.sql", (old.path / "app_20231115.sql").read_bytes())  # the database had not changed
    assert imported(old, old.path)["app_20231116.sql"][0] == "imported"


def test_what_is_damaged_missing_or_failed_is_named_and_stops_nothing_else(old: OldFolder, tmp_path: Path) -> None:
    old.add("torn.sql.gz", gzip.compress(b"SELECT 1;" * 1000)[:-20])
    old.add("flipped.sql", b"SELECT 1;", checksum="0" * 64)
    old.add("gone.sql", b"x")
    (old.path / "gone.sql").unlink()
    old.add("failed.sql", b"", success=False, error="disk full")
    old.add("what.bin", b"x", format="sql_dump")
    old.add("strange.sql", b"y", source="oracle://db/app")
    old.add("linked.sql", b"z")
    (old.path / "linked.sql").unlink()
    (old.path / "linked.sql").symlink_to("/etc/passwd")
    old.entries += [7, {"backup_id": "no-time"}, {"backup_id": "../../up", "timestamp": 1, "destination": ".."}]
    old.add("short.sql", b"12345", size_bytes=6, checksum="")
    old.add("unchecked.sql", b"SELECT 2;", size_bytes=9, checksum="")
    old.add("empty.sql.gz", gzip.compress(b""))
    old.add("empty.db", b"", source="empty.db")
    old.add("letter.db", b"Dear Sir or Madam", source="letter.db")
    old.write()
    results = imported(old, tmp_path / "store")
    status = {name: state for name, (state, _) in results.items()}
    assert [name for name, state in status.items() if state == "imported"] == [
        "app_20231114.sql.gz", "app_20231115.sql", "customers.db", "unchecked.sql", "empty.db"
    ]  # fmt: skip
    assert status["failed.sql"] == "skipped"
    for name, word in {
        "torn.sql.gz": "cut off", "flipped.sql": "sha256", "gone.sql": "not in", "what.bin": "neither",
        "strange.sql": "oracle", "linked.sql": "regular", "short.sql": "6 are recorded", "no-time": "timestamp",
        "empty.sql.gz": "empty", "letter.db": "not an SQLite database",
    }.items():  # fmt: skip
        assert results[name][0] == "failed"
        assert word in results[name][1]
    assert len(holdfast.list_backups(str(tmp_path / "store"))) == 5
    assert not Catalog(Registry().storage(str(tmp_path / "store"))).listing().leftovers


@pytest.mark.parametrize(
    ("text", "error"),
    [(None, NotFoundError), ("{", IntegrityError), ('{"a": 1}', IntegrityError), ("[" * 5000, IntegrityError)],
)  # fmt: skip
def test_a_folder_without_a_usable_list_is_refused(text: str | None, error: type[Exception], tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(error):
        list(import_backups(str(tmp_path), registry=Registry(), store=str(tmp_path / "store")))
    assert not (tmp_path / "store").exists()


def test_the_command_imports_and_exits_3_when_some_could_not_be(old: OldFolder, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "import", str(old.path), "--store", str(tmp_path / "store"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["imported"] * 3
    old.add("gone.sql", b"x", checksum="f" * 64)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "gone.sql" in done.stderr
