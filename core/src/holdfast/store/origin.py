"""Which database the backups under a name are of, and how the claim of the name says so."""

import hashlib

import msgspec

from holdfast.api import Source
from holdfast.errors import IntegrityError
from holdfast.host import Host
from holdfast.store.manifest import SourceRecord


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A database as a store tells it from others.

    `identity` is a digest of what the engine knows it by; `host` is where it lies, None where it is the same from
    everywhere, or where nobody wrote the host down.
    """

    identity: str
    host: Host | None = None

    @classmethod
    def of(cls, source: Source, host: Host) -> "Origin":
        """What a source is in a store, when it is backed up on a host."""
        digest = hashlib.sha256(source.identity.encode(errors="surrogateescape")).hexdigest()
        return cls(identity=digest, host=host if source.local else None)

    @classmethod
    def recorded(cls, record: SourceRecord) -> "Origin":
        """What a manifest says."""
        return cls(identity=record.identity, host=record.host)

    def is_same(self, other: "Origin") -> bool:
        """Whether both are one database, as far as is known of their hosts."""
        return self.identity == other.identity and not self.is_elsewhere(other)

    def is_elsewhere(self, other: "Origin") -> bool:
        """Whether the other is what this one would be on another host."""
        if self.host is None or other.host is None:
            return False
        return self.identity == other.identity and not self.host.is_same(other.host)

    @property
    def digest(self) -> str:
        """A digest of all of it, for names."""
        if self.host is None:
            return self.identity
        return hashlib.sha256(f"{self.identity}\0{self.host.name}\0{self.host.id}".encode()).hexdigest()


class _Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    identity: str
    host: Host | None = None


def encode_claim(origin: Origin) -> bytes:
    """The content of a claim."""
    return msgspec.json.encode(_Claim(identity=origin.identity, host=origin.host)) + b"\n"


def decode_claim(data: bytes, path: str) -> Origin:
    """What a claim says; anything else is an `IntegrityError`."""
    try:
        claim = msgspec.json.decode(data, type=_Claim)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IntegrityError(
            f"{path} in the store is not valid", hint="delete it: the next backup makes it anew"
        ) from error
    return Origin(identity=claim.identity, host=claim.host)
