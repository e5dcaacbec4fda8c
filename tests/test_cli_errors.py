"""Whatever is wrong: the exit code of its class, one message, a hint where there is one, no traceback, no backup."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from support.commandline import PLAIN_USER, Shell, make_shell
from support.databases import fingerprint, held_by_another_process, make_database

NO_POSTGRES = {"HOLDFAST_DISABLE_PLUGINS": "holdfast-postgres,holdfast-mysql"}


@pytest.fixture
def plain(shell: Shell) -> Shell:
    """The same folder for a user without privileges."""
    return make_shell(shell.folder, under=PLAIN_USER)


def nothing_was_made(shell: Shell) -> bool:
    """Whether the store holds no backup, not even the beginning of one."""
    return not [name for name in shell.files() if name != "holdfast.json"]


def test_a_missing_database_is_exit_15_and_is_not_created(shell: Shell) -> None:
    ran = shell.fails(15, "backup", "sqlite:///missing.db")
    assert ran.error == "database missing.db does not exist"
    assert not (shell.folder / "missing.db").exists()
    assert not shell.store.exists()
    shell.fails(15, "backup", "sqlite:///app.db/inside.db")


def test_a_database_that_may_not_be_read_is_exit_12(plain: Shell) -> None:
    (plain.folder / "app.db").chmod(0)
    ran = plain.fails(12, "backup", "sqlite:///app.db")
    assert ran.error.startswith("database app.db cannot be read: permission denied (it belongs to ")
    assert ran.error.endswith(", mode 0000)")
    (plain.folder / "locked").mkdir()
    make_database(plain.folder / "locked" / "app.db")
    (plain.folder / "locked").chmod(0)
    try:
        plain.fails(12, "backup", "sqlite:///locked/app.db")
    finally:
        (plain.folder / "locked").chmod(0o700)
    assert nothing_was_made(plain)


@pytest.mark.parametrize("content", [b"hello, world\n" * 100, b"\0" * 4096, b"x"])
def test_what_is_no_database_is_exit_13(shell: Shell, content: bytes) -> None:
    (shell.folder / "text.db").write_bytes(content)
    before = fingerprint(shell.folder / "text.db")
    ran = shell.fails(13, "backup", "sqlite:///text.db")
    assert "text.db is not an SQLite database" in ran.error
    assert fingerprint(shell.folder / "text.db") == before
    assert nothing_was_made(shell)


def test_a_folder_a_fifo_and_a_socket_are_no_databases_and_block_nothing(shell: Shell) -> None:
    (shell.folder / "folder.db").mkdir()
    os.mkfifo(shell.folder / "fifo.db")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shell.folder / "socket.db"))
        for name in ("folder.db", "fifo.db", "socket.db"):
            ran = shell.fails(2, "backup", f"sqlite:///{name}")
            assert ("is a folder" if name == "folder.db" else "not a regular file") in ran.error
    assert nothing_was_made(shell)


def test_a_truncated_database_is_exit_13(shell: Shell) -> None:
    path = make_database(shell.folder / "cut.db", rows=3000)
    os.truncate(path, path.stat().st_size // 2)
    shell.fails(13, "backup", "sqlite:///cut.db")
    os.truncate(path, 50)
    shell.fails(13, "backup", "sqlite:///cut.db")
    assert nothing_was_made(shell)


def test_a_database_that_is_locked_is_exit_11_and_the_hint_says_how_to_wait(shell: Shell) -> None:
    with held_by_another_process(shell.folder / "app.db", "BEGIN EXCLUSIVE"):
        ran = shell.fails(11, "backup", "sqlite:///app.db", "-o", "lock_timeout=0")
    assert "lock_timeout" in ran.hint
    assert nothing_was_made(shell)


def test_an_unknown_scheme_is_exit_14_and_the_hint_says_what_to_install(shell: Shell) -> None:
    ran = shell.fails(14, "backup", "postgresql://localhost/app", env=NO_POSTGRES)
    assert ran.error == "no engine for 'postgresql' (installed: sqlite)"
    if "HOLDFAST_DISABLE_PLUGINS" not in ran.hint:
        assert ran.hint == "pip install 'holdfast-postgres[binary]'"
    ran = shell.fails(14, "backup", "nosuch://localhost/app")
    assert ran.error.startswith("no engine for 'nosuch' (installed: ")
    assert "hint" not in ran.stderr, "a hint never sends anybody to a stranger's package"
    assert not shell.store.exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--codec", "brotli"], "no codec 'brotli' (installed: gzip, none, zstd"),
        (["--codec", "brotli:3"], "no codec 'brotli' (installed: gzip, none, zstd"),
        (["--checksum", "md5000"], "no checksum 'md5000' (installed: "),
    ],
)
def test_an_unknown_codec_or_checksum_is_exit_14(shell: Shell, options: list[str], error: str) -> None:
    assert shell.fails(14, "backup", "sqlite:///app.db", *options).error.startswith(error)
    assert not shell.store.exists()


def test_a_codec_that_is_ours_and_not_installed_has_a_hint(shell: Shell) -> None:
    ran = shell.fails(
        14, "backup", "sqlite:///app.db", "--codec", "zstd", env={"HOLDFAST_PLUGINS": "sqlite,sha256,gzip"}
    )
    assert "zstd" in ran.hint


@pytest.mark.parametrize(
    "options",
    [
        ["--codec", "zstd:0"],
        ["--codec", "zstd:99"],
        ["--codec", "zstd:fast"],
        ["--codec", "zstd:level=3,depth=2"],
        ["--codec", "zstd:1:2"],
        ["--codec", "gzip:10"],
        ["--codec", "none:1"],
        ["--codec", ""],
        ["--jobs", "0"],
        ["--jobs", "many"],
        ["-o", "nonsense=1"],
        ["-o", "lock_timeout=never"],
        ["-o", "lock_timeout=-1"],
        ["-o", "=1"],
        ["-o", "lock_timeout=1", "-o", "lock-timeout=2"],
        ["--name", "Upper Case"],
        ["--name", "../up"],
        ["--name", "latest"],
        ["--name", ""],
        ["--store", ""],
        ["--store", "file://host/x"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_a_bad_level_option_or_name_is_exit_2(shell: Shell, options: list[str]) -> None:
    shell.fails(2, "backup", "sqlite:///app.db", *options)
    assert not shell.store.exists()
    assert sorted(path.name for path in shell.folder.iterdir()) == ["app.db", "scratch"]


def test_an_unknown_option_names_the_known_ones(shell: Shell) -> None:
    ran = shell.fails(2, "backup", "sqlite:///app.db", "-o", "nonsense=1")
    assert "'nonsense'" in ran.error
    assert "lock_timeout" in ran.error


@pytest.mark.parametrize(
    "url",
    [
        "app.db",
        "",
        "sqlite:app.db",
        "sqlite://app.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a.db?x=1",
        "sqlite:///100%.db",
        "sqlite://host:99999/x",
        "sqlite:///a%00b.db",
        "://",
        "sqlite:///%zz",
        "\N{SNOWMAN}",
    ],
)
def test_a_malformed_url_is_exit_2(shell: Shell, url: str) -> None:
    shell.fails(2, "backup", url)
    assert not shell.store.exists()


@pytest.mark.parametrize("arguments", [["nonsense"], ["backup"], ["restore", "latest"], ["cat"], ["--nonsense"]])
def test_a_call_that_is_wrong_is_exit_2_and_shows_the_usage(shell: Shell, arguments: list[str]) -> None:
    assert shell.fails(2, *arguments).hint.startswith("usage: holdfast")


def test_no_arguments_at_all_show_the_help(shell: Shell) -> None:
    assert shell.run().stdout == shell.run("--help").stdout


def test_a_store_that_may_not_be_written_is_exit_1(plain: Shell) -> None:
    plain.store.mkdir(mode=0o500)
    ran = plain.fails(1, "backup", "sqlite:///app.db")
    assert "permission denied" in ran.error
    assert str(plain.store) in ran.error
    assert not list(plain.store.iterdir())


def test_a_store_below_a_folder_that_may_not_be_written_is_exit_1(plain: Shell) -> None:
    (plain.folder / "closed").mkdir(mode=0o500)
    ran = plain.fails(1, "backup", "sqlite:///app.db", "--store", "closed/store")
    assert "permission denied" in ran.error


def test_a_store_that_is_a_file_is_exit_1_for_backup_and_10_for_what_reads(shell: Shell) -> None:
    (shell.folder / "file").write_text("precious")
    shell.fails(1, "backup", "sqlite:///app.db", "--store", "file")
    shell.fails(1, "backup", "sqlite:///app.db", "--store", "file/below")
    shell.fails(10, "list", "--store", "file")
    assert (shell.folder / "file").read_text() == "precious"


def test_a_store_that_may_not_be_read_is_exit_10(plain: Shell) -> None:
    plain.run("backup", "sqlite:///app.db")
    plain.store.chmod(0)
    try:
        for command in (["list"], ["show", "latest"], ["verify"], ["restore", "latest", "sqlite:///x.db"]):
            ran = plain.fails(10, *command)
            assert "permission denied" in ran.error
    finally:
        plain.store.chmod(0o700)


def test_a_source_that_may_not_be_read_is_an_error_and_not_an_empty_list(plain: Shell) -> None:
    plain.run("backup", "sqlite:///app.db")
    (plain.store / "app").chmod(0)
    try:
        assert "1 source of" in plain.fails(3, "list").error
        assert "permission denied" in plain.fails(10, "list", "app").error
        plain.fails(10, "restore", "app/latest", "sqlite:///copy.db")
    finally:
        (plain.store / "app").chmod(0o700)


def test_a_store_of_a_newer_format_is_exit_13_and_is_not_written_to(shell: Shell) -> None:
    shell.store.mkdir()
    (shell.store / "holdfast.json").write_text('{"format_version": 2}')
    for command in (["list"], ["backup", "sqlite:///app.db"], ["verify"]):
        ran = shell.fails(13, *command)
        assert "format version 2" in ran.error
        assert "newer Holdfast" in ran.hint
    assert shell.files() == ["holdfast.json"]


def test_a_store_with_an_unknown_scheme_is_exit_14(shell: Shell) -> None:
    ran = shell.fails(14, "list", "--store", "tape://drive/0")
    assert "no storage 'tape' (installed: azure, file, gs, s3, sftp)" in ran.error


def test_verbose_shows_the_traceback_and_still_the_one_message(shell: Shell) -> None:
    ran = shell.run("-v", "backup", "sqlite:///missing.db", code=15)
    assert "Traceback" in ran.stderr
    assert ran.error == "database missing.db does not exist"


def test_an_error_of_a_run_is_one_more_json_line(shell: Shell) -> None:
    ran = shell.run("backup", "sqlite:///missing.db", "--json", code=15)
    assert ran.lines == [
        {"type": "error", "message": "database missing.db does not exist", "hint": None, "exit_code": 15}
    ]
    assert "error: database missing.db does not exist" in ran.stderr


def test_a_query_that_fails_writes_no_half_document(shell: Shell) -> None:
    assert shell.fails(10, "list", "--json").stdout == ""


@pytest.mark.parametrize("folder", ["scratch-is-missing", "app.db"])
def test_a_scratch_folder_that_cannot_be_made_is_a_clear_error(shell: Shell, folder: str) -> None:
    ran = shell.fails(1, "backup", "sqlite:///app.db", env={"TMPDIR": str(Path(shell.folder, folder))})
    assert "TMPDIR" in ran.error + ran.stderr or folder in ran.error
    assert nothing_was_made(shell)


def test_a_slip_in_the_order_of_arguments_is_told_as_that(shell: Shell) -> None:
    ran = shell.fails(2, "--store", "x", "list")
    assert ran.hint == "put --store after the command"
    ran = shell.fails(2, "--nonsense", "list")
    assert ran.hint.startswith("usage: ")
    ran = shell.fails(2, "restore", "sqlite:///copy.db", "latest")
    assert ran.error == "the URL stands before the ID"


def test_a_wrong_value_from_the_environment_names_its_variable(shell: Shell) -> None:
    ran = shell.fails(2, "backup", "sqlite:///app.db", env={"HOLDFAST_JOBS": "many"})
    assert ran.error.endswith("(from HOLDFAST_JOBS)")
    assert "(from" not in shell.fails(2, "backup", "sqlite:///app.db", "--jobs", "many").error


@pytest.mark.parametrize("words", [("list",), ("restore", "latest", "sqlite:///copy.db", "--store", "STORE")])
def test_a_current_folder_that_is_gone_is_what_an_error_names(kept: Shell, words: tuple[str, ...]) -> None:
    """As of a script that runs in a folder that it removes; what is named by whole paths works there."""
    gone = replace(kept, under=("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"))
    store = str(kept.store)
    failed = gone.run(*(word.replace("STORE", store) for word in words), code=1)
    assert "the folder that this process is in has been deleted" in failed.error
    assert gone.run("list", "--store", store).code == 0
