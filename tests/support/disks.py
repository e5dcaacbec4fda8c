"""Small disks of their own: a tmpfs in a mount namespace, which nobody else sees and which needs no privileges."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_WAYS = (("unshare", "-r", "-m"), ("unshare", "-m"))
_ENTER = ("nsenter", "-m", "-t")
# What unshare and mount say in a container, with user namespaces limited to none, and of a kernel without any.
_FORBIDDEN = ("Operation not permitted", "ermission denied", "No space left on device", "Invalid argument")
# What allows them: user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=1000, and
# kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu), or root with CAP_SYS_ADMIN
# (docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined).
_ALLOW = "user namespaces or CAP_SYS_ADMIN would allow them, tests/support/disks.py says how"


@contextmanager
def small_disk(folder: Path, size: str, *, files: int = 0) -> Iterator[tuple[str, ...]]:
    """Mount an empty disk of `size` at `folder`, which takes so many files and folders where that is given.

    Commands that begin with what is yielded see it.

    Where the machine forbids mounts, as most containers do, the test is skipped: no package would help.
    """
    holder, enter = _mount(folder, f"{size},nr_inodes={files}" if files else size)
    try:
        yield enter
    finally:
        assert holder.stdin is not None
        holder.stdin.close()  # the last process of the namespace ends, and with it the disk
        holder.wait(30)
        assert holder.stdout is not None
        holder.stdout.close()


def _mount(folder: Path, size: str) -> tuple["subprocess.Popen[bytes]", tuple[str, ...]]:
    script = 'mount -t tmpfs -o "size=$2,mode=700" tmpfs "$1" && echo mounted && cat > /dev/null'
    reasons: list[str] = []
    # Root has no need of a user namespace, in which there would be no other user for a server to run as.
    for way in _WAYS if os.geteuid() else reversed(_WAYS):
        holder = subprocess.Popen(
            [*way, "sh", "-c", script, "sh", folder, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() == b"mounted\n":
            holder.stderr.close()
            users = ("-U", "--preserve-credentials") if "-r" in way else ()
            # The working directory is of the other namespace, without the disk, until it is entered anew.
            in_folder = ("sh", "-c", 'cd "$0" && exec "$@"', str(folder.parent))
            return holder, (*_ENTER, str(holder.pid), *users, "--", *in_folder)
        _, stderr = holder.communicate()
        reasons.append(stderr.decode().strip())
    _skip_if_forbidden(reasons)
    raise AssertionError(f"a disk of its own cannot be mounted: {'; '.join(reasons)}")


def _skip_if_forbidden(reasons: Sequence[str]) -> None:
    if all(any(text in reason for text in _FORBIDDEN) for reason in reasons):
        pytest.skip(f"this machine forbids mounts ({'; '.join(reasons)}); {_ALLOW}")


def own_mounts(*options: str) -> tuple[str, ...]:
    """What a command begins with that mounts something for itself, as the root of a user namespace of its own.

    Where the machine forbids that, the test is skipped.
    """
    command = ("unshare", "--mount", "--user", "--map-root-user", *options)
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run([*command, "true"], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        _skip_if_forbidden([done.stderr.strip()])
        raise AssertionError(f"a process cannot have mounts of its own: {done.stderr.strip()}")
    return command


def free(enter: tuple[str, ...], folder: Path) -> int:
    """Bytes that are free on the disk."""
    done = subprocess.run([*enter, "df", "-B1", "--output=avail", folder], capture_output=True, check=True, text=True)
    return int(done.stdout.split()[1])


def used(enter: tuple[str, ...], folder: Path) -> int:
    """Bytes that are used on the disk."""
    done = subprocess.run([*enter, "du", "-sb", folder], capture_output=True, check=True, text=True)
    return int(done.stdout.split()[0])
