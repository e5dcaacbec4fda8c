"""What a server of objects, or a proxy before one, does wrong to a request, as networks and services do."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as a fault sees it."""

    method: str
    path: str
    number: int  # from 1 on, of those to this method and path
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Faults:
    """What goes wrong, which may be changed at any time, and all requests that came.

    A fault is `drop` (carried out, and the reply is lost), `lost` (never carried out), `reset` (in the middle of the
    reply), the status of a refusal, or empty for nothing.
    """

    fault: Callable[[Request], str] = lambda _request: ""
    seen: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, method: str, path: str, headers: dict[str, str]) -> str:
        """Count a request, and return what is to be done to it; clients quote paths as each likes."""
        path = unquote(path)
        with self.lock:
            number = 1 + sum(each.method == method and each.path == path for each in self.seen)
            request = Request(method=method, path=path, number=number, headers=headers)
            self.seen.append(request)
        return self.fault(request)
