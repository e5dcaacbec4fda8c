"""Encryption in the age format (C2SP age, version 1), bulk in several threads: the cipher `age`."""

from collections.abc import Iterator

from holdfast.api import Cipher, Component, Kind, hookimpl


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the cipher."""
    yield Component(kind=Kind.CIPHER, name="age", summary="age files, which the program age opens")


@hookimpl
def holdfast_encrypt(cipher: str) -> Cipher | None:
    """Make the cipher."""
    if cipher != "age":
        return None
    from holdfast_age.cipher import AgeCipher

    return AgeCipher()
