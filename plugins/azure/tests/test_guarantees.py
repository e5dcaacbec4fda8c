"""What a check tells of a container, and how a backup is fetched from it by programs that are not ours."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.databases import make_database
from support.servers.azurite import KEY, AzuriteServer

import holdfast
from holdfast_obstore import guarantees


def test_a_check_tells_what_a_lease_has_shown(
    server: AzuriteServer, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = server.url(prefix)
    holdfast.backup(f"sqlite:///{make_database(tmp_path / 'app.db')}", store=store)
    told = {each.name: each for each in holdfast.check_store(store).guarantees}
    assert (told["clock"].holds, told["clock"].detail) == (True, "that of the service is as ours")
    assert {name: told[name].holds for name in ("versioning", "soft delete")} == {
        "versioning": False,
        "soft delete": None,
    }
    ours = guarantees.Put

    def late(**values: object) -> guarantees.Put:
        hour = timedelta(hours=1)
        return ours(**{**values, "began": datetime.now(UTC) + hour, "ended": datetime.now(UTC) + hour})  # type: ignore[arg-type]

    monkeypatch.setattr("holdfast_obstore.storage.Put", late)
    told = {each.name: each for each in holdfast.check_store(store).guarantees}
    assert told["clock"].holds is False
    assert "behind ours" in told["clock"].detail


def test_the_way_that_restore_md_says_brings_a_backup_home(server: AzuriteServer, prefix: str, tmp_path: Path) -> None:
    store = server.url(prefix)
    made = holdfast.backup(f"sqlite:///{make_database(tmp_path / 'app.db')}", store=store)
    folder = tmp_path / "fetched"
    folder.mkdir()
    from holdfast.defaults import installed

    storage = installed().storage(store)
    text = storage.read(f"{made.name}/{made.id}/RESTORE.md").decode()
    steps = [line.strip() for line in text.splitlines() if "RCLONE_" in line or "rclone copy" in line]
    assert len(steps) == 3
    assert KEY not in text
    subprocess.run(["sh", "-ec", "\n".join([*steps, "sha256sum --quiet -c SHA256SUMS"])], cwd=folder, check=True)
    assert (folder / "backup_manifest.json").is_file()
