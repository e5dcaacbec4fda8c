"""The hooks: what Holdfast calls, when, and what a plugin returns. Each with a worked example.

A plugin module marks its functions with `holdfast.api.hookimpl`. For every operation hook the core first looks
up which plugin lists the name among its components, then calls that plugin alone (and wrappers): a hook never
has to find out whether it is meant, but returns None for names that are not its own all the same.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any

from holdfast.api import (
    CheckRequest,
    Cipher,
    Codec,
    Component,
    DumpRequest,
    DumpSession,
    Event,
    Hasher,
    Moment,
    MomentRequest,
    Requirement,
    RestoreRequest,
    RestoreSession,
    Scratch,
    ScratchRequest,
    Storage,
    hookspec,
)


class HoldfastSpecs:
    """The hook specifications of API version 1."""

    @hookspec
    def holdfast_components(self) -> Iterable[Component]:
        """List what the plugin offers, as data; called once, at the start, so it imports no driver.

        Example::

            @hookimpl
            def holdfast_components():
                yield Component(kind=Kind.CODEC, name="lz4", summary="LZ4 frames", options=Lz4Options)
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_dump(self, scheme: str, request: DumpRequest) -> AbstractContextManager[DumpSession] | None:
        """Open a dump of the database at `request.url`: entering the context takes the snapshot.

        It must not be a generator function itself (a generator is never None and would claim every scheme):
        return a context manager, for instance from a function decorated with `contextlib.contextmanager`.

        Errors: `UnreachableError`, `CredentialsError`, `IntegrityError` for what is no database,
        `UsageError` for options.

        Example::

            @hookimpl
            def holdfast_dump(scheme, request):
                return open_snapshot(request) if scheme == "leveldb" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_restore(self, scheme: str, request: RestoreRequest) -> AbstractContextManager[RestoreSession] | None:
        """Open a restore into the database at `request.url`; entering checks all that can be checked.

        Nothing of the target is touched before the first `load`, and leaving without `commit` undoes.

        Example::

            @hookimpl
            def holdfast_restore(scheme, request):
                return Restore(request) if scheme == "leveldb" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_compress(self, codec: str, options: Any) -> Codec | None:
        """Return the codec of that name; `options` is an instance of the component's options, or None.

        Backups are decoded by a codec made with its default options: whatever options encoded must decode so.

        Example::

            class Lz4:
                suffix = ".lz4"

                def encode(self, block):
                    return lz4.frame.compress(block)

                def decoder(self):
                    return Lz4Decoder()


            @hookimpl
            def holdfast_compress(codec, options):
                return Lz4() if codec == "lz4" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_checksum(self, algorithm: str) -> Hasher | None:
        """Start a new digest; called anew for the plain and for the stored bytes of each stream, from any thread.

        Example::

            @hookimpl
            def holdfast_checksum(algorithm):
                return blake3.blake3() if algorithm == "blake3" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_encrypt(self, cipher: str, options: Any) -> Cipher | None:
        """Return the cipher of that name; `options` is an instance of the component's options, or None.

        Backups are opened by a cipher made with its default options: whatever options sealed must open so.

        Example::

            @hookimpl
            def holdfast_encrypt(cipher, options):
                return Aes256Gcm() if cipher == "aes256gcm" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_storage(self, scheme: str, url: str, options: Any) -> Storage | None:
        """Open the place at `url` that keeps backups; it creates nothing before the first write.

        Example::

            @hookimpl
            def holdfast_storage(scheme, url, options):
                return Bucket(url) if scheme == "s3" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_scratch(self, scheme: str, request: ScratchRequest) -> AbstractContextManager[Scratch] | None:
        """Make an empty database for a restore test and drop it at the end.

        Its name is `holdfast_drill_<id>_<random>`; it carries a marker and is held by a lock, so that what a
        killed drill left can be told from everything else and dropped by the next one.

        Example::

            @hookimpl
            def holdfast_scratch(scheme, request):
                return temporary_database(request) if scheme == "leveldb" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_databases(self, scheme: str, url: str) -> Sequence[str] | None:
        """List the URLs of every database of the server at `url`, without templates and system databases.

        What else there is to say of them goes with the list in `holdfast.api.Databases`.

        Example::

            @hookimpl
            def holdfast_databases(scheme, url):
                return list_databases(url) if scheme == "couchdb" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_moment(self, scheme: str, request: MomentRequest) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment, so that the dumps of each that follow show it.

        An engine that cannot do so has no such hook, or returns None. Whatever keeps a database from being among
        them is no error: the moment names it in `missing`.

        Example::

            @hookimpl
            def holdfast_moment(scheme, request):
                return freeze(request.urls) if scheme == "leveldb" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_executor(self, scheme: str, url: str) -> Executor | None:
        """Open an executor for `holdfast run --executor URL`, such as a connection to the scheduler of a cluster.

        It is given functions that pickle by name, each with one argument of bytes, which holds no secret, and may call
        them anywhere, any number of times: a backup that is there already is made no second time. What they return is
        plain data. `shutdown(wait=False, cancel_futures=True)` ends what is still at work, as far as it can.

        Errors: `UnreachableError` where nobody answers at the URL, `UsageError` for the URL.

        Example::

            @hookimpl
            def holdfast_executor(scheme, url):
                return ProcessPoolExecutor(8) if scheme == "processes" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def holdfast_check(self, scheme: str, request: CheckRequest) -> Iterable[Requirement] | None:
        """Tell what a backup, or a drill, of the database at `request.url` needs, and whether it is there.

        Nothing is changed, and no lock is taken that anybody could wait for. Each is told as soon as it is known, so
        that what was seen before a server stopped answering is not lost; whatever keeps the rest from being told is
        raised, as by `holdfast_dump`.

        Example::

            @hookimpl
            def holdfast_check(scheme, request):
                return look(request.url) if scheme == "leveldb" else None
        """
        raise NotImplementedError

    @hookspec
    def holdfast_observe(self, event: Event) -> None:
        """Watch a run, in the thread that runs it: what takes long delays it. Errors are logged, never raised.

        Example::

            @hookimpl
            def holdfast_observe(event):
                if event.type == "failed":
                    page_somebody(event.message)
        """
        raise NotImplementedError
