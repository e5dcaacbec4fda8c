"""Which database the backups under a name are of, and how the claim of the name says so."""

import hashlib
import hmac
from collections.abc import Iterable
from functools import cache

import msgspec

from holdfast.api import Source
from holdfast.decodable import decodable
from holdfast.errors import IntegrityError
from holdfast.host import Host
from holdfast.store.manifest import SourceRecord

CLAIM_SIZE = 1 << 18  # bytes that are read of a claim
_SEALED = ":sealed"  # how an identity ends that is
_ADOPTED = 256  # of them, with names of hosts as long as they may be, are less than that


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A database as a store tells it from others.

    `identity` is a digest of what the engine knows it by; `host` is where it lies, None where it is the same from
    everywhere, or where nobody wrote the host down.
    """

    identity: str
    host: Host | None = None
    secret: str = ""  # of a source that is backed up encrypted: with it texts are sealed that are only compared

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
        if self.is_sealed != other.is_sealed:
            return self.sealed().identity == other.sealed().identity
        return self.identity == other.identity and not self.is_elsewhere(other)

    @property
    def is_sealed(self) -> bool:
        """Whether nobody can tell from it which database it is, who does not know that already."""
        return self.identity.endswith(_SEALED)

    def sealed(self) -> "Origin":
        """The same for a store that is not to know which database it is; its host is a part of what is compared."""
        if self.is_sealed:
            return self
        secret = _secret_of(self.digest)
        return Origin(identity=seal_text(secret, "origin") + _SEALED, secret=secret)

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


@cache
def _secret_of(digest: str) -> str:
    """What is derived from the identity of a database, slowly, so that guessing it is slow: 0.1 s and 32 MiB each."""
    return hashlib.scrypt(digest.encode(), salt=b"holdfast origin", n=1 << 15, r=8, p=1, maxmem=1 << 26, dklen=32).hex()


def seal_text(secret: str, kind: str, text: str = "") -> str:
    """A digest of a text that only says whether it is that of another one, to whoever does not know the secret."""
    return hmac.digest(bytes.fromhex(secret), f"{kind}\0{text}".encode(errors="surrogateescape"), "sha256").hex()


class Owner(Origin, frozen=True, kw_only=True):
    """Whose a name is: a database, and those before it whose backups it has `adopted`."""

    adopted: tuple[Origin, ...] = ()

    @classmethod
    def alone(cls, origin: Origin) -> "Owner":
        """One that has adopted no other."""
        return cls(identity=origin.identity, host=origin.host)

    def owns(self, origin: Origin) -> bool:
        """Whether backups of a database are among its own, as far as is known of their hosts."""
        return any(own.is_same(origin) for own in (self, *self.adopted))

    def adopting(self, others: Iterable[Origin]) -> "Owner":
        """The same with others adopted, the latest of them last; of very many the first are forgotten."""
        adopted = list(self.adopted)
        for other in others:
            if other.identity != self.identity or other.host != self.host:
                plain = Origin(identity=other.identity, host=other.host)
                adopted = [*(known for known in adopted if known != plain), plain]
        return Owner(identity=self.identity, host=self.host, adopted=tuple(adopted[-_ADOPTED:]))


class _Known(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    identity: str
    host: Host | None = None


class _Claim(_Known, frozen=True, kw_only=True, omit_defaults=True):
    adopted: list[_Known] = []


def encode_claim(owner: Owner) -> bytes:
    """The content of a claim."""
    adopted = [_Known(identity=other.identity, host=other.host) for other in owner.adopted]
    return msgspec.json.encode(_Claim(identity=owner.identity, host=owner.host, adopted=adopted)) + b"\n"


def decode_claim(data: bytes, path: str, reader: str) -> Owner:
    """What a claim says; anything else is an `IntegrityError`, which tells the `path` and who its `reader` is."""
    try:
        claim = msgspec.json.decode(data, type=decodable(_Claim))
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IntegrityError(
            f"{path} in the store is not valid, as {reader} reads it", hint="delete it: the next backup makes it anew"
        ) from error
    adopted = tuple(Origin(identity=other.identity, host=other.host) for other in claim.adopted)
    return Owner(identity=claim.identity, host=claim.host, adopted=adopted)
