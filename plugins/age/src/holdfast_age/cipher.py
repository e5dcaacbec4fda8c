"""age as a cipher: files sealed to the key of their backup, and that key to recipients."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from holdfast.api import CredentialsError, IntegrityError
from holdfast_age import key_files
from holdfast_age.payload import CHUNK, HEAD, OVERHEAD, AgeOpener, AgeSealer


class AgeCipher:
    """The age file format of version 1; see `holdfast.api.Cipher`."""

    suffix = ".age"
    chunk_size = CHUNK
    overhead = OVERHEAD
    head_size = HEAD
    command = "age -d -i"

    def new_key(self) -> bytes:
        """A fresh identity, as a line that `age -i` takes from a file."""
        return f"{key_files.new_identity()}\n".encode()

    def sealer(self, key: bytes, /) -> AgeSealer:
        """Begin to seal one blob."""
        return AgeSealer(_private(key).public_key().public_bytes_raw())

    def opener(self, key: bytes, head: bytes, /) -> AgeOpener:
        """Begin to open one blob; `IntegrityError` where it is not of this backup."""
        try:
            return AgeOpener(_private(key), head)
        except CredentialsError as error:
            raise IntegrityError("it is sealed to another key than that of the backup") from error

    def wrap(self, key: bytes, recipient: str, /) -> bytes:
        """Seal the key of a backup to a recipient."""
        return key_files.seal(key, recipient)

    def unwrap(self, sealed: bytes, identity: str, /) -> bytes | None:
        """The key of a backup, None where it is sealed to somebody else."""
        key = key_files.open_sealed(sealed, identity)
        if key is not None:
            _private(key)
        return key

    def recipient(self, text: str, /) -> str:
        """A recipient in its normal form."""
        return key_files.normal_recipient(text)

    def identities(self, text: str, /) -> tuple[str, ...]:
        """The identities that a file holds."""
        return tuple(key_files.identities_in(text))

    def new_identity(self) -> str:
        """A new identity of a person."""
        return key_files.new_identity()

    def recipient_of(self, identity: str, /) -> str:
        """The recipient of an identity."""
        return key_files.recipient_of(identity)


def _private(key: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(key_files.secret_of(key))
