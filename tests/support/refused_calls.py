"""Commands to which the kernel refuses some system calls, as poor file systems do: see seccomp(2)."""

import ctypes
import os
import platform
import struct
import sys

# The numbers of the architectures; what one does not have its programs do not call.
_NUMBERS = {
    "x86_64": {
        "fallocate": 285,
        "link": 86,
        "linkat": 265,
        "rename": 82,
        "fsync": 74,
        "fdatasync": 75,
        "flock": 73,
        "chmod": 90,
        "fchmod": 91,
        "unlink": 87,
    },
    "aarch64": {
        "fallocate": 47,
        "linkat": 37,
        "renameat": 38,
        "fsync": 82,
        "fdatasync": 83,
        "flock": 32,
        "fchmod": 52,
        "fchmodat": 53,
        "unlinkat": 35,
    },
}
_NO_NEW_PRIVILEGES, _SET_FILTER, _FILTER = 38, 22, 2  # of prctl(2)
_LOAD, _SKIP_UNLESS, _RETURN = 0x20, 0x15, 0x06  # of linux/bpf_common.h
_ERROR, _ALLOW = 0x00050000, 0x7FFF0000  # of linux/seccomp.h


def refusing(error: int, *names: str) -> tuple[str, ...]:
    """What a command begins with to which these calls fail with an errno."""
    numbers = [str(number) for name, number in _NUMBERS[platform.machine()].items() if name in names]
    return (sys.executable, __file__, str(error), ",".join(numbers))


def _refuse(error: int, numbers: list[int]) -> None:
    """Set the filter for this process and all that it becomes."""
    steps = [(_LOAD, 0, 0, 0)]
    for number in numbers:
        steps += [(_SKIP_UNLESS, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_FILTER, _FILTER, head, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "the kernel takes no filter")


if __name__ == "__main__":
    _refuse(int(sys.argv[1]), [int(number) for number in sys.argv[2].split(",")])
    os.execv(sys.argv[3], sys.argv[3:])
