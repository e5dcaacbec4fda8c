"""What can be found wrong with a plugin without a database: it is looked at and called, and nothing is kept."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.api import Capability, Cipher, Codec, EngineHooks, Kind, SupportsShellDecode
from holdfast.endings import ENDINGS, is_failure
from holdfast.plugins.loading import Owned, Plugin, describe_error
from holdfast.plugins.registry import Registry

_NEEDED = {
    Kind.ENGINE: ("holdfast_dump", "holdfast_restore"),
    Kind.CODEC: ("holdfast_compress",),
    Kind.CHECKSUM: ("holdfast_checksum",),
    Kind.STORAGE: ("holdfast_storage",),
    Kind.EXECUTOR: ("holdfast_executor",),
    Kind.CIPHER: ("holdfast_encrypt",),
}
_BLOCKS = (b"", b"some text " * 1000, bytes(1 << 20))


def problems(registry: Registry, plugin: Plugin) -> list[str]:
    """What is wrong with a plugin, each in a line; empty where nothing was found."""
    if plugin.status == "refused":
        return [f"it is refused: {plugin.reason}"]
    wrong: list[str] = list(_look_at_wrappers(registry, plugin))
    for component in plugin.components:
        owned = Owned(component=component, plugin=plugin)
        try:
            wrong += (f"{component.kind} '{component.name}': {problem}" for problem in _look(registry, owned))
        except (Exception, *ENDINGS) as error:
            if not is_failure(error):
                raise
            wrong.append(f"{component.kind} '{component.name}': {describe_error(error)}")
    return wrong


def _look_at_wrappers(registry: Registry, plugin: Plugin) -> Iterator[str]:
    """Whether what a plugin wraps is still served through it: the core's own codec and storage, which touch nothing."""
    wrapped = registry.wraps(plugin)
    if "holdfast_compress" in wrapped:
        yield from _wrapped("codec 'none'", lambda: registry.codec("none"))
    if "holdfast_storage" in wrapped:
        yield from _wrapped("storage 'file'", lambda: registry.storage("./nowhere"))


def _wrapped(what: str, open_part: Callable[[], object]) -> Iterator[str]:
    try:
        open_part()
    except (Exception, *ENDINGS) as error:
        if not is_failure(error):
            raise
        yield f"{what} cannot be used with it: {describe_error(error)}"


def _look(registry: Registry, owned: Owned) -> Iterator[str]:
    component = owned.component
    claims = registry.claims(component.kind, component.name)
    if len(claims) > 1:
        yield f"it is claimed by {' and '.join(claim.plugin.title for claim in claims)}"
        return
    missing = [hook for hook in _NEEDED[component.kind] if not hasattr(owned.plugin.module, hook)]
    if missing:
        yield f"there is no hook {' and no '.join(missing)}"
        return
    if Capability.PROOF in component.capabilities and not hasattr(owned.plugin.module, "holdfast_scratch"):
        yield "it lists PROOF, and there is no hook holdfast_scratch, which a drill needs"
    if isinstance(owned.plugin.module, EngineHooks) and owned.plugin.module.component == component:
        yield from owned.plugin.module.problems()
    if component.kind is Kind.CODEC:
        yield from _look_at_codec(registry.codec(component.name))
    if component.kind is Kind.CHECKSUM:
        yield from _look_at_checksum(lambda: registry.hasher(component.name))
    if component.kind is Kind.CIPHER:
        yield from _look_at_cipher(registry.cipher(component.name))


def _look_at_codec(codec: Codec) -> Iterator[str]:
    if codec.suffix and not (codec.suffix.startswith(".") and codec.suffix[1:].isalnum()):
        yield f"its suffix is {codec.suffix!r}, expected a dot with letters and digits, or nothing"
    for block in _BLOCKS:
        decoder, plain = codec.decoder(), bytearray()
        for piece in decoder.decode(bytes(codec.encode(block))):
            plain += piece
            if len(plain) > len(block):
                break
        else:
            decoder.finish()
        if plain != block:
            yield f"a block of {len(block)} bytes does not decode to itself"
    if isinstance(codec, SupportsShellDecode) and not shutil.which(shlex.split(codec.command)[0]):
        yield f"its command '{codec.command}' for a restore by hand is not installed here"


def _look_at_cipher(cipher: Cipher) -> Iterator[str]:
    key = cipher.new_key()
    plain = b"some text " * (cipher.chunk_size // 10 + 1)  # a chunk and a bit
    sealer = cipher.sealer(key)
    sealed = sealer.head + bytes(sealer.seal(plain, 0, True))
    opener = cipher.opener(key, sealed[: cipher.head_size])
    if opener.open(sealed[opener.head_size :], 0, True) != plain:
        yield "what it seals does not open to itself"


def _look_at_checksum(start: Callable[[], Any]) -> Iterator[str]:
    whole, cut = start(), start()
    whole.update(b"holdfast")
    for chunk in (b"hold", memoryview(b"fast")):
        cut.update(chunk)
    digest = whole.hexdigest()
    if not isinstance(digest, str) or not digest or set(digest) - set("0123456789abcdef"):
        yield f"its digest is {digest!r}, expected lowercase hexadecimal"
    elif digest != cut.hexdigest():
        yield "its digest depends on how the bytes are cut"
