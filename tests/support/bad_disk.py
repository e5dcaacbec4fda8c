"""A disk with a sector that cannot be read: the kernel itself answers EIO, to a process and its children.

A seccomp filter has `pread` at one offset fail so, whatever the file, which is what a bad sector looks like. It takes
no privileges; Linux alone has it.
"""

import ctypes
import errno
import os
import struct
import sys

SECTOR = 1 << 20  # the offset in any file
_PREAD = {"x86_64": 17, "aarch64": 67}
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EIO
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # prctl(2)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def run(command: list[str]) -> None:
    """Become a command for which that sector is bad."""
    offset = 16 + 3 * 8  # of the fourth argument in struct seccomp_data
    instructions = (
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 3, _PREAD[os.uname().machine]),
        (0x20, 0, 0, offset),
        (0x15, 0, 1, SECTOR),
        (0x06, 0, 0, _FAIL),
        (0x06, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in instructions))
    program = _Program(len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "seccomp")
    os.execvp(command[0], command)


if __name__ == "__main__":
    run(sys.argv[1:])
