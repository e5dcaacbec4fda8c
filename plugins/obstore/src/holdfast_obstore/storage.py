"""A bucket or container as a storage: create-only writes, reads by stream, batches of deletions, conditional leases."""

import contextlib
import errno
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import obstore

from holdfast.api import Guarantee, HoldfastError, Leases, Stat, UnreachableError
from holdfast_obstore.client import Client
from holdfast_obstore.failures import is_obstore, is_past_the_end, meaning
from holdfast_obstore.guarantees import Put, written_guarantees
from holdfast_obstore.interrupting import interruptible
from holdfast_obstore.upload import Upload

_LEASES = ".leases/"
_PIECE = 1 << 20
_PAGE = 1_000
_BATCH = 256  # what one request deletes at most, in Azure


class ObstoreStorage:
    """Objects below a prefix of a bucket or container."""

    def __init__(self, client: Client, *, create_required: bool, ends_uploads: bool) -> None:
        self.location = client.place.text
        self._client = client
        self._prefix = client.place.prefix
        self._create_required = create_required
        self._ends_uploads = ends_uploads
        self._leases = Leases(self._get_lease, self._put_lease)
        self._last_put: Put | None = None

    @contextmanager
    def writer(self, path: str) -> Iterator[Upload]:
        """Send an object as it comes, and let it be seen at a clean exit."""
        upload = Upload(self._client, path, required=self._create_required)
        try:
            yield upload
            upload.finish(self._leases.check)
        except BaseException:
            with contextlib.suppress(HoldfastError, OSError):
                upload.abort()
            raise

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a part in one request."""
        if length == 0:
            self.stat(path)
            return b""
        chosen: Any = {"offset": offset} if length is None else (offset, offset + length)
        options = {} if length is None and not offset else {"options": {"range": chosen}}

        def read(store: Any) -> bytes:
            try:
                return bytes(store.get(self._key(path), **options).bytes())
            except Exception as error:
                if not is_past_the_end(error):
                    raise
                return b""

        return self._client.call(path, read)

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Read the rest in one request."""

        def begin(store: Any) -> Any:
            try:
                return store.get(self._key(path), **({"options": {"range": {"offset": offset}}} if offset else {}))
            except Exception as error:
                if not is_past_the_end(error):
                    raise
                return None

        result = self._client.call(path, begin)
        pieces = iter(()) if result is None else iter(result.stream(min_chunk_size=_PIECE))
        try:
            while (piece := interruptible(lambda: next(pieces, None))) is not None:
                yield bytes(piece)
        except Exception as error:
            if not is_obstore(error):
                raise
            meant = meaning(error, self._client.place, path)
            if isinstance(meant, UnreachableError):  # in the middle of it, which can be gone on with
                raise ConnectionError(errno.ECONNRESET, str(meant), path) from error
            raise meant from error

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """List page by page, in the order of names, and go on behind what was listed where a request fails."""
        pages = _Pages(self._key(prefix).rstrip("/") or None)
        while (page := self._client.call(prefix, pages.following)) is not None:
            for meta in page:
                path = meta["path"].removeprefix(self._prefix)
                if not path.startswith(_LEASES):
                    yield Stat(path=path, size=meta["size"], version=meta["e_tag"] or "")

    def names(self, folder: str) -> Iterator[str]:
        """List folders by a delimiter."""
        within = self._key(folder).rstrip("/") or None
        folders = self._client.call(folder, lambda store: store.list_with_delimiter(within)["common_prefixes"])
        names = (each.rstrip("/").rpartition("/")[2] for each in folders)
        yield from (name for name in names if folder or f"{name}/" != _LEASES)

    def guarantees(self) -> Iterator[Guarantee]:
        """Say what is known of the service; nothing is asked that the library cannot ask."""
        size = f"{self._client.place.part_size >> 20} MiB"
        if self._create_required:
            detail = f"one of more than {size} is copied to its name by the service, only if that is free"
        else:
            detail = f"whether the name of one of more than {size} is free is looked before it is written"
        yield Guarantee(name="create only, large objects", holds=self._create_required, detail=detail)
        ends = "after seven days, by the service" if self._ends_uploads else "only a rule of the bucket does that"
        yield Guarantee(name="unfinished uploads end", holds=True if self._ends_uploads else None, detail=ends)
        yield from written_guarantees(self._client, self._last_put)

    def fetch_steps(self, folder: str) -> Sequence[str]:
        """Say how rclone fetches a folder."""
        return self._client.place.fetch(self._prefix + folder)

    def stat(self, path: str) -> Stat:
        """Ask for the size of an object."""
        return Stat(path=path, size=self._client.call(path, lambda store: store.head(self._key(path))["size"]))

    def delete(self, path: str) -> None:
        """Remove an object."""
        self._leases.check()
        with contextlib.suppress(FileNotFoundError):
            self._client.call(path, lambda store: store.delete(self._key(path)))

    def delete_many(self, paths: Sequence[str]) -> None:
        """Remove objects by the batch; a batch that one is missing from is carried out one by one."""
        for batch in _batches(paths):
            self._leases.check()
            try:
                self._client.call(batch[0], partial(self._delete, batch))
            except FileNotFoundError:
                for path in batch:
                    self.delete(path)

    def _delete(self, paths: Sequence[str], store: Any) -> None:
        store.delete([self._key(path) for path in paths])

    def barrier(self) -> None:
        """What was answered is on the service's disks."""

    def lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name by an object that is replaced only as it was read."""
        return self._leases.hold(name, ttl)

    def shared_lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name beside others."""
        return self._leases.hold(name, ttl, shared=True)

    def _key(self, path: str) -> str:
        return self._prefix + path

    def _get_lease(self, name: str) -> tuple[bytes, dict[str, str]] | None:
        def read(store: Any) -> tuple[bytes, dict[str, str]]:
            result = store.get(self._key(_LEASES + name))
            tag = {key: result.meta[key] for key in ("e_tag", "version") if result.meta[key]}
            return bytes(result.bytes()), tag

        try:
            return self._client.call(_LEASES + name, read)
        except FileNotFoundError:
            return None

    def _put_lease(self, name: str, value: bytes, tag: dict[str, str] | None) -> bool:
        def put(store: Any) -> None:
            began, key = datetime.now(UTC), self._key(_LEASES + name)
            answer = store.put(key, value, mode=tag or "create")
            self._last_put = Put(key=key, began=began, ended=datetime.now(UTC), answer=answer)

        try:
            self._client.call(_LEASES + name, put)
        except (FileExistsError, FileNotFoundError):  # changed, or removed, by another
            return False
        return True


class _Pages:
    """A listing, begun anew behind its last name where a request has failed."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._last: str | None = None
        self._pages: Iterator[Any] | None = None

    def following(self, store: Any) -> Any:
        """The next objects, None at the end."""
        if self._pages is None:
            self._pages = iter(obstore.list(store, self._folder, offset=self._last, chunk_size=_PAGE))
        try:
            page = next(self._pages, None)
        except BaseException:
            self._pages = None
            raise
        if page:
            self._last = page[-1]["path"]
        return page


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[at : at + _BATCH] for at in range(0, len(paths), _BATCH))
