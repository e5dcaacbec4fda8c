"""Where a scheduler is, and a client that is connected to it."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from holdfast.api import DatabaseURL, UnreachableError, UsageError

if TYPE_CHECKING:
    from distributed import Client

_PORT = 8786
_PROTOCOLS = ("tcp", "tls")


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """The address of a scheduler, and how many seconds it may be without an answer, or without a worker."""

    address: str
    timeout: float = 300.0

    @property
    def connect(self) -> float:
        """Seconds for one attempt to connect."""
        return min(10.0, self.timeout)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL such as `dask://scheduler:8786?protocol=tls&timeout=600`; `UsageError` for anything else."""
        url = DatabaseURL.parse(text)
        if len(url.hosts) != 1 or not url.hosts[0][0] or url.path.strip("/") or url.user or url.password:
            raise UsageError("the URL of a scheduler is dask://HOST:PORT, with one host, and no user or path")
        given = dict(url.query)
        if unknown := sorted(given.keys() - {"protocol", "timeout"}):
            raise UsageError(f"a URL of dask has no parameter '{unknown[0]}'", hint="it has protocol and timeout")
        protocol, seconds = given.get("protocol", "tcp"), given.get("timeout", "300")
        if protocol not in _PROTOCOLS:
            raise UsageError(f"the protocol of a scheduler is {protocol!r}, expected tcp or tls")
        if not seconds.isdigit() or not 1 <= int(seconds) <= 86400:
            raise UsageError(f"the timeout of a scheduler is {seconds!r}, expected 1 to 86400 seconds")
        (host, port) = url.hosts[0]
        name = f"[{host}]" if ":" in host else host
        return cls(address=f"{protocol}://{name}:{port or _PORT}", timeout=float(seconds))

    def client(self) -> "Client":
        """Connect; a scheduler that does not answer, or speaks another version, is an `UnreachableError`."""
        import dask.config

        # Its lines on standard error are in no form of ours; what is wrong is told by errors.
        with dask.config.set(logging={"version": 1, "incremental": True}):
            from distributed import Client
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions: what does not fit is an error, told where it comes up
                return Client(self.address, timeout=self.connect, set_as_default=False, name="holdfast")
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise UnreachableError(
                f"the Dask scheduler at {self.address} does not answer: {' '.join(str(error).split())[:300]}",
                hint="is it running, and may this host connect to it? `dask scheduler` starts one",
            ) from error
