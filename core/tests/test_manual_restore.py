"""The files for restoring by hand: commands that run as they stand, sums that sha256sum reads."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import holdfast
from holdfast.api import Component, Kind, hookimpl
from holdfast.errors import PluginError
from holdfast.plugins.builtin import NoCodec
from holdfast.store.manifest import BlobRecord, CodecRecord, Manifest, SourceRecord, StreamRecord, ToolRecord
from holdfast.store.manual_restore import restore_instructions
from holdfast.store.sums import parse_sums, sums
from holdfast.testing import MemoryStorage, memory_registry


class Zipped(NoCodec):
    suffix = ".zip"


class ZippedWithCommand(Zipped):
    command = "unzip -p"


def manifest(codec: str, suffix: str) -> Manifest:
    digest = {"sha256": "0" * 64}
    blob = BlobRecord(path=f"data/t-1{suffix}", size=1, digests=digest)
    return Manifest(
        format_version=1,
        id="20261124T200000Z-abc123",
        created_at=datetime(2026, 11, 24, 20, tzinfo=UTC),
        duration_seconds=0,
        source=SourceRecord(name="app", url="memory://", engine="memory", identity="x"),
        codec=CodecRecord(name=codec, spec=codec),
        checksums=["sha256"],
        streams=[StreamRecord(name="data/T 1", suffix="", size=1, digests=digest, blob=blob)],
        tool=ToolRecord(holdfast="0.1.0", python="3.11", plugins={}),
    )


def test_the_steps_of_the_engine_name_the_command_of_the_codec_and_the_blob() -> None:
    text = restore_instructions(manifest("zip", ".zip"), ZippedWithCommand(), ("{decode:data/T 1} | load TARGET_DB",))
    assert "\nunzip -p data/t-1.zip | load TARGET_DB\n" in text
    assert "in the place of TARGET_DB" in text
    assert "sha256sum -c SHA256SUMS" in text
    assert "DECODE" not in text


@pytest.mark.parametrize("name", ["a}b", "}", "{decode:x}", "a} | {decode:b"])
def test_the_name_of_a_stream_may_hold_braces(name: str) -> None:
    document = manifest("none", "")
    stream = msgspec.structs.replace(document.streams[0], name=name)
    step = f"{{decode:{name}}} | load; {{decode:{name}}} | check {{x}}"
    text = restore_instructions(msgspec.structs.replace(document, streams=[stream]), NoCodec(), (step,))
    assert "\ncat data/t-1 | load; cat data/t-1 | check {x}\n" in text


def test_a_step_that_decodes_what_was_not_dumped_is_an_error_of_the_plugin() -> None:
    with pytest.raises(PluginError, match=r"a stream that it did not dump: '\{decode:data/U\} \| load'"):
        restore_instructions(manifest("none", ""), NoCodec(), ("{decode:data/U} | load",))


def test_plain_blobs_are_read_with_cat() -> None:
    assert "\ncat data/t-1 | load\n" in restore_instructions(
        manifest("none", ""), NoCodec(), ("{decode:data/T 1} | load",)
    )


def test_without_steps_every_blob_is_decoded_to_a_file_of_its_own() -> None:
    assert "\nunzip -p data/t-1.zip > data/t-1.plain\n" in restore_instructions(
        manifest("zip", ".zip"), ZippedWithCommand(), ()
    )
    assert "\ncat data/t-1 > data/t-1.plain\n" in restore_instructions(manifest("none", ""), NoCodec(), ())


def test_a_codec_without_a_command_is_said_to_need_one() -> None:
    text = restore_instructions(manifest("zip", ".zip"), Zipped(), ())
    assert "\nDECODE data/t-1.zip > data/t-1.plain\n" in text
    assert "DECODE stands for a command that reads the codec zip" in text


class Fetching(MemoryStorage):
    def fetch_steps(self, folder: str) -> list[str]:
        return [f"kept --key s3cret copy {folder} ."]


def test_a_storage_says_how_its_files_come_into_a_folder() -> None:
    """Before all else, with the place that they are at; its secrets are hidden."""
    storage = Fetching("kept://place")
    registry = memory_registry(Kept(storage))
    record = holdfast.backup("memory://host/app", store="kept://user:s3cret@place", codec="none", registry=registry)
    text = storage.objects[f"app/{record.id}/RESTORE.md"].decode()
    fetching = f"kept --key *** copy app/{record.id} ."
    assert (
        f"stored at kept://place/app/{record.id}. Its files come into an empty folder by\n\n```sh\n{fetching}" in text
    )
    assert text.index(fetching) < text.index("sha256sum -c")


class Kept:
    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.STORAGE, name="kept")]

    @hookimpl
    def holdfast_storage(self) -> MemoryStorage:
        return self._storage


PATHS = st.from_regex(r"[a-z0-9_]{1,8}(/[a-z0-9_]{1,8}){0,2}\.x", fullmatch=True)


@given(st.dictionaries(PATHS, st.text("0123456789abcdef", min_size=64, max_size=64), max_size=5))
def test_sums_written_and_read_again_are_equal(digests: dict[str, str]) -> None:
    assert parse_sums(sums(digests)) == digests


@given(st.binary(max_size=200))
def test_any_bytes_are_sums_with_what_lines_they_have(data: bytes) -> None:
    parse_sums(data)


@pytest.mark.parametrize(("content", "code"), [(b"hello", 0), (b"jello", 1)])
def test_sha256sum_agrees(tmp_path: Path, content: bytes, code: int) -> None:
    (tmp_path / "data.txt").write_bytes(content)
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    (tmp_path / "SHA256SUMS").write_bytes(sums({"data.txt": digest}))
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], check=False, cwd=tmp_path, capture_output=True)
    assert done.returncode == code
