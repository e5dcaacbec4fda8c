"""Manifests: what was written is read again, and whatever else lies there is an IntegrityError."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import IntegrityError
from holdfast.store.manifest import Manifest, check_marker, decode, encode, schema

ID = "20261124T200000Z-abc123"
DIGEST = "0123456789abcdef" * 4
GOOD: dict[str, Any] = {
    "format_version": 1,
    "id": ID,
    "created_at": "2026-11-24T20:00:00Z",
    "duration_seconds": 0.5,
    "source": {"name": "app", "url": "memory://host/app", "engine": "memory", "identity": "x"},
    "codec": {"name": "none", "spec": "none"},
    "checksums": ["sha256"],
    "streams": [
        {
            "name": "data",
            "suffix": ".txt",
            "size": 3,
            "digests": {"sha256": DIGEST},
            "blob": {"path": "data.txt", "size": 3, "digests": {"sha256": DIGEST}},
        },
    ],
    "tool": {"holdfast": "0.1.0", "python": "3.11.7", "plugins": {}},
}


def read(document: Any) -> Manifest:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(data, name="app", backup_id=ID)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = copy.deepcopy(GOOD)
    change(document)
    return document


def stream(document: dict[str, Any]) -> dict[str, Any]:
    stream: dict[str, Any] = document["streams"][0]
    return stream


def test_a_manifest_written_and_read_again_is_equal() -> None:
    manifest = read(GOOD)
    assert read(encode(manifest)) == manifest
    assert encode(manifest).endswith(b"}\n")
    assert (manifest.size, manifest.stored_size) == (3, 3)
    assert manifest.created_at == datetime(2026, 11, 24, 20, tzinfo=UTC)


def test_unknown_fields_are_no_reason_to_refuse() -> None:
    assert read(changed(lambda document: document.update(later={"a": 1}))) == read(GOOD)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({}, ""),
        ({"options": {"format": "custom", "schema_only": "false"}, "selection": {"select": []}}, ""),
        ({"options": {"schema_only": "true"}}, "schema_only"),
        ({"options": {"data_only": True}, "selection": {"exclude": ["a", "b"]}}, "exclude a b, data_only"),
    ],
)
def test_a_manifest_tells_which_part_it_holds(fields: dict[str, Any], part: str) -> None:
    assert read({**GOOD, **fields}).part == part


def second(name: str, path: str) -> Callable[[dict[str, Any]], object]:
    def add(document: dict[str, Any]) -> None:
        document["streams"].append(copy.deepcopy(document["streams"][0]))
        document["streams"][1]["name"] = name
        document["streams"][1]["blob"]["path"] = path

    return add


ESCAPES = ["", ".", "..", "../x", "/etc/passwd", "a/../../x", "a\\..\\x", "a\0b", "a\nb", "x" * 5000]
ESCAPES += ["backup_manifest.json", "Backup_manifest.json", "SHA256SUMS", "findings/x"]
HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    **{
        f"path {path[:20]!r}": lambda document, path=path: stream(document)["blob"].update(path=path)  # type: ignore[misc]
        for path in ESCAPES
    },
    "a duplicate stream": second("data", "other.txt"),
    "a duplicate blob": second("other", "data.txt"),
    "a duplicate blob in another case": second("other", "DATA.txt"),
    "an empty stream name": lambda document: stream(document).update(name=""),
    "a suffix that leads away": lambda document: stream(document).update(suffix="/../../x"),
    "a suffix with a NUL": lambda document: stream(document).update(suffix=".a\0"),
    "a negative size": lambda document: stream(document).update(size=-1),
    "a negative stored size": lambda document: stream(document)["blob"].update(size=-1),
    "a size that is no integer": lambda document: stream(document).update(size=3.5),
    "a size in words": lambda document: stream(document).update(size="3"),
    "no digest": lambda document: stream(document).update(digests={}),
    "no stored digest": lambda document: stream(document)["blob"].update(digests={"md5": "x"}),
    "a digest in capitals": lambda document: stream(document).update(digests={"sha256": DIGEST.upper()}),
    "a short digest": lambda document: stream(document).update(digests={"sha256": DIGEST[1:]}),
    "no streams": lambda document: document.update(streams=[]),
    "another id": lambda document: document.update(id="20261124T200000Z-other1"),
    "another name": lambda document: document["source"].update(name="other"),
    "a time without a zone": lambda document: document.update(created_at="2026-11-24T20:00:00"),
    "a time before all times": lambda document: document.update(created_at="0001-01-01T00:00:00+14:00"),
    "a time after all times": lambda document: document.update(created_at="9999-12-31T23:59:59-14:00"),
    "no time": lambda document: document.update(created_at=None),
    "a cipher": lambda document: document.update(cipher={"name": "age"}),
    "a missing field": lambda document: document.pop("tool"),
    "a newer format": lambda document: document.update(format_version=3),
    "an older format": lambda document: document.update(format_version=0),
    "a format in words": lambda document: document.update(format_version="1"),
    "no format": lambda document: document.pop("format_version"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_manifest_is_an_integrity_error_on_one_line(case: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        read(changed(HOSTILE[case]))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600


def test_a_newer_format_says_what_to_do() -> None:
    with pytest.raises(IntegrityError, match="has format version 3, this Holdfast reads 1 and 2") as caught:
        read(changed(HOSTILE["a newer format"]))
    assert caught.value.hint == "use a newer Holdfast"


NO_MANIFESTS = [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'"\\ud800"']
NO_MANIFESTS += [b'{"format_version": 1}', b'{"format_version":' + b"9" * 10_000 + b"}"]
NO_MANIFESTS += [json.dumps(GOOD).encode()[:-20]]


@pytest.mark.parametrize("data", NO_MANIFESTS, ids=range(len(NO_MANIFESTS)))
def test_bytes_that_are_no_manifest_are_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        read(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS: list[list[str | int]] = [
    ["id"],
    ["created_at"],
    ["duration_seconds"],
    ["source"],
    ["source", "name"],
    ["codec", "name"],
    ["checksums"],
]
PATHS += [["streams"], ["streams", 0], *(["streams", 0, key] for key in ("name", "suffix", "size", "digests", "blob"))]
PATHS += [["streams", 0, "blob", key] for key in ("path", "size", "digests")] + [["tool"], ["proof"], ["hints"]]


@given(st.sampled_from(PATHS), JSON)
def test_any_value_anywhere_is_a_manifest_or_an_integrity_error(path: list[Any], value: Any) -> None:
    document = copy.deepcopy(GOOD)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        manifest = read(document)
    except IntegrityError:
        return
    assert read(encode(manifest)) == manifest


@given(st.integers(0, len(json.dumps(GOOD)) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_a_manifest_or_an_integrity_error(at: int, flip: int) -> None:
    data = bytearray(json.dumps(GOOD).encode())
    data[at] ^= flip
    try:
        read(bytes(data))
    except IntegrityError:
        return


def test_the_schema_names_the_fields_of_the_specification() -> None:
    definition = schema()["$defs"]["Manifest"]
    assert {"format_version", "id", "source", "streams", "codec"} <= set(definition["required"])
    assert "proof" in definition["properties"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format_version": 2}', b'{"format_version": null}', b"\xff"])
def test_a_store_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"the store('s holdfast\.json)? "):
        check_marker(data, "here", "storage")


def test_a_store_of_this_format_is_accepted_with_whatever_else_its_mark_says() -> None:
    check_marker(b'{"format_version": 1, "about": "x", "later": 1}', "here", "storage")
