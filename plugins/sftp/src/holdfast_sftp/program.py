"""The `ssh` of the system: how it is started, and what it means when it gives up."""

import contextlib
import fcntl
import io
import os
import re
import subprocess
import tempfile
from typing import IO, cast

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    NotFoundError,
    PluginError,
    UnreachableError,
    UsageError,
    quote_name,
)
from holdfast_sftp.location import Location

_PIPE = 1 << 20  # bytes; with the 64 KiB of Linux the two wait for each other a tenth of the time
_TOLD = 2_000  # bytes of what ssh said last
# The first given counts for ssh, so that these stand above ~/.ssh/config: a prompt would hang a backup at night.
_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "EscapeChar=none",
)
_CREDENTIALS = re.compile(
    r"Permission denied \(|Too many authentication failures|No more authentication methods|"
    r"Permission denied, please try again|no mutual signature|authentication agent"
)
_HOST_KEY = re.compile(
    r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known|"
    r"host key .* has changed|differs from the key for"
)
_SETTINGS = re.compile(
    r"Bad configuration option|Can't open user config|terminating, \d+ bad configuration|hostname contains invalid|"
    r"Bad owner or permissions on|keyword .* extra arguments|Missing argument|remote username contains invalid"
)
_NO_SUBSYSTEM = re.compile(r"subsystem request failed|exec request failed")
_AGENT = "; a key with a passphrase has to be in an agent (ssh-add)"
_NOISE = re.compile(r"^(Warning: Permanently added|debug\d|\*\*|Authenticated to|Pseudo-terminal|@@@|\s*$)")


class Program:
    """A running ssh, its two pipes, and what it says to people."""

    def __init__(self, location: Location) -> None:
        self.killed = False
        self._said: IO[bytes] = tempfile.TemporaryFile(prefix="holdfast-ssh-")  # noqa: SIM115 (closed by `end`)
        try:
            self._process = subprocess.Popen(
                command(location),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # No pipe: a master connection that outlives this one would hold it open.
                stderr=self._said,
                bufsize=0,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,  # Ctrl-C is for us, who tidy up by way of it
            )
        except FileNotFoundError as error:
            self._said.close()
            raise PluginError(
                f"no program 'ssh', by which {location.text} is reached", hint="install it: openssh-client"
            ) from error
        except BaseException:
            self._said.close()
            raise
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
                with contextlib.suppress(OSError):  # of which an account may have so many
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        self.input = cast("io.FileIO", self._process.stdin)
        self.output = cast("io.FileIO", self._process.stdout)

    def end(self, *, wait: float = 0.0) -> int:
        """End it, at once or once it had the time to say why it ends; returns its exit code."""
        with contextlib.suppress(OSError):
            self.input.close()
        try:
            return self._process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            with contextlib.suppress(OSError):
                self.output.close()

    def close(self) -> None:
        """Forget what it said."""
        self._said.close()

    def kill(self) -> None:
        """End it at once, whatever it is doing; what reads from it is told the end."""
        self.killed = True
        self._process.kill()

    def said(self) -> str:
        """What it said to people last, on one line."""
        size = os.fstat(self._said.fileno()).st_size
        text = os.pread(self._said.fileno(), _TOLD, max(0, size - _TOLD)).decode(errors="replace")
        lines = [" ".join(line.split()) for line in text.splitlines() if not _NOISE.match(line)]
        return "; ".join(line.rstrip(".") for line in lines[-4:])

    def everything(self) -> str:
        """All that it said last, for patterns."""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), 4 * _TOLD, max(0, size - 4 * _TOLD)).decode(errors="replace")


def command(location: Location) -> list[str]:
    """What starts ssh; nothing in it is secret."""
    words = ["ssh", "-s"]
    if location.config:
        words += ["-F", location.config]
    for option in _OPTIONS:
        words += ["-o", option]
    if location.port:
        words += ["-p", str(location.port)]
    if location.user:
        words += ["-l", location.user]
    return [*words, "--", location.host, "sftp"]


def explain(location: Location, program: Program, code: int, first: bytes) -> HoldfastError:
    """Say why no session of SFTP began; `first` is what came instead of its first packet."""
    said, text = program.everything(), program.said()
    where = f"{location.text}: {text}" if text else location.text
    by_hand = f"try it by hand: ssh -o BatchMode=yes {location.user + '@' if location.user else ''}{location.host} true"
    if _HOST_KEY.search(said):
        return CredentialsError(
            f"the key of the server is not the one that is known, or none is known: {where}",
            hint="compare its fingerprint with what its owner says, then connect once by hand with ssh, or add it with "
            "ssh-keyscan; after a change remove the old key with ssh-keygen -R",
        )
    if _SETTINGS.search(said):
        return UsageError(f"ssh refuses its settings for {where}", hint="mend ~/.ssh/config, or the file of ?config=")
    if _CREDENTIALS.search(said):
        return CredentialsError(f"the server refuses to log in {where}", hint=by_hand + _AGENT)
    if _NO_SUBSYSTEM.search(said):
        return HoldfastError(
            f"the server offers no SFTP to this account, {where}", hint="its sshd_config needs 'Subsystem sftp'"
        )
    if first:
        return HoldfastError(
            f"the server of {location.text} prints text before SFTP begins: {_printable(first)}",
            hint="let the start-up files of the account, such as ~/.bashrc, print nothing unless the shell is "
            "interactive, or let its sshd use internal-sftp",
        )
    if code == 255 or text:
        return UnreachableError(f"no connection to {where or location.text}", hint=by_hand)
    return UnreachableError(f"the server closed the connection to {location.text} at once", hint=by_hand)


def _printable(data: bytes) -> str:
    text = data.partition(b"\0")[0].decode(errors="replace")[:200]  # packets of SFTP begin with a zero
    return quote_name(" ".join(text.split())) if text.strip() else "an empty line"


def refuse_missing_config(location: Location) -> None:
    """Tell of a file of settings that is not there before ssh does, whose words are less plain."""
    if location.config and not os.path.isfile(location.config):
        raise NotFoundError(f"there is no file {quote_name(location.config)}, which ?config= of {location.text} names")
