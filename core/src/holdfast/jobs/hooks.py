"""What is told of a job outside of it: programs of the user, and a URL that is pinged.

Both are bounded, and neither keeps a backup from being made, but for a program before it that says so by exit 75.
"""

import threading
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any
from urllib.error import HTTPError

import msgspec

from holdfast.errors import HoldfastError, quote_name
from holdfast.jobs.children import Children
from holdfast.jobs.model import Ping
from holdfast.jobs.references import read_secret

SKIP = 75  #: EX_TEMPFAIL: not now
_KEPT = 4096  # bytes of the output of a hook
_PING = 10.0  # seconds for all of a ping

Tell = Callable[[str], object]


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one program."""

    event: str
    command: str
    exit_code: int
    timed_out: bool
    output: str


def run_hooks(
    event: str,
    commands: Sequence[Sequence[str]],
    record: dict[str, Any],
    *,
    children: Children,
    timeout: float,
    last: bool = False,
) -> list[Hook]:
    """Run programs one after another, each with the record on its standard input; the first that fails ends that."""
    done: list[Hook] = []
    for command in commands:
        given = msgspec.json.encode({"event": event, **record}, enc_hook=str)
        ended = children.run(command, timeout=timeout, given=given, last=last)
        output = (ended.output + ended.errors)[-_KEPT:].decode(errors="replace")
        hook = Hook(
            event=event, command=command[0], exit_code=ended.code, timed_out=ended.timed_out, output=output.strip()
        )
        done.append(hook)
        if hook.exit_code:
            break
    return done


class Pinger:
    """Tells a URL of a job, if there is one; what goes wrong is told and costs ten seconds at most."""

    def __init__(self, job: str, ping: Ping | None, children: Children, tell: Tell) -> None:
        self._job = job
        self._tell = tell
        self._url: str | None = None
        if ping is None:
            return
        try:
            what = f"the ping of {job}"
            self._url = read_secret(what, children, command=ping.command, file=ping.file, env=ping.env)
        except HoldfastError as error:
            tell(error.message)
        if self._url is not None and not self._url.startswith(("https://", "http://")):
            tell(f"the ping of {job}: what was read is no URL of http or https")
            self._url = None

    def start(self) -> None:
        """Tell that it begins."""
        self._send("/start")

    def end(self, code: int) -> None:
        """Tell that it went well, or with which exit code not."""
        self._send(f"/{code}" if code else "")

    def _send(self, path: str) -> None:
        if self._url is None:
            return
        before, mark, query = self._url.partition("?")
        url, why = f"{before.rstrip('/')}{path}{mark}{query}", [f"no answer within {_PING:g} s"]

        def send() -> None:
            try:
                request = urllib.request.Request(url, headers={"User-Agent": "holdfast"})  # noqa: S310 (checked)
                with urllib.request.urlopen(request, timeout=_PING) as answer:  # noqa: S310
                    answer.read(1024)
                why.clear()
            except HTTPError as error:
                why[:] = [f"the service answers {error.code}"]
            except Exception as error:  # noqa: BLE001 (whatever it is, it must not show the URL, which is a secret)
                why[:] = [type(getattr(error, "reason", error)).__name__]

        thread = threading.Thread(target=send, name="ping", daemon=True)
        thread.start()
        thread.join(_PING)  # a server that sends a byte now and then keeps within every timeout of a socket
        if why:
            self._tell(f"the ping of {quote_name(self._job)} failed: {why[0]}")
