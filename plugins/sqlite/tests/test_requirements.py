"""What a check says of a file is what a backup by the same user finds; and it leaves no trace."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.disks import small_disk
from support.sqlite_files import crash, listing, make

import holdfast

# As one who may read nothing that is closed to him, root or not: each file is checked, and then backed up.
_SCRIPT = """
import json, os, sys, holdfast
folder, store = sys.argv[1:]
result = {}
for name in sorted(os.listdir(folder)):
    url = f"sqlite:///{folder}/{name}/app.db"
    checked = holdfast.check_source(url)
    try:
        holdfast.backup(url, store=f"{store}/{name}")
        code = 0
    except holdfast.HoldfastError as error:
        code = error.exit_code
    result[name] = [checked.as_data(), checked.failure.exit_code if checked.failure else 0, code]
print(json.dumps(result))
"""


def content(folder: Path) -> dict[str, bytes]:
    """All files but the index of the log, which every reader may write to."""
    return {name: held for name, held in listing(folder).items() if not name.endswith("-shm")}


def make_log(path: Path, rows: str = "INSERT INTO t VALUES ('new')") -> None:
    make(path, "old", mode="wal")
    crash(path, rows)
    assert Path(f"{path}-wal").stat().st_size


def closed(suffix: str) -> Callable[[Path], None]:
    def arrange(path: Path) -> None:
        make_log(path)
        Path(f"{path}{suffix}").chmod(0)

    return arrange


def closed_journal(path: Path) -> None:
    make(path, "old")
    crash(path, "BEGIN; UPDATE t SET x = 'new' || x; INSERT INTO t SELECT a.x FROM t a, t b")
    Path(f"{path}-journal").chmod(0)


def closed_folder(path: Path) -> None:
    make(path, "old")
    path.parent.chmod(0)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"nothing of the kind" * 100)


def empty_closed(suffix: str, mode: str) -> Callable[[Path], None]:
    def arrange(path: Path) -> None:
        make(path, "old", mode=mode)
        Path(f"{path}{suffix}").touch(0)

    return arrange


def read_only_folder(path: Path) -> None:
    make_log(path)
    path.parent.chmod(0o555)


CASES: dict[str, tuple[Callable[[Path], None], int]] = {
    "plain": (lambda path: make(path, "old"), 0),
    "wal": (lambda path: make(path, "old", mode="wal"), 0),
    "log": (make_log, 0),
    "empty": (Path.touch, 0),
    "read-only": (read_only_folder, 0),
    "closed-file": (closed(""), 12),
    "closed-log": (closed("-wal"), 12),
    "closed-index": (closed("-shm"), 0),
    "closed-empty-log": (empty_closed("-wal", "wal"), 12),
    "closed-empty-journal": (empty_closed("-journal", "delete"), 0),
    "closed-journal": (closed_journal, 12),
    "closed-folder": (closed_folder, 12),
    "missing": (lambda _path: None, 15),
    "no-database": (not_a_database, 13),
    "folder": (Path.mkdir, 2),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By case what a check says, with the exit codes of both."""
    folder, store = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("stores")
    before = {}
    for name, (arrange, _) in CASES.items():
        (folder / name).mkdir()
        arrange(folder / name / "app.db")
        before[name] = content(folder / name)
    powers = "-dac_override,-dac_read_search,-fowner,-chown"
    prefix = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    command = [*prefix, sys.executable, "-c", _SCRIPT, str(folder), str(store)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    for name in CASES:
        (folder / name).chmod(0o755)
    assert ran.returncode == 0, ran.stderr
    assert {name: content(folder / name) for name in CASES} == before
    return dict(json.loads(ran.stdout))


@pytest.mark.parametrize("name", CASES)
def test_a_check_says_what_a_backup_finds(name: str, seen: dict[str, Any]) -> None:
    data, checked, backed_up = seen[name]
    assert (checked, backed_up) == (CASES[name][1], CASES[name][1]), data


def test_a_check_alone_leaves_nothing(tmp_path: Path) -> None:
    make(tmp_path / "app.db", "old", mode="wal")
    before = listing(tmp_path)
    assert holdfast.check_source(f"sqlite:///{tmp_path}/app.db").failure is None
    assert listing(tmp_path) == before


def test_too_little_space_is_said_where_a_backup_would_find_it(tmp_path: Path) -> None:
    make(tmp_path / "app.db", "old", rows=100_000)
    (tmp_path / "disk").mkdir()
    code = (
        "import holdfast, sys; checked = holdfast.check_source(sys.argv[1]);"
        "print([(r.name, r.state) for r in checked.requirements])\n"
        "try: holdfast.backup(sys.argv[1], store=sys.argv[2])\n"
        "except holdfast.HoldfastError as error: print(error.message)"
    )
    with small_disk(tmp_path / "disk", "1M") as enter:
        url, store = f"sqlite:///{tmp_path}/app.db", f"{tmp_path}/store"
        command = [*enter, sys.executable, "-c", code, url, store]
        environment = {**os.environ, "TMPDIR": str(tmp_path / "disk")}
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    checked, failed = ran.stdout.splitlines()
    assert checked == "[('plugins', 'ok'), ('file', 'ok'), ('space', 'failed')]"
    assert "not enough space" in failed


def test_a_drill_needs_no_server(tmp_path: Path) -> None:
    from holdfast.operations.source_check import check_drill

    url = f"sqlite:///{tmp_path}/app.db"
    assert check_drill(url, None, registry=holdfast.Registry()).failure is None
    assert check_drill(url, url, registry=holdfast.Registry()).failure is not None
