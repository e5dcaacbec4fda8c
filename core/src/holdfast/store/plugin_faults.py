"""Bytes that are not as recorded: whether the store has changed them, or a plugin reads them wrongly.

A finding of damage stays with a backup and forbids its restore. So where the stored bytes are what was recorded, and a
plugin is why something else comes out, it is the plugin's failure, and nothing is said of the backup.
"""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from holdfast.api import Codec, HasherFactory, Storage
from holdfast.errors import HoldfastError, IntegrityError, PluginError, quote_name
from holdfast.plugins.guard import offered_by, provider, wrappers_of
from holdfast.store.manifest import BlobRecord
from holdfast.store.object_bytes import object_bytes
from holdfast.streaming.workers import Stop

_SAMPLE = b"what a codec encodes it decodes " * 4096 + bytes(range(256)) * 64


class FaultClassifier(Protocol):
    """What tells a damaged blob from a plugin that reads it wrongly."""

    def __call__(self, path: str, blob: BlobRecord, error: IntegrityError, /) -> HoldfastError:
        """The error to raise in the place of one about this blob, which may be the same."""
        ...


def reads_otherwise(storage: Storage, what: str, size: int, listed: int) -> PluginError:
    """The error of a storage that gives another number of bytes than it tells."""
    given = "more" if size > listed else str(size)
    return PluginError(
        f"{provider(storage)} gives {given} bytes of {what}, and tells {listed} as its size", hint=_UNTOLD
    )


class PluginFaults:
    """FaultClassifiers what does not agree in one backup.

    `made_with` are the versions of plugins that its manifest names, by distribution, and `wrapped_by` those of the ones
    that wrapped the codec.
    """

    def __init__(
        self,
        storage: Storage,
        codec: Codec,
        hashers: Mapping[str, HasherFactory],
        made_with: Mapping[str, str],
        *,
        wrapped_by: Mapping[str, str] | None = None,
    ) -> None:
        self._storage = storage
        self._codec = codec
        self._hashers = hashers
        self._made_with = made_with
        self._wrapped_by = wrapped_by or {}

    def __call__(self, path: str, blob: BlobRecord, error: IntegrityError) -> HoldfastError:
        """The error itself, unless a plugin is at fault: then a `PluginError`. Reads the blob once more."""
        try:
            listed = self._storage.stat(path).size
            size, digest = self._read(path, listed)
        except (OSError, HoldfastError):
            return error  # what cannot be read now tells nothing
        name = quote_name(blob.path)
        if size != listed:
            return reads_otherwise(self._storage, f"blob {name}", size, listed)
        if digest != blob.digests.get("sha256"):
            return error
        if wrong := self._wrong_hasher():
            return PluginError(f"{wrong} gives another SHA-256 than Python's own", hint=_UNTOLD)
        if not self._decodes():
            return PluginError(
                f"{provider(self._codec)} does not decode what it encodes; blob {name} is as it was stored: "
                f"{error.message}",
                hint=_UNTOLD,
            )
        distribution, version = offered_by(self._codec)
        recorded = self._made_with.get(distribution, version)
        if recorded != version:
            return PluginError(
                f"{provider(self._codec)} does not decode what version {recorded} has encoded; blob {name} is as it "
                f"was stored: {error.message}",
                hint=f"pip install {distribution}=={recorded}, with which the backup was made; {_UNTOLD}",
            )
        if error_of_wrappers := self._other_wrappers(name, error):
            return error_of_wrappers
        return IntegrityError(
            f"{error.message}; its stored bytes are as recorded, so it was damaged before it was stored",
            hint=error.hint,
        )

    def _other_wrappers(self, name: str, error: IntegrityError) -> PluginError | None:
        """What to raise where the codec is wrapped otherwise than it was: nobody knows what a wrapper does to bytes."""
        now = wrappers_of(self._codec)
        if now.keys() == self._wrapped_by.keys():
            return None
        then = ", ".join(f"{name} {version}".strip() for name, version in self._wrapped_by.items()) or "nothing"
        gone = " ".join(sorted(self._wrapped_by.keys() - now.keys()))
        others = ",".join(sorted(now.keys() - self._wrapped_by.keys()))
        do = f"pip install {gone}" if gone else f"HOLDFAST_DISABLE_PLUGINS={others}"
        return PluginError(
            f"{provider(self._codec)} was wrapped by {then} when the backup was made; blob {name} is as it was stored: "
            f"{error.message}",
            hint=f"{do}, and see that it has what it had then, such as a key; {_UNTOLD}",
        )

    def _read(self, path: str, listed: int) -> tuple[int, str]:
        """Size and SHA-256 of what the storage gives; no more is read than a piece beyond what it tells."""
        running, size = hashlib.sha256(), 0
        for piece in object_bytes(self._storage, path, size=listed, stop=Stop()):
            running.update(piece)
            size += len(piece)
        return size, running.hexdigest()

    def _wrong_hasher(self) -> str:
        """Who offers the SHA-256, if it is none."""
        hasher = self._hashers["sha256"]()
        hasher.update(_SAMPLE)
        return "" if hasher.hexdigest() == hashlib.sha256(_SAMPLE).hexdigest() else provider(hasher)

    def _decodes(self) -> bool:
        """Whether the codec gives back a sample."""
        plain = bytearray()
        try:
            decoder = self._codec.decoder()
            for piece in decoder.decode(self._codec.encode(_SAMPLE)):
                plain += piece
                if len(plain) > len(_SAMPLE):
                    return False  # it may go on without end
            decoder.finish()
        except HoldfastError:
            return False
        return plain == _SAMPLE


_UNTOLD = "nothing is said of the backup by this; restore it with a plugin that reads it"
