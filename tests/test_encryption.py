"""Encrypted backups: the host that makes them cannot read them, the store tells nothing, no change goes unnoticed."""

import base64
import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell
from support.encrypting import (
    HOST,
    PLANTED,
    Keys,
    _no_identity,
    folders,
    made,
    me,
    restored,
    rows,
    source,
    store,
    stranger,
)

import holdfast
from holdfast.errors import CredentialsError, HoldfastError, IntegrityError, UsageError

__all__ = ["_no_identity", "folders", "made", "me", "source", "store", "stranger"]


def test_who_has_the_identity_restores_drills_and_reads(store: Path, source: str, me: Keys, tmp_path: Path) -> None:
    original = rows(Path(source.removeprefix("sqlite:///")))
    assert restored(store, tmp_path / "copy.db", identity=me.identity) == original
    result = holdfast.drill("latest", store=str(store), identity=me.identity)
    assert (result.passed, result.state, result.compared > 0) == (True, "proven", True)
    assert all(result.passed for result in holdfast.verify(store=str(store), read_data=True, identity=me.identity))


def test_an_identity_is_taken_from_a_command_too(store: Path, me: Keys, tmp_path: Path) -> None:
    holdfast.restore("latest", f"sqlite:///{tmp_path}/a.db", store=str(store), identity_command=("cat", me.identity))
    with pytest.raises(CredentialsError, match="failed with exit code 1"):
        holdfast.restore("latest", f"sqlite:///{tmp_path}/b.db", store=str(store), identity_command=("false",))


def test_the_environment_names_recipients_and_identity(
    source: str, me: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipients").write_text(f"# me\n\n{me.recipient}\n")
    monkeypatch.setenv("HOLDFAST_RECIPIENTS_FILE", str(tmp_path / "recipients"))
    holdfast.backup(source, store=str(tmp_path / "store"), name="app")
    assert list((tmp_path / "store").glob("app/*/manifest.age"))
    monkeypatch.setenv("HOLDFAST_IDENTITY", me.identity)
    assert restored(tmp_path / "store", tmp_path / "copy.db")


def test_whoever_asks_for_encryption_gets_it_or_an_error(
    source: str, me: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.write_text("# nobody\n")
    wrong: list[Any] = [
        {"recipients_file": str(empty)},
        {"recipients_file": str(tmp_path / "missing")},
        {"recipients": ("age1nonsense",)},
        {"cipher": "age"},
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            holdfast.backup(source, store=str(tmp_path / "store"), **options)
    monkeypatch.setenv("HOLDFAST_RECIPIENTS_FILE", str(empty))
    with pytest.raises(UsageError, match="no recipient"):
        holdfast.backup(source, store=str(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


OPERATIONS: dict[str, Callable[[Path, Path, str | None], object]] = {
    "restore": lambda store, target, identity: holdfast.restore(
        "latest", f"sqlite:///{target}", store=str(store), identity=identity
    ),
    "drill": lambda store, target, identity: holdfast.drill("latest", store=str(store), identity=identity),
    "verify": lambda store, target, identity: holdfast.verify(
        "latest", store=str(store), read_data=True, identity=identity
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_an_identity_or_with_a_wrong_one_nothing_is_touched(
    store: Path, stranger: Keys, tmp_path: Path, operation: str
) -> None:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    open_to_all = tmp_path / "open"
    shutil.copy(stranger.identity, open_to_all)
    open_to_all.chmod(0o644)
    for identity, text in (
        (None, "no identity was given"),
        (stranger.identity, "sealed to none of the identities"),
        (str(open_to_all), "can be read by others"),
        (str(tmp_path / "missing"), "cannot read the identity"),
    ):
        with pytest.raises(CredentialsError, match=text) as caught:
            OPERATIONS[operation](store, tmp_path / "target.db", identity)
        assert caught.value.hint or "missing" in str(identity)
    assert not (tmp_path / "target.db").exists()
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_nothing_but_backups_needs_no_key_at_all(store: Path, source: str, me: Keys, tmp_path: Path) -> None:
    """The host that backs up has no identity: it lists, checks, copies, prunes and makes the next one."""
    third = holdfast.backup(source, store=str(store), name="nightly", host=HOST, recipients=(me.recipient,))
    listed = holdfast.list_backups(str(store))
    assert [record.state for record in listed] == ["complete"] * 3
    assert all(record.stored_bytes and not (record.source_url or record.engine) for record in listed)
    assert all(result.passed for result in holdfast.verify(store=str(store)))
    copied = holdfast.copy(store=str(store), to=str(tmp_path / "other"))
    assert not copied.failed
    prune = [sys.executable, "-m", "holdfast", "prune", "--keep-last", "1", "--store", str(store)]
    subprocess.run(prune, check=True, capture_output=True)
    assert [record.id for record in holdfast.list_backups(str(store))] == [third.id]
    assert len(restored(tmp_path / "other", tmp_path / "copy.db", identity=me.identity)) == 3000


def _forms(text: str) -> Iterator[bytes]:
    data = text.encode()
    yield from (
        data,
        data.hex().encode(),
        data.hex().upper().encode(),
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
    )
    for start in range(3):  # whatever stands before it
        whole = base64.b64encode(bytes(start) + data)
        yield whole[4 if start else 0 : len(whole) // 4 * 4 - 4]


def test_the_store_tells_nothing_of_what_is_in_it(store: Path, source: str, me: Keys) -> None:
    holdfast.drill("latest", store=str(store), identity=me.identity)
    holdfast.verify(store=str(store))
    path = Path(source.removeprefix("sqlite:///"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    words = [*PLANTED, str(path.parent), digest, HOST, hashlib.sha256(f"sqlite\0{path}".encode()).hexdigest()]
    for file in store.rglob("*"):
        data = file.read_bytes().lower() if file.is_file() else b""
        name = str(file.relative_to(store)).lower().encode()
        for word in words:
            for form in _forms(word):
                assert form.lower() not in data, f"{word} stands in {file}"
                assert form.lower() not in name


# --- what somebody does who can write into the store ---


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def seal_sums(folder: Path) -> None:
    """Make SHA256SUMS agree with the files, as whoever changes them can."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    names = [line.split("  ", 1)[1] for line in lines]
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "SHA256SUMS").write_text("".join(f"{digests[name]}  {name}\n" for name in names))


def claim_digests(folder: Path) -> None:
    """Make the clear manifest agree with the files."""

    def change(document: dict[str, Any]) -> None:
        for record in (*document["blobs"], document["manifest"]):
            data = (folder / record["path"]).read_bytes()
            record.update(size=len(data), digests={"sha256": hashlib.sha256(data).hexdigest()})

    edit(folder / "backup_manifest.json", change)
    seal_sums(folder)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def body(change: Callable[[bytes], bytes]) -> Callable[[list[Path]], None]:
    """A change of the chunks of the newest backup's blob, of which nothing in clear tells."""

    def apply(folders: list[Path]) -> None:
        path = folders[1] / "b0001.zst.age"
        data = path.read_bytes()
        path.write_bytes(data[:184] + change(data[184:]))
        claim_digests(folders[1])

    return apply


STEP = 65536 + 16


def _swap_between_backups(folders: list[Path]) -> None:
    shutil.copy(folders[0] / "b0001.zst.age", folders[1] / "b0001.zst.age")
    claim_digests(folders[1])


def _swap_manifest(folders: list[Path]) -> None:
    shutil.copy(folders[0] / "manifest.age", folders[1] / "manifest.age")
    claim_digests(folders[1])


def _other_key(folders: list[Path]) -> None:
    shutil.rmtree(folders[1] / "keys")
    shutil.copytree(folders[0] / "keys", folders[1] / "keys")


def _lie(**fields: object) -> Callable[[list[Path]], None]:
    def apply(folders: list[Path]) -> None:
        edit(folders[1] / "backup_manifest.json", lambda document: document.update(fields))
        seal_sums(folders[1])

    return apply


def _flip_key(folders: list[Path]) -> None:
    flip(next((folders[1] / "keys").iterdir()), -1)


CHANGES: dict[str, Callable[[list[Path]], None]] = {
    "a flipped bit": body(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a chunk dropped": body(lambda data: data[STEP:]),
    "a chunk doubled": body(lambda data: data[:STEP] + data),
    "chunks swapped": body(lambda data: data[STEP : 2 * STEP] + data[:STEP] + data[2 * STEP :]),
    "cut at a border": body(lambda data: data[: len(data) // STEP * STEP]),
    "cut to nothing": body(lambda data: b""),
    "bytes appended": body(lambda data: data + bytes(20)),
    "the blob of another backup": _swap_between_backups,
    "the sealed manifest of another backup": _swap_manifest,
    "the key file of another backup": _other_key,
    "a damaged key file": _flip_key,
    "a lie about damage": _lie(damaged=True),
    "a lie about the time": _lie(created_at="2026-01-01T00:00:00Z"),
    "a lie about the tags": _lie(tags=["keep"]),
    "a lie about the source": _lie(origin="0" * 64 + ":sealed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_has_changed_is_not_restored(
    store: Path, folders: list[Path], me: Keys, tmp_path: Path, change: str
) -> None:
    CHANGES[change](folders)
    identity: Any = {"identity": me.identity}
    name = f"nightly/{folders[1].name}"
    with pytest.raises(IntegrityError):
        holdfast.restore(name, f"sqlite:///{tmp_path}/target.db", store=str(store), **identity)
    assert not list(tmp_path.glob("target.db*"))
    with contextlib.suppress(HoldfastError):
        (result,) = holdfast.verify(name, store=str(store), read_data=True, **identity)
        assert not result.passed
    assert restored(store, tmp_path / "other.db", f"nightly/{folders[0].name}", **identity)


def test_a_backup_without_any_key_file_is_damaged(store: Path, folders: list[Path], me: Keys, tmp_path: Path) -> None:
    shutil.rmtree(folders[1] / "keys")
    assert [record.state for record in holdfast.list_backups(str(store))] == ["complete", "damaged"]


def test_blobs_swapped_between_streams_are_not_taken(tmp_path: Path, me: Keys) -> None:
    """Two blobs of one backup are sealed to one key, and both open: what they are is in the sealed manifest."""
    from holdfast.api import IntegrityError as Refused
    from holdfast_age.cipher import AgeCipher

    cipher = AgeCipher()
    key = cipher.new_key()
    first, second = cipher.sealer(key), cipher.sealer(key)
    with pytest.raises(Refused):
        cipher.opener(key, first.head).open(second.seal(b"text", 0, True), 0, True)


# --- formats ---


def test_a_backup_that_is_not_encrypted_stays_what_it_was(source: str, store: Path, me: Keys, tmp_path: Path) -> None:
    """A store may hold both, under one name."""
    record = holdfast.backup(source, store=str(store), name="nightly", host=HOST)
    document = json.loads((store / "nightly" / record.id / "backup_manifest.json").read_text())
    assert (document["format_version"], document["cipher"]) == (1, None)
    assert not (store / "nightly" / record.id / "keys").exists()
    holdfast.backup(source, store=str(store), name="nightly", host=HOST, recipients=(me.recipient,))
    assert [bool(record.engine) for record in holdfast.list_backups(str(store))] == [False, False, True, False]


def test_the_commands_take_recipients_and_identities(shell: Shell, me: Keys, stranger: Keys) -> None:
    shell.run("backup", "sqlite:///app.db", "--recipient", me.recipient, "--recipient", stranger.recipient)
    for keys in (me, stranger):
        target = f"sqlite:///{Path(keys.identity).name}.db"
        shell.run("restore", "latest", target, "--identity", keys.identity)
    refused = shell.run("cat", "latest", code=12)
    assert "no identity was given" in refused.error
    assert "--identity FILE" in refused.hint
    cat = [*shell.holdfast, "cat", "latest", "--identity", me.identity]
    read = subprocess.run(cat, cwd=shell.folder, check=True, capture_output=True).stdout
    assert read.startswith(b"SQLite format 3")
    text = shell.run("show", "latest").stdout
    assert "sealed (age)" in text


def test_age_and_zstd_restore_it_by_hand(
    store: Path, folders: list[Path], source: str, me: Keys, stranger: Keys, tmp_path: Path
) -> None:
    """By the commands of RESTORE.md, then of what is decrypted with the rest; nothing of Holdfast is on the path."""
    folder = folders[1]

    def run(page: str, **names: str) -> None:
        blocks = re.findall(r"^```sh\n(.*?)^```$", (folder / page).read_text(), re.DOTALL | re.MULTILINE)
        script = "".join(blocks)
        for name, value in names.items():
            script = script.replace(name, value)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        subprocess.run(["sh", "-eu", "-c", script], cwd=folder, env=environment, check=True, capture_output=True)

    run("RESTORE.md", IDENTITY=me.identity)
    assert not (folder / "backup.key").exists()
    run("INSTRUCTIONS.md", TARGET_DB=str(tmp_path / "hand.db"))
    assert rows(tmp_path / "hand.db") == rows(Path(source.removeprefix("sqlite:///")))
