"""The client's part of MariaDB's authentication PARSEC, which the driver does not know.

Source: plugins/auth/parsec.c of MariaDB Connector/C. A password becomes a key of Ed25519 by PBKDF2, with a salt and a
number of rounds that the server names; it signs what both sides have drawn at random.
"""

import secrets
from hashlib import pbkdf2_hmac
from typing import Any

from holdfast.api import CredentialsError
from holdfast_mysql.session import driver

NAME = "parsec"
_SCRAMBLE, _SALT, _KEY = 32, 18, 32  # bytes
_ROUNDS, _MOST_DOUBLINGS = 1024, 3


class Parsec:
    """What the driver calls when a server asks for this way to log in."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's challenge; returns the packet that ends it."""
        challenge = packet.read_all()[:_SCRAMBLE]
        # Behind the byte that marks data of an authentication: P, doublings of the rounds, salt.
        told = driver.exchange(self._connection, b"").get_all_data()[1:]
        if len(challenge) != _SCRAMBLE or len(told) != 2 + _SALT or told[:1] != b"P" or told[1] > _MOST_DOUBLINGS:
            raise CredentialsError("the server asks for a form of PARSEC that this version does not know")
        drawn = secrets.token_bytes(_SCRAMBLE)
        seed = pbkdf2_hmac("sha512", self._connection.password, told[2:], _ROUNDS << told[1], _KEY)
        return driver.exchange(self._connection, drawn + _signature(seed, challenge + drawn))


def _signature(seed: bytes, message: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)
