"""A plugin that reads stored bytes wrongly is at fault, and nothing is said of the backup."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

import holdfast
from holdfast.api import Component, Kind, Stat, hookimpl
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, PluginError
from holdfast.plugins.registry import Registry
from holdfast.store.manifest import BlobRecord
from holdfast.store.plugin_faults import PluginFaults
from holdfast.testing import MemoryEngine, MemoryStorage
from holdfast.testing.memory import TARGET, URL


class Turned:
    """A codec that turns each byte; what `change` makes of it comes out."""

    suffix = ".turned"

    def __init__(self) -> None:
        self.change: Any = lambda plain: [plain]

    def encode(self, data: Any) -> bytes:
        return bytes(data).translate(_TURNED)

    def decoder(self) -> "Turned":
        return self

    def decode(self, data: Any) -> Iterator[bytes]:
        yield from self.change(bytes(data).translate(_TURNED))

    def finish(self) -> None:
        pass


_TURNED = bytes(byte ^ 255 for byte in range(256))


class Length:
    """A checksum that is none."""

    factor = 1

    def __init__(self) -> None:
        self.size = 0

    def update(self, data: Any) -> None:
        self.size += len(data)

    def hexdigest(self) -> str:
        return f"{self.size * self.factor:016x}"


class Reading(MemoryStorage):
    """A storage whose reads of a blob are not what it lists."""

    change: Any = None

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        if self.change and path.endswith(".turned"):
            return bytes(self.change(length))
        return super().read(path, offset, length)

    def stat(self, path: str) -> Stat:
        return Stat(path=path, size=len(super().read(path)))


class Offers:
    def __init__(self) -> None:
        self.codec = Turned()

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.CODEC, name="turned"), Component(kind=Kind.CHECKSUM, name="length")]

    @hookimpl
    def holdfast_compress(self, codec: str) -> Any:
        return self.codec if codec == "turned" else None

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Any:
        return Length() if algorithm == "length" else None


class Store:
    """One backup made with a codec and a checksum of a plugin."""

    def __init__(self) -> None:
        self.offers = Offers()
        self.storage = Reading()
        self.engine = MemoryEngine()
        self.registry = Registry(plugins=[self.offers, self.engine], environ={})
        options: Any = {"codec": "turned", "checksums": ("length",), "engine": self.engine}
        holdfast.backup(URL, store=self.storage, registry=self.registry, **options)

    def verify(self) -> Any:
        return holdfast.verify(store=self.storage, registry=self.registry, read_data=True)

    @property
    def state(self) -> str:
        (listed,) = holdfast.list_backups(store=self.storage, registry=self.registry)
        return listed.state


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.mark.parametrize(
    "change",
    [lambda plain: [b"garbage", plain], lambda plain: [], lambda plain: iter(lambda: plain, None)],
    ids=["more", "nothing", "without end"],
)
def test_a_codec_that_does_not_decode_what_it_encodes_is_no_damage(change: Any, store: Store) -> None:
    store.offers.codec.change = change
    with pytest.raises(PluginError, match="codec 'turned' of Offers-0 does not decode what it encodes; blob") as caught:
        store.verify()
    assert "nothing is said of the backup" in str(caught.value.hint)
    assert store.state == "complete"
    with pytest.raises(PluginError, match="codec 'turned' of Offers-0 does not decode what it encodes; blob"):
        holdfast.restore("latest", TARGET, store=store.storage, registry=store.registry, engine=store.engine)
    store.offers.codec.change = lambda plain: [plain]
    assert store.verify()[0].passed
    assert store.state == "verified"


def test_another_version_of_the_codec_may_be_why_nothing_is_decoded() -> None:
    store = Store()
    path, content = next((path, bytes(data)) for path, data in store.storage.objects.items() if "turned" in path)
    blob = BlobRecord(path="a", size=len(content), digests={"sha256": hashlib.sha256(content).hexdigest()})
    hashers = {"sha256": hashlib.sha256}
    error = IntegrityError("it differs")

    def judged(made_with: dict[str, str]) -> HoldfastError:
        return PluginFaults(store.storage, store.registry.codec("turned"), hashers, made_with)(path, blob, error)

    other = judged({"Offers-0": "7.1"})
    assert isinstance(other, PluginError)
    assert "does not decode what version 7.1 has encoded" in other.message
    assert str(other.hint).startswith("pip install Offers-0==7.1, with which the backup was made")
    assert judged({"Offers-0": ""}).message == (
        "it differs; its stored bytes are as recorded, so it was damaged before it was stored"
    )
    changed = BlobRecord(path="a", size=len(content), digests={"sha256": hashlib.sha256(b"").hexdigest()})
    assert PluginFaults(store.storage, store.offers.codec, hashers, {})(path, changed, error) is error
    wrong = PluginFaults(store.storage, store.offers.codec, {"sha256": hashlib.blake2b}, {})(path, blob, error)
    assert (type(wrong), "gives another SHA-256 than Python's own" in wrong.message) == (PluginError, True)


def test_a_further_checksum_that_differs_where_sha256_agrees_is_a_warning(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Length, "factor", 3)
    (result,) = store.verify()
    assert (result.passed, store.state) == (True, "verified")
    assert sorted(text.partition("digest of ")[2][:6] for text in result.warnings) == ["blob d", "stream"]
    assert all(text.startswith("checksum 'length' of Offers-0 gives another digest of ") for text in result.warnings)


@pytest.mark.parametrize(
    ("change", "text"),
    [(lambda _: b"", "gives 0 bytes of blob"), (lambda length: b"x" * (length or 9), "gives more bytes of blob")],
    ids=["nothing", "without end"],
)
def test_a_storage_that_reads_otherwise_than_it_lists_is_no_damage(change: Any, text: str, store: Store) -> None:
    store.storage.change = change
    with pytest.raises(PluginError, match=text):
        store.verify()
    assert store.state == "complete"


def test_a_copy_names_the_storage_that_reads_otherwise_than_it_lists() -> None:
    class Short(MemoryStorage):
        def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
            data = super().read(path, offset, length)
            return data if path.endswith((".json", ".md", "SHA256SUMS")) else data[:-1]

        def stat(self, path: str) -> Stat:
            return Stat(path=path, size=len(super().read(path)))

    engine, sound = MemoryEngine(), MemoryStorage()
    registry = Registry(plugins=[engine], environ={})
    record = holdfast.backup(URL, store=sound, engine=engine, registry=registry)
    short, other = Short(), MemoryStorage("other")
    short.objects = sound.objects
    result = holdfast.copy(record.id, store=short, to=other, registry=registry)
    assert [failed.error.exit_code for failed in result.failed] == [14]
    assert re.search("gives .* bytes of .*, and tells .* as its size", str(result.failed[0].error))
    assert not any(path.endswith("backup_manifest.json") for path in other.objects)


def test_a_place_that_is_not_there_is_not_found_for_a_backup_too() -> None:
    class Nowhere(MemoryStorage):
        def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
            raise NotFoundError("there is no bucket 'nowhere'")

    engine = MemoryEngine()
    with pytest.raises(NotFoundError, match="there is no bucket 'nowhere'"):
        holdfast.backup(URL, store=Nowhere(), engine=engine, registry=Registry(plugins=[engine], environ={}))


def test_the_event_of_a_restore_that_is_refused_names_the_backup(store: Store) -> None:
    store.storage.objects = {
        path: content[1:] if path.endswith(".turned") else content for path, content in store.storage.objects.items()
    }
    told: list[Any] = []
    with pytest.raises(IntegrityError, match="is damaged"):
        holdfast.restore(
            "latest", TARGET, store=store.storage, registry=store.registry, engine=store.engine, on_event=told.append
        )
    assert (told[-1].type, told[-1].name, len(told[-1].id)) == ("failed", "app", 23)


class Whitened:
    """A codec of another plugin, whose stored bytes a wrapper has changed."""

    def __init__(self, codec: Any) -> None:
        self.codec, self.suffix = codec, codec.suffix

    def encode(self, data: Any) -> bytes:
        return bytes(self.codec.encode(data)) + b"white"

    def decoder(self) -> Any:
        return self

    def decode(self, data: Any) -> Iterator[bytes]:
        return iter(self.codec.decoder().decode(bytes(data).removesuffix(b"white")))

    def finish(self) -> None:
        pass


class Blackened(Whitened):
    """The same of a wrapper that loses what it has not made itself."""

    def decode(self, data: Any) -> Iterator[bytes]:
        return super().decode(data) if bytes(data).endswith(b"white") else iter(())


class Whitens:
    @hookimpl(wrapper=True)
    def holdfast_compress(self, codec: str) -> Any:
        inner = yield
        return Blackened(inner) if codec == "turned" else inner


@pytest.mark.parametrize("was_wrapped", [True, False])
def test_a_wrapper_that_is_there_no_more_or_only_now_is_no_damage(was_wrapped: bool) -> None:
    """What it does to the bytes nobody else knows; a backup that is said to be damaged would not be restored."""
    store = Store()
    plain, wrapping = store.registry, Registry(plugins=[store.offers, store.engine, Whitens()], environ={})
    store.storage = Reading()
    store.registry = wrapping if was_wrapped else plain
    options: Any = {"codec": "turned", "engine": store.engine}
    holdfast.backup(URL, store=store.storage, registry=store.registry, **options)
    assert store.verify()[0].passed
    store.registry = plain if was_wrapped else Registry(plugins=[store.offers, store.engine, Whitens()], environ={})
    with pytest.raises(PluginError, match=r"was wrapped by (nothing|Whitens\S* ?) when the backup was made") as caught:
        store.verify()
    assert "nothing is said of the backup" in str(caught.value.hint)
    assert store.state == "verified"
