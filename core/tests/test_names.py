"""Names in a store: whatever an engine calls its streams, the files are safe, distinct and found again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.errors import IntegrityError, UsageError
from holdfast.store.names import ID, blob_path, check_blob_path, check_source_name, is_source_name, new_id, slug

STREAMS = st.one_of(
    st.text(min_size=1, max_size=300),
    st.lists(
        st.sampled_from(
            ["data", "Data", "a", "a.zst", "findings", "SHA256SUMS", "restore.md", "con", "latest", "..", ".", "-x"]
        ),
        min_size=1,
        max_size=6,
    ).map("/".join),
)
SUFFIXES = st.sampled_from(["", ".zst", ".sql.zst", ".gz"])


@given(st.lists(STREAMS, unique=True, min_size=1, max_size=12), SUFFIXES)
@example(["findings/x"], ".zst")
@example(["SHA256SUMS/x"], "")
@example(["a", "a/b", "a/b/c"], "")
@example(["a/b", "a"], "")
@example(["a", "A"], ".zst")
@example(["backup_manifest.json", "findings", "RESTORE.md", "SHA256SUMS"], "")
def test_paths_of_blobs_are_accepted_again_distinct_and_no_folder_of_each_other(
    streams: list[str], suffix: str
) -> None:
    taken: set[str] = set()
    paths = [blob_path(stream, suffix, taken) for stream in streams]
    assert [check_blob_path(path) for path in paths] == paths
    assert len({path.lower() for path in paths}) == len(paths)
    for path in paths:
        assert path.endswith(suffix)
        assert not any(other.lower().startswith(f"{path.lower()}/") for other in paths)


def test_a_plain_name_is_kept_as_it_is() -> None:
    assert blob_path("data/public.orders", ".copy.zst", set()) == "data/public.orders.copy.zst"


def test_a_changed_name_carries_a_part_of_its_digest() -> None:
    path = blob_path("data/Größe", ".zst", set())
    assert path.startswith("data/gr-e-")
    assert path != blob_path("data/Gröse", ".zst", set())


@given(st.text(max_size=100))
def test_a_slug_is_a_source_name(text: str) -> None:
    assert check_source_name(slug(text)) == slug(text)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-x",
        ".x",
        "a/b",
        "A",
        "é",
        "x.",
        "con",
        "nul.db",
        "latest",
        "a" * 64,
        "a\n",
        "20261124T200000Z-abc123",
    ],
)
def test_a_name_that_could_be_misread_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_source_name(name)


@pytest.mark.parametrize("name", ["a", "_x", "my-app.prod_2", "a" * 63, "0"])
def test_a_simple_name_is_accepted(name: str) -> None:
    assert check_source_name(name) == name
    assert is_source_name(name)


@given(st.text(max_size=80))
def test_any_text_is_a_blob_path_in_its_folder_or_an_integrity_error(path: str) -> None:
    try:
        check_blob_path(path)
    except IntegrityError:
        return
    assert path.isascii()
    assert not path.startswith("/")
    assert ".." not in path.split("/")


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "a\x00b",
        "a b",
        "-rf",
        "c:x",
        "backup_manifest.json",
        "Backup_Manifest.JSON",
        "SHA256SUMS",
        "RESTORE.md",
        "findings/x.json",
        "findings",
        ".partial-1",
        "a/.b",
        "a.",
        "x" * 201,
        "/".join(["a" * 100] * 11),
    ],
)
def test_a_path_that_leaves_its_folder_or_takes_a_reserved_name_is_refused(path: str) -> None:
    with pytest.raises(IntegrityError):
        check_blob_path(path)


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=10))
def test_ids_sort_by_time_and_are_well_formed(moments: list[float]) -> None:
    moments = sorted(round(moment, 3) for moment in moments)
    ids = [new_id(moment)[0] for moment in moments]
    assert all(ID.fullmatch(backup_id) for backup_id in ids)
    readable = [backup_id[:-2] for backup_id in ids]  # the last two digits are chance
    assert readable == sorted(readable)


def test_an_id_has_ascii_digits_only() -> None:
    assert ID.fullmatch("20261124T200000Z-abc123")
    assert not ID.fullmatch("\u0662\u0660\u0662\u06661124T200000Z-abc123")
