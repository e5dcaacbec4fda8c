"""Where `holdfast.toml` is, whether it may be believed, and what it says."""

import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

import msgspec

from holdfast.decodable import decodable
from holdfast.errors import HoldfastError, NotFoundError, UsageError, os_error_text, quote_name
from holdfast.jobs.lines import Lines
from holdfast.jobs.model import BUILT_IN, Config, merged

NAME = "holdfast.toml"
SYSTEM = "/etc/holdfast"
_LARGEST = 64 << 20  # bytes


@dataclass(frozen=True)
class ConfigFile:
    """A file of configuration as it was read.

    `trusted` means that programs may be run because it says so: passwords, hooks, pings.
    """

    path: str
    trusted: bool
    text: str = field(repr=False)
    document: dict[str, Any] = field(repr=False)

    @property
    def folder(self) -> str:
        """What relative paths in it are relative to."""
        return os.path.dirname(self.path)

    @cached_property
    def lines(self) -> Lines:
        """Where in it each key stands; looked for when somebody asks."""
        return Lines(self.text)

    @cached_property
    def inherited(self) -> dict[str, Any]:
        """What a job takes over."""
        return merged(BUILT_IN, self.document.get("defaults", {}))

    def place(self, *path: str) -> str:
        """Where something stands, such as `/etc/holdfast/holdfast.toml:12`."""
        return f"{self.path}:{self.lines.of(path)}"


def find_config(
    named: str | None, warn: Callable[[str], object], environ: Mapping[str, str] = os.environ
) -> ConfigFile:
    """Read the file that was named, else HOLDFAST_CONFIG, `./holdfast.toml`, the user's or the system's, the first.

    None at all is a `NotFoundError`. One in the current folder that another user could have written is passed over.
    """
    named = named or environ.get("HOLDFAST_CONFIG") or None
    if named is not None:
        return read_config(named, trusted=True)
    own, here = user_config(), os.path.abspath(NAME)
    if os.path.lexists(here):
        try:
            return read_config(here, trusted=os.path.dirname(here) in _trusted_folders(own), by_chance=True)
        except _DoubtfulError as doubtful:
            warn(f"{quote_name(here)} is passed over: {doubtful}")
    for path in (own, os.path.join(SYSTEM, NAME)):
        if os.path.exists(path):
            return read_config(path, trusted=True)
    raise NotFoundError(
        f"there is no {NAME} here, and neither {quote_name(own)} nor {SYSTEM}/{NAME}",
        hint="write one (docs/jobs.md shows how), or name it with --config or HOLDFAST_CONFIG",
    )


def user_config() -> str:
    """Where the user's own file is."""
    import platformdirs

    return os.path.join(os.path.abspath(platformdirs.user_config_dir("holdfast")), NAME)


class _DoubtfulError(Exception):
    """Why a file that was met by chance is not to be believed."""


def read_config(path: str, *, trusted: bool, by_chance: bool = False) -> ConfigFile:
    """Read a file; one that is no TOML is a `UsageError` that says where."""
    path = os.path.abspath(path)
    try:
        with _opened(path, by_chance=by_chance) as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {quote_name(path)}") from error
    except OSError as error:
        what = f"cannot read {quote_name(path)}: {os_error_text(error)}"
        if isinstance(error, IsADirectoryError | NotADirectoryError):
            raise UsageError(what) from error
        raise HoldfastError(what) from error  # whoever has written the file and the call has made no mistake
    if len(data) > _LARGEST:
        raise UsageError(f"{quote_name(path)} has more than {_LARGEST >> 20} MiB, which no configuration has")
    try:
        text = data.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}:{_lines_before(data, error.start)}: not UTF-8, as TOML is") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}:{_line_of(error, text)}: not TOML: {_reason(error)}") from error
    return ConfigFile(path, trusted, text, document)


def decoded(file: ConfigFile) -> Config | None:
    """The file by its types at one go; None where something in it is no such thing."""
    try:
        return msgspec.convert(file.document, decodable(Config))
    except msgspec.ValidationError:
        return None


def _opened(path: str, *, by_chance: bool) -> IO[bytes]:
    """The file opened; one that was met by chance is judged by what is open, which nobody can exchange any more."""
    if not by_chance:
        return open(path, "rb")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe would be waited for
    except PermissionError:
        if why := doubt(path):
            raise _DoubtfulError(why) from None
        raise
    if why := doubt(descriptor):
        os.close(descriptor)
        raise _DoubtfulError(why)
    return open(descriptor, "rb")


def doubt(file: str | int) -> str:
    """Why a file that was met by chance is not to be believed, by its path or descriptor, or nothing."""
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if status.st_uid not in (0, os.geteuid()):
        return "it belongs to another user; name it with --config if you mean it"
    if stat.S_IMODE(status.st_mode) & 0o022:
        return "others may write it; take that right from them (chmod go-w), or name it with --config"
    return ""


def _trusted_folders(own: str) -> set[str]:
    """The folders that the user's own file trusts."""
    if not os.path.exists(own):
        return set()
    trusted = read_config(own, trusted=True).document.get("trusted", [])
    return {os.path.abspath(os.path.expanduser(folder)) for folder in trusted if isinstance(folder, str)}


def _line_of(error: Exception, text: str) -> int:
    words = str(error).rpartition("(at line ")[2].partition(",")[0]
    return int(words) if words.isdigit() else text.rstrip("\n").count("\n") + 1


def _reason(error: Exception) -> str:
    reason = str(error).rpartition(" (at ")[0] or str(error)
    return reason[:1].lower() + reason[1:]


def _lines_before(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1
