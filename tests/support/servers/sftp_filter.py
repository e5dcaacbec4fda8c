"""A subsystem for the tests' sshd: OpenSSH's sftp-server, made to behave as other servers do; see `filtered`.

`bare` tells of no extension; `overwrites` also renames over what is there, as servers do whose language's rename does.
"""

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
_VERSION, _RENAME, _EXTENDED = 2, 18, 200


def filtered(manner: str) -> str:
    """The command for a subsystem that behaves so."""
    return f"{sys.executable} -S {Path(__file__).resolve()} {manner}"


def main(manner: str) -> None:
    """Run the server, and change what goes to it and what comes from it."""
    program = next(path for path in _SERVERS if os.path.exists(path))
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        threading.Thread(target=_forward, args=(server.stdout, sys.stdout.buffer, "bare"), daemon=True).start()
        _forward(sys.stdin.buffer, server.stdin, manner)
        server.stdin.close()


def _forward(source: IO[bytes], target: IO[bytes], manner: str) -> None:
    while len(head := source.read(4)) == 4:
        packet = source.read(struct.unpack(">I", head)[0])
        if packet[0] == _VERSION:
            packet = packet[:5]
        elif packet[0] == _RENAME and manner == "overwrites":
            name = b"posix-rename@openssh.com"
            packet = bytes([_EXTENDED]) + packet[1:5] + struct.pack(">I", len(name)) + name + packet[5:]
        target.write(struct.pack(">I", len(packet)) + packet)
        target.flush()


if __name__ == "__main__":
    main(sys.argv[1])
