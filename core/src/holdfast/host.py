"""The host that a database lies on: two hosts may each have one of the same path, and keep both in one store."""

import hashlib
import os
import re
import socket
from collections.abc import Mapping

import msgspec

from holdfast.errors import UsageError, quote_name

_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}"
# Docker and Podman name a container by the beginning of its id; pods of Kubernetes end in chance.
_CONTAINER = r"[0-9a-f]{12}"
_POD = r".+-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host by name; `id` is a digest of its machine id, empty where there is none or the name was given."""

    name: str
    id: str = ""

    def is_same(self, other: "Host") -> bool:
        """Whether both are one host: of one name, and of one machine where that is known of both."""
        return self.name == other.name and (self.id == other.id or not self.id or not other.id)

    @property
    def is_passing(self) -> bool:
        """Whether the name looks like one that a container got at its start and takes along when it ends."""
        return bool(re.fullmatch(_CONTAINER, self.name) or re.fullmatch(_POD, self.name))


def this_host(name: str | None = None, environ: Mapping[str, str] = os.environ) -> Host:
    """The host of a run: as it was told (`--host`, `HOLDFAST_HOST`), else the name and machine id of the system."""
    given = environ.get("HOLDFAST_HOST") or None if name is None else name
    if given is not None:
        return Host(name=check_host_name(given))
    return Host(name=socket.gethostname() or "localhost", id=_machine_id())


def check_host_name(name: str) -> str:
    """Return a name of a host as it was given, or raise `UsageError`."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(
            f"not a name of a host: {quote_name(name[:80])}", hint="use letters, digits and . _ - , such as web1"
        )
    return name


def _machine_id() -> str:
    """Sixteen hexadecimal digits that stand for this machine: its own id is for nobody outside of it."""
    for path in _MACHINE_IDS:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                text = file.read(64).strip()
        except OSError:
            continue
        if re.fullmatch("[0-9a-f]{32}", text):
            return hashlib.sha256(f"holdfast\0{text}".encode()).hexdigest()[:16]
    return ""
