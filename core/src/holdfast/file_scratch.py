"""The place of a drill, for engines whose databases are files or folders."""

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from holdfast.errors import UsageError
from holdfast.file_urls import file_url

if TYPE_CHECKING:
    from holdfast.api import Proof, ScratchRequest


def _nothing_wrong(_path: str, /) -> Sequence[str]:
    """What is checked where the engine has no check of its own."""
    return ()


class FileScratch:
    """A `Scratch` of an engine whose databases are files or folders, as a context that makes nothing by itself.

    The restore makes the database in the request's scratch folder, which the core removes with all that is in it.
    `proof` is called with its path and computes what was recorded anew; `check`, with the same, returns what is wrong
    with it, a line each. `--into` is refused, since there is no server.

    Example::

        def open_scratch(request):
            return FileScratch(request, "csvdir", proof=proof_of_folder)
    """

    def __init__(
        self,
        request: "ScratchRequest",
        scheme: str,
        *,
        proof: "Callable[[str], Proof]",
        check: Callable[[str], Sequence[str]] = _nothing_wrong,
        server_version: str = "",
    ) -> None:
        if request.into is not None:
            raise UsageError(
                f"a backup of {scheme} is drilled in a temporary place, not on a server",
                hint="leave out --into; set TMPDIR to choose the folder for temporary files",
            )
        name = f"holdfast_drill_{request.id}_{os.urandom(4).hex()}"
        self.path = os.path.join(os.path.realpath(request.scratch), name)  #: where the restore makes the database
        self.url = file_url(scheme, self.path)  #: the same as a URL
        self.server_version = server_version  #: the version of the library
        self._proof = proof
        self._check = check

    def __enter__(self) -> Self:
        """Name the place."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the rest to the core."""

    def check(self) -> Sequence[str]:
        """What is wrong with the restored database."""
        return self._check(self.path)

    def proof(self, recorded: "Proof") -> "Proof":
        """What the restored database holds."""
        del recorded
        return self._proof(self.path)
