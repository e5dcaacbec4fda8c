"""Parts that a program brings as objects: whether each can do what its protocol in `holdfast.api` asks for."""

from typing import Any

from holdfast.errors import UsageError

_NEEDED = {
    "engine": ("name", "capabilities", "dump", "restore"),
    "codec": ("suffix", "encode", "decoder"),
    "store": ("location", "writer", "read", "list", "stat", "delete", "barrier", "lease"),
}


def check_part(kind: str, part: Any) -> None:
    """Refuse an object that cannot be an engine, codec or store, before anything is opened; None is none."""
    missing = [name for name in _NEEDED[kind] if not hasattr(part, name)]
    if part is not None and missing:
        raise UsageError(
            f"{kind} is an object of type {type(part).__name__}, which has no {', '.join(missing)}",
            hint=f"give the {kind} by name, or an object as holdfast.api describes it",
        )


def check_hasher_factory(start: Any) -> None:
    """Refuse a checksum that is neither a name nor something that starts a digest, such as `hashlib.blake2b`."""
    hasher = start() if callable(start) else None
    if not hasattr(hasher, "update") or not hasattr(hasher, "hexdigest"):
        raise UsageError(f"a checksum is {start!r}, expected a name, or a callable that starts a digest")
