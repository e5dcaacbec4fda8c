"""File systems that cannot do a thing and say so in their own ways: what is optional is done without."""

import errno
import os
from dataclasses import replace

import pytest
from support.commandline import Shell
from support.databases import add_row
from support.refused_calls import refusing

# What Linux, SMB, NFS, FUSE, exFAT, mergerfs and musl answer; `HOLDFAST_ERRNOS=all` tries every number there is.
ERRNOS = (
    sorted(set(errno.errorcode) - {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR, errno.EEXIST, errno.EFBIG})
    if os.environ.get("HOLDFAST_ERRNOS") == "all"
    else [errno.ENOTSUP, errno.EACCES]
)


@pytest.mark.sweep(2)
@pytest.mark.parametrize(
    "calls",
    [("fsync", "fdatasync"), ("link", "linkat"), ("fallocate",), ("chmod", "fchmod", "fchmodat")],
    ids=lambda calls: calls[0],
)
def test_a_store_and_a_target_do_without_what_a_file_system_cannot_do(shell: Shell, calls: tuple[str, ...]) -> None:
    for number in ERRNOS:
        poor = replace(shell, under=refusing(number, *calls))
        record = poor.backup("sqlite:///app.db")
        assert poor.run("verify", record["id"]).code == 0
        add_row(shell.folder / "app.db")
        shell.run("drill", record["id"])
        poor.run("restore", record["id"], "sqlite:///app.db", "--replace")
        poor.run("restore", record["id"], "sqlite:///copy.db")
        assert (shell.folder / "copy.db").read_bytes() == (shell.folder / "app.db").read_bytes()
        (shell.folder / "copy.db").unlink()
        poor.run("delete", record["id"], "--allow-last")
        assert [name for name in shell.files() if ".partial" in name] == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_what_is_lost_is_an_error_and_not_called_an_inability(shell: Shell, number: int) -> None:
    poor = replace(shell, under=refusing(number, "fsync", "fdatasync"))
    ran = poor.fails(1, "backup", "sqlite:///app.db")
    assert "cannot write to the store" in ran.error
    assert not [name for name in shell.files() if name.startswith("app/")]


def test_a_store_without_locks_is_refused_before_anything_is_written(shell: Shell) -> None:
    """Without locks two runs could take each other's unfinished folders for leftovers."""
    poor = replace(shell, under=refusing(errno.ENOLCK, "flock"))
    ran = poor.fails(1, "backup", "sqlite:///app.db")
    assert "lock" in ran.error
    assert not [name for name in shell.files() if name.startswith("app/")]
