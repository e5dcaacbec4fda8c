"""Whatever is read or returned through a plugin and its wrappers: the error names all of these, and nobody else."""

import errno
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

import holdfast
from holdfast.api import Component, Forwarding, Kind, hookimpl
from holdfast.errors import HoldfastError, IntegrityError, PluginError
from holdfast.plugins.registry import Registry
from holdfast.testing import MemoryPlugin, MemoryStorage, memory_registry
from holdfast.testing.memory import URL

WRAPPED = "storage 'kept' of Keeping-1 (wrapped by plugin 'Around-2' of Around-2)"


class Keeping:
    def __init__(self) -> None:
        self.storage = MemoryStorage()

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.STORAGE, name="kept")]

    @hookimpl
    def holdfast_storage(self, scheme: str) -> Any:
        return self.storage if scheme == "kept" else None


class Around:
    """Wraps storages in objects of a class."""

    kind: Any = Forwarding

    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        return self.kind((yield))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00\xff", b"{}"])
def test_a_garbled_file_of_a_store_names_the_storage_that_it_was_read_through(content: bytes) -> None:
    keeping = Keeping()
    registry = memory_registry(keeping, Around())
    holdfast.backup(URL, store="kept://x", codec="none", registry=registry)
    kept = dict(keeping.storage.objects)
    for path, said in (
        ("holdfast.json", "holdfast.json of the store at memory"),
        ("app/source.json", "app/source.json"),
    ):
        keeping.storage.objects = kept | {path: content}
        with pytest.raises(IntegrityError) as caught:
            holdfast.backup(URL, store="kept://x", codec="none", registry=registry)
        assert caught.value.message.startswith(said or path)
        assert f"as {WRAPPED} reads it" in caught.value.message


class Twice(Around):
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        result = yield
        yield
        return result


class TwiceAfterErrors(Around):
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        try:
            return (yield)
        except PluginError:
            yield
            raise


class Never(Around):
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        if self.kind is None:
            yield


class OldTwice(Around):
    @hookimpl(hookwrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        yield
        yield


class Refusing(Keeping):
    @hookimpl
    def holdfast_storage(self, scheme: str) -> Any:
        raise PluginError("the service is not configured")


@pytest.mark.filterwarnings("ignore::pluggy.PluggyTeardownRaisedWarning")
@pytest.mark.parametrize(
    ("wrapper", "keeping", "what"),
    [
        (Twice, Keeping, "yields a second time"),
        (TwiceAfterErrors, Refusing, "yields a second time"),
        (Never, Keeping, "does not yield"),
        (OldTwice, Keeping, "yields a second time"),
    ],
)
def test_a_wrapper_that_does_not_yield_once_is_blamed_itself(wrapper: Any, keeping: Any, what: str) -> None:
    registry = Registry(plugins=[keeping(), wrapper(), Around()], discover=False, environ={})
    with pytest.raises(PluginError) as caught:
        registry.storage("kept://x")
    name, owner = f"{wrapper.__name__}-1", keeping.__name__
    said = f"plugin '{name}' of {name}, which wraps storage 'kept' of {owner}-0, breaks its contract"
    assert caught.value.message == f"{said}: it {what}, and a wrapper yields once"


class Counting(Forwarding):
    """What wrappers are made of: methods that call those of what they wrap, and look at what comes of it."""

    @contextmanager
    def writer(self, path: str) -> Iterator[Any]:
        with self.wrapped.writer(path) as writer:
            yield writer

    @contextmanager
    def lease(self, name: str, ttl: float = 60.0) -> Iterator[None]:
        with self.wrapped.lease(name, ttl):
            yield

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        return bytes(self.wrapped.read(path, offset, length)[:length])

    def list(self, prefix: str = "") -> Iterator[Any]:
        yield from (stat for stat in self.wrapped.list(prefix) if stat.size >= 0)

    def stat(self, path: str) -> Any:
        return replace(self.wrapped.stat(path))


class Old(Around):
    @hookimpl(hookwrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        outcome = yield
        outcome.force_result(self.kind(outcome.get_result()))


USES: dict[str, Any] = {
    "writer": lambda storage: storage.writer("a").__enter__(),
    "lease": lambda storage: storage.lease("a").__enter__(),
    "read": lambda storage: storage.read("a"),
    "list": lambda storage: list(storage.list()),
    "stat": lambda storage: storage.stat("a"),
}


@pytest.mark.parametrize("around", [Around, Old])
@pytest.mark.parametrize("value", [None, 5, "text"])
@pytest.mark.parametrize("method", USES)
def test_what_a_plugin_returns_behind_a_wrapper_is_still_its_own_fault(method: str, value: Any, around: Any) -> None:
    keeping, wrapper = Keeping(), around()
    wrapper.kind = Counting
    vars(keeping.storage)[method] = lambda *_: value
    storage = Registry(plugins=[keeping, wrapper, Passing()], discover=False, environ={}).storage("kept://x")
    with pytest.raises(PluginError) as caught:
        USES[method](storage)
    title = f"{around.__name__}-1"
    said = f"storage 'kept' of Keeping-0 (wrapped by plugin '{title}' of {title}) breaks its contract: {method}() "
    assert caught.value.message.startswith(f"{said}returned {type(value).__name__}, expected ")


class Passing(Around):
    kind = staticmethod(lambda value: value)


class Stumbling(Forwarding):
    def stat(self, path: str) -> Any:
        return len(path) / 0


class Wrong(Forwarding):
    def stat(self, path: str) -> Any:
        return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Stumbling, ", failed in stat(): ZeroDivisionError: division by zero"),
        (Wrong, ", breaks its contract: stat() returned str, expected Stat"),
    ],
)
def test_what_a_wrapper_does_wrong_in_a_part_is_its_own_fault(kind: Any, said: str) -> None:
    outermost, wrapper, keeping = Around(), Old(), Keeping()
    wrapper.kind = kind
    plugins = [keeping, Around(), wrapper, Passing(), outermost]
    with pytest.raises(HoldfastError) as caught:
        Registry(plugins=plugins, discover=False, environ={}).storage("kept://x").stat("a")
    assert caught.value.message == f"plugin 'Old-2' of Old-2, which wraps storage 'kept' of Keeping-0{said}"


class WrappingDumps:
    @hookimpl(wrapper=True)
    def holdfast_dump(self) -> Generator[None, Any, Any]:
        return self.around((yield))

    @contextmanager
    def around(self, context: Any) -> Iterator[Any]:
        with context as session:
            yield Sized(session)


class Sized(Forwarding):
    def read(self, stream: Any) -> Iterator[bytes]:
        for chunk in self.wrapped.read(stream):
            yield chunk[:]


class BadDump(MemoryPlugin):
    @hookimpl
    def holdfast_dump(self, scheme: str, request: Any) -> Any:
        return self.around(super().holdfast_dump(scheme, request))

    @contextmanager
    def around(self, context: Any) -> Iterator[Any]:
        with context as session:
            yield Numbers(session)


class Numbers(Forwarding):
    def read(self, stream: Any) -> Iterator[Any]:
        yield from [len(stream.name)]


def test_a_dump_that_yields_no_bytes_behind_a_wrapper_is_the_fault_of_the_engine() -> None:
    registry = Registry(plugins=[BadDump(), WrappingDumps()], discover=False, environ={})
    with pytest.raises(PluginError) as caught:
        holdfast.backup(URL, store=MemoryStorage(), codec="none", registry=registry)
    around = "(wrapped by plugin 'WrappingDumps-1' of WrappingDumps-1)"
    said = f"engine 'memory' of BadDump-0 {around} breaks its contract: read() returned int, expected bytes"
    assert caught.value.message == said


class Full:
    """A codec and a checksum of which a method finds a disk full, as a library does that keeps tables in a file."""

    suffix = ".full"

    def __init__(self, method: str) -> None:
        self._method = method

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.CODEC, name="full"), Component(kind=Kind.CHECKSUM, name="full")]

    @hookimpl
    def holdfast_compress(self, codec: str) -> Any:
        return self._do("compress", self) if codec == "full" else None

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Any:
        return self._do("checksum", self) if algorithm == "full" else None

    def encode(self, block: Any) -> bytes:
        return bytes(self._do("encode", block))

    def decoder(self) -> Any:
        return self._do("decoder", self)

    def decode(self, data: Any) -> Iterator[bytes]:
        yield self._do("decode", data)

    def finish(self) -> None:
        self._do("finish", None)

    def update(self, data: Any) -> None:
        self._do("update", data)

    def hexdigest(self) -> str:
        return str(self._do("hexdigest", "00"))

    def _do(self, method: str, value: Any) -> Any:
        if method == self._method:
            raise OSError(errno.ENOSPC, "No space left on device", "/var/cache/tables")
        return value


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("method", "kind", "where"),
    [
        ("compress", "codec", ""),
        ("encode", "codec", " in encode()"),
        ("decoder", "codec", " in decoder()"),
        ("decode", "codec", " in decode()"),
        ("finish", "codec", " in finish()"),
        ("checksum", "checksum", ""),
        ("update", "checksum", " in update()"),
        ("hexdigest", "checksum", " in hexdigest()"),
    ],
)
def test_what_the_system_refuses_to_a_codec_or_checksum_is_no_error_of_the_store(
    method: str, kind: str, where: str, wrapped: bool
) -> None:
    registry = memory_registry(Full(method), *[Everywhere()] * wrapped)
    with pytest.raises(HoldfastError) as caught:
        holdfast.backup(URL, store=MemoryStorage(), codec="full", checksums=["full"], registry=registry)
    around = " (wrapped by plugin 'Everywhere-2' of Everywhere-2)" if wrapped else ""
    said = f"{kind} 'full' of Full-1{around} failed{where}: /var/cache/tables: no space left on the device"
    assert said in caught.value.message
    assert "the store" not in caught.value.message


class Everywhere:
    @hookimpl(wrapper=True)
    def holdfast_compress(self) -> Generator[None, Any, Any]:
        return Forwarding((yield))

    @hookimpl(wrapper=True)
    def holdfast_checksum(self) -> Generator[None, Any, Any]:
        return Forwarding((yield))
