"""A bucket as a storage: create-only writes, reads by stream, listings by the thousand, leases by conditions."""

import contextlib
import errno
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from holdfast.api import CredentialsError, Guarantee, HoldfastError, Stat, UnreachableError
from holdfast_s3.client import Client, check_part, code_of, meaning
from holdfast_s3.creating import ByCondition, ByTrial, Creating
from holdfast_s3.fetching import fetch_steps
from holdfast_s3.guarantees import guarantees
from holdfast_s3.leases import FOLDER as LEASES
from holdfast_s3.leases import ObjectLeases
from holdfast_s3.listing import age, pages, unfinished
from holdfast_s3.location import Location
from holdfast_s3.upload import Upload, abort
from holdfast_s3.versions import Versions

_PARTIAL = re.compile(r"(?P<path>.*)/\.partial-(?P<upload>[^/]+)")
_PIECE = 1 << 20
_BATCH = 1_000  # what one request deletes at most

log = logging.getLogger("holdfast.storage")


class _Bucket(Versions):
    """Objects below a prefix of a bucket."""

    def __init__(self, location: Location) -> None:
        super().__init__()
        self.location = location.text
        self._location = location
        self._client = Client(location)
        self._creating: Creating = ByCondition()

    @contextmanager
    def writer(self, path: str) -> Iterator[Upload]:
        """Send an object as it comes, and let it be seen at a clean exit."""
        with self._uploading(path, {}) as upload:
            yield upload

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a part in one request."""
        if length == 0:
            self.stat(path)
            return b""
        part = {} if length is None and not offset else _part(offset, length)
        try:
            return self._client.content(path, {"Key": self._key(path), **part})[0]
        except HoldfastError as error:
            if code_of(error) == "InvalidRange":
                return b""
            raise

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Read the rest in one request."""
        return self._get(path, offset)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """List page by page, and uploads that nobody has ended."""
        root = self._location.prefix
        folder = f"{root}{prefix}/" if prefix else root
        for page in pages(self._client, folder):
            for item in page.get("Contents", ()):
                path = item["Key"].removeprefix(root)
                if not path.startswith(LEASES) and not path.endswith("/"):
                    yield Stat(path=path, size=item["Size"], version=item.get("ETag", ""))
        yield from unfinished(self._client, root, folder)

    def names(self, folder: str) -> Iterator[str]:
        """List a thousand folders with each request."""
        prefix = f"{self._location.prefix}{folder}/" if folder else self._location.prefix
        for page in pages(self._client, prefix, Delimiter="/"):
            names = (item["Prefix"].removeprefix(prefix).rstrip("/") for item in page.get("CommonPrefixes", ()))
            yield from (name for name in names if name and (folder or f"{name}/" != LEASES))

    def fetch_steps(self, folder: str) -> Sequence[str]:
        """One program for every service; it takes the keys from where we take them."""
        return fetch_steps(self._location, folder)

    def guarantees(self) -> Iterator[Guarantee]:
        """Ask what the bucket is set to."""
        return guarantees(self._client, self._location.prefix)

    def stat(self, path: str) -> Stat:
        """Ask for the size of an object."""
        return Stat(path=path, size=self._client.call("head_object", path, {"Key": self._key(path)})["ContentLength"])

    def delete(self, path: str) -> None:
        """Remove an object, or end an upload as it was listed."""
        self._check_leases()
        if match := _PARTIAL.fullmatch(path):
            abort(self._client, self._key(match["path"]), path, match["upload"])
            return
        with contextlib.suppress(FileNotFoundError):
            self._client.call("delete_object", path, {"Key": self._key(path)})

    def delete_many(self, paths: Sequence[str]) -> None:
        """Remove a thousand objects with each request."""
        for path in filter(_PARTIAL.fullmatch, paths):
            self.delete(path)
        left: list[str] = []
        objects = [path for path in paths if not _PARTIAL.fullmatch(path)]
        for batch in (objects[at : at + _BATCH] for at in range(0, len(objects), _BATCH)):
            self._check_leases()
            wanted = {"Objects": [{"Key": self._key(path)} for path in batch], "Quiet": True}
            try:
                answer = self._client.call("delete_objects", batch[0], {"Delete": wanted})
            except (CredentialsError, UnreachableError):
                raise
            except HoldfastError:  # it knows no batches, or not this checksum of them
                left += batch
                continue
            errors = [each for each in answer.get("Errors", ()) if each.get("Code") != "NoSuchKey"]
            left += [str(each["Key"]).removeprefix(self._location.prefix) for each in errors]
        for path in left:  # each of which may be busy, or refused for a reason of its own
            self.delete(path)

    def barrier(self) -> None:
        """What was answered is on the service's disks."""

    def _get(self, path: str, offset: int) -> Iterator[bytes]:
        part = _part(offset, None) if offset else {}
        try:
            answer = self._client.call("get_object", path, {"Key": self._key(path), **part})
        except HoldfastError as error:
            if code_of(error) == "InvalidRange":
                return
            raise
        check_part(answer, part)
        with contextlib.closing(answer["Body"]) as body:
            try:
                yield from body.iter_chunks(_PIECE)
            except Exception as error:
                meant = meaning(error, self._location, path)
                if isinstance(meant, UnreachableError):  # in the middle of it, which can be gone on with
                    raise ConnectionError(errno.ECONNRESET, str(meant), path) from error
                raise meant from error


class S3Storage(_Bucket):
    """A bucket in which runs keep each other off by leases, which also find out whether conditions are looked at."""

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self._leases = ObjectLeases(self._client, location, self)

    def lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name by an object that is replaced only as it was read."""
        return self._leases.hold(name, ttl)

    def shared_lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name beside others."""
        return self._leases.hold(name, ttl, shared=True)

    def _check_leases(self) -> None:
        self._leases.check()


class AgedS3Storage(_Bucket):
    """A bucket in which nothing is overwritten or deleted for a lease; age tells what nobody works on."""

    def __init__(self, location: Location, *, required: bool) -> None:
        super().__init__(location)
        self._creating = ByTrial(self._client, location, required=required)

    def lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold nobody off."""
        del name, ttl
        return nullcontext()

    def age(self, folder: str) -> float:
        """Ask when what lies in a folder was written, and what the time is."""
        return age(self._client, f"{self._location.prefix}{folder}/")


def _part(offset: int, length: int | None) -> dict[str, str]:
    return {"Range": f"bytes={offset}-{'' if length is None else offset + length - 1}"}
