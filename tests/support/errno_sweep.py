"""One command, each of its calls to the file system failing with each errno: message, code and state must agree."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import holdfast
from holdfast import Backup
from support.forks import import_commands
from support.refusing_calls import Outcome, points, run

COMMANDS: dict[str, tuple[str, ...]] = {
    "backup": ("backup", "sqlite:///app.db"),
    "restore": ("restore", "latest", "sqlite:///target.db", "--replace"),
    "verify": ("verify", "--read-data"),
    "drill": ("drill", "latest"),
    "prune": ("prune", "--keep-last", "1"),
    "delete": ("delete", "FIRST"),
    "import": ("import", "old"),
    "rename": ("rename", "app", "shop"),
    "pin": ("pin", "FIRST"),
    "list": ("list",),
    "cat": ("cat", "latest"),
    "copy": ("copy", "backups", "other"),
    "check": ("check",),
    "metrics": ("metrics", "--output", "told"),
    "report": ("report", "told"),
    "run": ("run", "--all", "--config", "holdfast.toml"),
    "config": ("config", "show", "--config", "holdfast.toml"),
    "schedule": ("schedule", "systemd", "--config", "holdfast.toml"),
}
_ID = r"\d{8}T\d{6}Z-[0-9a-z]+"


def rows(path: Path) -> int | None:
    """How many rows a database has, None where it is none."""
    try:
        with closing(sqlite3.connect(path)) as db:
            return int(db.execute("SELECT count(*) FROM t").fetchone()[0])
    except sqlite3.Error:
        return None


def make_template(folder: Path) -> Path:
    """A folder with a database, a store of two backups of it, a target that holds another, and an old folder."""
    with closing(sqlite3.connect(folder / "app.db")) as db:
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
        db.commit()
        dump = "\n".join(db.iterdump()).encode()
    for _ in range(2):
        with closing(sqlite3.connect(folder / "app.db")) as db:
            db.execute("INSERT INTO t(x) VALUES ('row')")
            db.commit()
        holdfast.backup(f"sqlite:///{folder}/app.db", store=str(folder / "backups"))
    shutil.copy(folder / "app.db", folder / "live.db")
    with closing(sqlite3.connect(folder / "live.db")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.executemany("INSERT INTO t(x) VALUES (?)", [("x",)] * 7)
        db.commit()
        for suffix in ("", "-wal"):  # as a killed program leaves it, with all of this in the log
            shutil.copy(folder / f"live.db{suffix}", folder / f"target.db{suffix}")
    (folder / "live.db").unlink()
    (folder / "old").mkdir()
    (folder / "old" / "app_1.sql").write_bytes(dump)
    about: dict[str, object] = {
        "backup_id": "app_1",
        "source": "app.db",
        "destination": "/srv/old/app_1.sql",
        "format": "sql_dump",
    }
    about |= {"timestamp": 1_700_000_000.5, "size_bytes": len(dump), "checksum": hashlib.sha256(dump).hexdigest()}
    (folder / "old" / "manifest.json").write_text(json.dumps([{**about, "success": True, "error": None}]))
    (folder / "tmp").mkdir()
    (folder / "told").write_text("of yesterday\n")
    (folder / "holdfast.toml").write_text('[job.app]\nsource = "sqlite:///app.db"\nstore = "./backups"\n')
    return folder


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A command that is tried in copies of a template."""

    template: Path
    work: Path
    command: str

    def points(self) -> list[tuple[int, str, int]]:
        """Each call of the command, by its place in the order, with each errno."""
        import_commands()  # else every fork would, which is most of what a point takes
        done, folder = self._try(None, 0)
        assert done.code == 0, done.stderr
        assert self._lie(done, folder) == ""
        return list(points(done.calls))

    def lies(self, chosen: list[tuple[int, str, int]]) -> Iterator[str]:
        """What does not agree, a line each."""
        for at, name, number in chosen:
            done, folder = self._try(at, number)
            if lie := self._lie(done, folder):
                said = (done.stdout + done.stderr)[-400:] + f" ({done.code})"
                yield f"{self.command}: call {at} ({name}) fails with {errno.errorcode[number]}: {lie}: {said}"

    def interrupted(self, chosen: list[int], fault: signal.Signals) -> Iterator[str]:
        """The same for a signal at each of these calls of a restore: the target is the old or the new one."""
        for at in chosen:
            done, folder = self._try(at, 0, fault)
            old_or_new = {2: True, 9: False}.get(rows(folder / "target.db") or 0)
            said = "is restored" in done.stderr or done.code == 0
            expected = (-fault,) if fault is signal.SIGKILL else (128 + fault, 0)
            if done.code not in expected or old_or_new is None:
                yield f"{fault.name} at call {at}: rows {old_or_new}: {done.code} {done.stderr[-300:]}"
            elif fault is not signal.SIGKILL and said != old_or_new:
                yield f"{fault.name} at call {at}: said restored={said}, and is {old_or_new}: {done.stderr[-300:]}"
            again = run(COMMANDS["restore"], folder, environment=_environment(folder))
            if again.code or rows(folder / "target.db") != 2:
                yield f"{fault.name} at call {at}: the next restore fails: {again.stderr[-300:]}"

    @cached_property
    def _before(self) -> list[str]:
        """The backups of the template, oldest first."""
        return [record.id for record in holdfast.list_backups(str(self.template / "backups"))]

    def _is_whole(self, folder: Path, record: Backup) -> bool:
        """Whether a backup is good: every byte as in the template, or else as its manifest says."""
        theirs = self.template / "backups" / "app" / record.id
        if theirs.exists() and _content(Path(record.path)) == _content(theirs):
            return True
        results = holdfast.verify(record.id, store=str(folder / "backups"), read_data=True)
        return all(result.passed for result in results)

    def _try(self, at: int | None, number: int, fault: signal.Signals | None = None) -> tuple[Outcome, Path]:
        folder = self.work / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.template, folder)
        arguments = [self._before[0] if word == "FIRST" else word for word in COMMANDS[self.command]]
        return run(arguments, folder, at=at, number=number, fault=fault, environment=_environment(folder)), folder

    def _lie(self, done: Outcome, folder: Path) -> str:
        records = holdfast.list_backups(str(folder / "backups"))
        there = [record.id for record in records]
        said = done.stdout + done.stderr
        if "internal error" in said or "Traceback" in said or done.code not in (0, 1, 3, 10, 11, 12, 15, 16):
            return f"exit {done.code}"
        if (done.code == 0) == ("error: " in done.stderr):
            return "exit code and message do not agree"
        if damaged := [record.id for record in records if record.state == "damaged"]:
            return f"{damaged} is damaged"
        if os.listdir(folder / "tmp") and done.code == 0 and "could not remove" not in done.stderr:
            return f"left {os.listdir(folder / 'tmp')} in the temporary folder"
        if broken := [record.id for record in records if not self._is_whole(folder, record)]:
            return f"{broken} is not whole"
        return _CHECKS[self.command](done, folder, self._before, there)


def _content(folder: Path) -> dict[str, bytes]:
    """All that is in the folder of a backup but what may come to it."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".partial-"))
    names = {str(path.relative_to(folder)): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(("findings/", "labels/"))}


def _environment(folder: Path) -> dict[str, str]:
    """The cache of each try is its own, so that all of them make the same calls."""
    folders = {"TMPDIR": "tmp", "HOLDFAST_STORE": "backups", "HOLDFAST_CACHE": "cache", "HOLDFAST_STATE": "state"}
    return {variable: str(folder / name) for variable, name in folders.items()}


def _backup(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del folder
    new = sorted(set(there) - set(before))
    printed = re.findall(f"^{_ID}$", done.stdout, re.MULTILINE)
    if set(before) - set(there):
        return "an older backup is gone"
    return "" if printed == new and len(new) == (done.code == 0) else f"said {printed}, made {new}"


def _restore(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    restored = {2: True, 9: False}.get(rows(folder / "target.db") or 0)
    if restored is None or before != there:
        return "the target is neither the old nor the new one, or the store has changed"
    said = done.code == 0 or "restored all the same" in done.stderr
    if said != restored:
        return f"said restored={said}, and is {restored}"
    ours = ("target.db", "target.db-wal", "target.db-shm")
    left = {name for name in os.listdir(folder) if "target" in name and name not in ours}
    return f"left {left}" if left and not any(name in done.stderr for name in left) else ""


def _unchanged(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del done, folder
    return "" if before == there else "the store has changed"


def _deletions(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    gone = set(before) - set(there)
    said = {name for name in re.findall(_ID, done.stdout + done.stderr) if name in gone}
    if before[-1] not in there:
        return "the newest backup is gone"
    if not gone <= said:
        return f"{gone - said} is gone, and nothing says so"
    if done.code == 0 and not gone and not re.search("warning: (kept|the folder app cannot be read)", done.stderr):
        return "nothing was deleted"
    kept = set(re.findall(f"deleted \\S*?({_ID})", done.stdout + done.stderr)) & set(there)
    left = (path for path in (folder / "backups" / "app").iterdir() if path.is_dir() and path.name not in there)
    half = [path.name for path in left if any(path.iterdir())]
    if done.code == 0 and half and "warning" not in done.stderr:
        return f"{half} is half deleted"
    return f"{kept} is there, and called deleted" if kept else ""


def _import(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del folder
    new = set(there) - set(before)
    if set(before) - set(there):
        return "an older backup is gone"
    said = set(re.findall(f"imported .*?({_ID})", done.stdout))
    return "" if said == new and (done.code != 0 or new) else f"said {said}, made {new}"


def _rename(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    if before != there:
        return "the store has changed"
    names = {record.name for record in holdfast.list_backups(str(folder / "backups"))}
    said = done.code == 0 or "'app' is called 'shop' all the same" in done.stderr
    if names not in ({"app"}, {"shop"}) or said != (names == {"shop"}):
        return f"said renamed={said}, and is called {names}"
    if not said and run(COMMANDS["rename"], folder, environment=_environment(folder)).code:
        return "the next rename fails"
    return ""


def _pin(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    if before != there:
        return "the store has changed"
    pinned = [record.id for record in holdfast.list_backups(str(folder / "backups")) if record.pinned]
    return "" if pinned == before[:1] * (done.code == 0) else f"pinned is {pinned}"


def _list(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del folder
    if before != there:
        return "the store has changed"
    listed = [backup_id for backup_id in before if backup_id in done.stdout]
    return "" if listed == before or done.code else f"shows {listed}"


def _cat(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    if before != there:
        return "the store has changed"
    with open(folder / "app.db", errors="replace") as file:  # with its line ends, as those of the output
        whole = file.read() == done.stdout
    return "" if whole or done.code else "what was written is not all of it"


def _copy(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    if before != there:
        return "the store has changed"
    other = folder / "other"
    records = holdfast.list_backups(str(other)) if (other / "holdfast.json").exists() else []
    copied = {record.id for record in records}
    if wrong := [
        record.id
        for record in records
        if _content(Path(record.path)) != _content(folder / "backups" / "app" / record.id)
    ]:
        return f"the copies of {wrong} are others"
    said = set(re.findall(f"^app/({_ID})  (?:copied|there already)", done.stdout, re.MULTILINE))
    if not said <= copied or (done.code == 0 and copied != set(before)):
        return f"said {said}, copied {copied}"
    if unsaid := [each for each in copied - said if each not in done.stdout + done.stderr]:
        return f"{unsaid} is copied, and nothing says so"
    again = run(COMMANDS["copy"], folder, environment=_environment(folder))
    return f"the next copy fails: {again.stderr[-300:]}" if again.code else ""


def _check(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del folder
    if before != there:
        return "the store has changed"
    refused = re.findall("^(read|list|write|create only) +no ", done.stdout, re.MULTILINE)
    return f"{refused} is refused, with exit 0" if refused and not done.code else ""


def _told(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    if before != there:
        return "the store has changed"
    told = (folder / "told").read_text()
    is_new = told != "of yesterday\n"
    if is_new and not told.endswith(("\n", "</html>")):
        return f"half a file: {told[-80:]!r}"
    if done.code == 0 and not is_new:
        return "it is the file of yesterday"
    if left := [name for name in os.listdir(folder) if name.startswith(".") and name not in done.stderr]:
        return f"left {left}"
    return "the file is written, and called unwritten" if is_new and "cannot write told" in done.stderr else ""


def _run(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del folder
    new = sorted(set(there) - set(before))
    said = sorted(set(re.findall(rf"^app  sqlite:///\S+  ({_ID})  backup ok", done.stdout, re.MULTILINE)))
    return "" if said == new and (done.code or new) else f"said {said}, made {new}"


def _printed(done: Outcome, folder: Path, before: list[str], there: list[str]) -> str:
    del folder
    whole = "sqlite:///app.db" in done.stdout or "[Timer]" in done.stdout
    return "" if before == there and (whole or done.code) else "not all of it is printed"


_CHECKS: dict[str, Callable[[Outcome, Path, list[str], list[str]], str]] = {
    "backup": _backup,
    "restore": _restore,
    "verify": _unchanged,
    "drill": _unchanged,
    "prune": _deletions,
    "delete": _deletions,
    "import": _import,
    "rename": _rename,
    "pin": _pin,
    "list": _list,
    "cat": _cat,
    "copy": _copy,
    "check": _check,
    "metrics": _told,
    "report": _told,
    "run": _run,
    "config": _printed,
    "schedule": _printed,
}
