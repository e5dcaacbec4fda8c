"""A backup is restored by hand: with the commands that lie in it, and with the standard tools alone."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell
from support.databases import dump, make_database

CODECS = ["zstd", "gzip", "none"]
DECODERS = {"zstd": ["zstd", "-dc"], "gzip": ["gunzip", "-c"], "none": ["cat"]}
TOOLS = "/usr/bin:/bin"  # no Python environment, no Holdfast


@pytest.fixture(params=CODECS)
def backup(request: pytest.FixtureRequest, shell: Shell) -> Path:
    """The folder of a backup of several frames, copied away from its store as a person in need would have it."""
    make_database(shell.folder / "big.db", noise=3 << 20)
    record = shell.backup("sqlite:///big.db", "--codec", request.param)
    return Path(record["path"]).rename(shell.folder / "rescued")


def sh(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in a folder, with nothing but the system's own tools."""
    return subprocess.run(
        ["sh", "-eu", "-c", command],
        cwd=folder,
        env={"PATH": TOOLS, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def commands(instructions: str) -> list[str]:
    """The lines of shell that RESTORE.md names, block by block."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", instructions, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_commands_of_restore_md_restore_the_database(backup: Path, shell: Shell) -> None:
    lines = commands((backup / "RESTORE.md").read_text())
    assert len(lines) >= 2
    for line in lines:
        done = sh(line.replace("TARGET_DB", "../by-hand.db"), backup)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert dump(shell.folder / "by-hand.db") == dump(shell.folder / "big.db")


def test_sha256sum_covers_every_file_and_finds_a_change(backup: Path) -> None:
    done = sh("sha256sum -c SHA256SUMS", backup)
    assert done.returncode == 0, done.stderr
    covered = {line.split("  ", 1)[1] for line in (backup / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(backup)) for path in backup.rglob("*") if path.is_file()}
    assert covered == there - {"SHA256SUMS"}
    for name in covered:
        content = (backup / name).read_bytes()
        (backup / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert sh("sha256sum -c SHA256SUMS", backup).returncode != 0
        (backup / name).write_bytes(content)


def test_the_manifest_says_what_the_standard_tools_say(backup: Path, shell: Shell) -> None:
    manifest = json.loads((backup / "backup_manifest.json").read_text())
    assert manifest["format_version"] == 1
    assert manifest["codec"]["name"] in CODECS
    assert not manifest["cipher"]
    (stream,) = manifest["streams"]
    blob = backup / stream["blob"]["path"]
    assert blob.stat().st_size == stream["blob"]["size"]
    assert sh(f"sha256sum < {blob}", backup).stdout.split()[0] == stream["blob"]["digests"]["sha256"]
    decoder = " ".join(DECODERS[manifest["codec"]["name"]])
    done = sh(f"{decoder} {blob} > ../plain && sha256sum < ../plain && wc -c < ../plain", backup)
    digest, _, size = done.stdout.split()
    assert digest == stream["digests"]["sha256"]
    assert int(size) == stream["size"]
    assert dump(shell.folder / "plain") == dump(shell.folder / "big.db")


def test_a_blob_is_a_file_of_several_frames_of_the_format_of_its_suffix(backup: Path) -> None:
    codec = json.loads((backup / "backup_manifest.json").read_text())["codec"]["name"]
    suffix, test = {
        "zstd": (".zst", "zstd -tq database.sqlite.zst && zstd -l database.sqlite.zst"),
        "gzip": (".gz", "gzip -t database.sqlite.gz"),
        "none": ("", "head -c 15 database.sqlite"),
    }[codec]
    assert (backup / f"database.sqlite{suffix}").is_file()
    done = sh(test, backup)
    assert done.returncode == 0, done.stderr
    if codec == "zstd":
        assert int(done.stdout.splitlines()[1].split()[0]) >= 3
    if codec == "none":
        assert done.stdout == "SQLite format 3"


def test_restore_md_says_which_backup_it_is_and_names_no_place_of_the_machine(backup: Path, shell: Shell) -> None:
    instructions = (backup / "RESTORE.md").read_text()
    manifest = json.loads((backup / "backup_manifest.json").read_text())
    assert manifest["id"] in instructions
    assert "Holdfast is not needed" in instructions
    assert str(shell.folder) not in instructions


def test_the_schema_describes_the_manifests_that_are_written(shell: Shell) -> None:
    schema = shell.run("schema", "manifest").stdout
    manifest = json.loads((Path(shell.backup("sqlite:///app.db")["path"]) / "backup_manifest.json").read_text())
    document = json.loads(schema)
    check(manifest, document, document["$defs"])


def check(value: object, schema: dict[str, object], definitions: dict[str, dict[str, object]]) -> None:
    """Check a document against the few words of JSON Schema that describe structs: types, members, references."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return check(value, definitions[reference.rpartition("/")[2]], definitions)
    options = schema.get("anyOf")
    if isinstance(options, list):
        for option in options:
            try:
                return check(value, option, definitions)
            except AssertionError:
                continue
        raise AssertionError(f"{value!r} fits none of {options}")
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    if "type" in schema:
        assert isinstance(value, kinds[str(schema["type"])]), f"{value!r} is no {schema['type']}"
    members = schema.get("properties")
    if isinstance(members, dict):
        assert isinstance(value, dict)
        assert set(schema.get("required", [])) <= set(value) <= set(members)  # type: ignore[call-overload]
        for name, member in value.items():
            check(member, members[name], definitions)
    elements = schema.get("items")
    if isinstance(elements, dict) and isinstance(value, list):
        for element in value:
            check(element, elements, definitions)
    return None
