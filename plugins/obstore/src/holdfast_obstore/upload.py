"""Writing an object: in one request where it is small, in parts where it is not, and never over another."""

import contextlib
import errno
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import obstore

from holdfast.api import temporary_path
from holdfast_obstore.client import Client
from holdfast_obstore.failures import is_obstore, meaning
from holdfast_obstore.interrupting import interruptible

_MARK = "holdfast_write"


class Upload:
    """One object on its way.

    The library makes an upload in parts only without conditions. What fits in a part is written at the end, and only
    where its name is free. Whether that of a larger object is free is looked before its end; with `required` it has a
    temporary name, and the service copies it to its own only if that is free.
    """

    def __init__(self, client: Client, path: str, *, required: bool) -> None:
        self._client = client
        self._path = path
        self._required = required
        self._token = secrets.token_hex(16)
        self._held: list[bytes] = []
        self._size = 0
        self._writer: Any = None
        self._sent_to = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes, and send them once they are more than a part."""
        if self._writer is not None:
            with self._translated():
                interruptible(partial(self._writer.write, data))
            return
        self._held.append(bytes(data))
        self._size += len(self._held[-1])
        if self._size > self._client.place.part_size:
            self._begin()

    def finish(self, allowed: Callable[[], object]) -> None:
        """Let the object be seen, unless there is one; `allowed` is asked right before."""
        if self._writer is None:
            allowed()
            self._put_whole(b"".join(self._held))
        elif self._required:
            self._end()
            allowed()
            self._create(lambda store: store.copy(self._sent_to, self._key(), overwrite=False))
            self._remove_temporary()
        else:
            self._refuse_taken()
            allowed()
            self._end()

    def abort(self) -> None:
        """Give up what was sent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            error = InterruptedError("given up")
            with self._translated():
                interruptible(lambda: writer.__exit__(type(error), error, None))
        if self._sent_to != self._key():
            self._remove_temporary()

    def _begin(self) -> None:
        self._sent_to = self._key(temporary_path(self._path)) if self._required else self._key()
        size = self._client.place.part_size
        with self._translated():
            self._writer = obstore.open_writer(
                self._client.opened(for_upload=True),
                self._sent_to,
                attributes=self._attributes(),
                buffer_size=size,
                max_concurrency=1,
            )
            held, self._held = self._held, []
            for data in held:
                interruptible(partial(self._writer.write, data))

    def _end(self) -> None:
        """Have the service put the parts together; where the reply is lost, it is looked whether it did."""
        writer, self._writer = self._writer, None
        try:
            interruptible(writer.close)
        except Exception as error:
            if not is_obstore(error):
                raise
            if not self._is_ours(self._sent_to):
                raise meaning(error, self._client.place, self._path) from error

    def _create(self, operation: Callable[[Any], Any]) -> None:
        self._client.call(self._path, operation, again=lambda: self._is_ours(self._key()) or None)

    def _put_whole(self, content: bytes) -> None:
        """Write it where its name is free, or only looks taken: to Azurite it is while an unfinished upload has it."""
        how = {"attributes": self._attributes()}
        for tries_left in (1, 0):
            try:
                self._create(lambda store: store.put(self._key(), content, mode="create", **how))
            except FileExistsError:
                self._refuse_taken()
                if self._required and not tries_left:
                    raise
            else:
                return
        self._client.call(self._path, lambda store: store.put(self._key(), content, **how))

    def _refuse_taken(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._client.call(self._path, lambda store: store.head(self._key()))
            raise FileExistsError(errno.EEXIST, "there is such an object", self._path)

    def _remove_temporary(self) -> None:
        if self._sent_to:
            with contextlib.suppress(FileNotFoundError):
                self._client.call(self._path, lambda store: store.delete(self._sent_to))

    def _is_ours(self, key: str) -> bool:
        """Whether what the service has under a name was put there by a try of ours that was not answered."""
        try:
            attributes = self._client.call(self._path, lambda store: store.get(key).attributes)
        except FileNotFoundError:
            return False
        return bool(attributes.get(_MARK) == self._token)

    def _attributes(self) -> dict[str, str]:
        return {_MARK: self._token}

    def _key(self, path: str = "") -> str:
        return self._client.place.prefix + (path or self._path)

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except Exception as error:
            if not is_obstore(error):
                raise
            raise meaning(error, self._client.place, self._path) from error
