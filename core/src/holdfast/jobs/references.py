"""Secrets by reference: what a program prints, what a file holds, or a variable; never in an argument, log or error."""

import os
from collections.abc import Sequence
from dataclasses import replace

from holdfast.errors import CredentialsError, os_error_text, quote_name
from holdfast.jobs.children import Children
from holdfast.url import DatabaseURL

_PATIENCE = 60.0  # seconds for a program that prints a secret
_LONGEST = 64 << 10  # bytes


def read_secret(
    what: str, children: Children, *, command: Sequence[str] | None, file: str | None, env: str | None
) -> str | None:
    """The first line of the secret that is referred to, None where nothing is; what cannot be had is an error.

    `what` it is begins the message, which shows nothing of it and nothing that the program has printed.
    """
    if command is not None:
        ended = children.run(command, timeout=_PATIENCE)
        if ended.code:
            why = f"did not end within {_PATIENCE:g} s" if ended.timed_out else f"ended with {ended.code}"
            raise CredentialsError(f"{what}: {quote_name(command[0])} {why}", hint="run it by hand as this user")
        text = ended.output.decode(errors="surrogateescape")
    elif file is not None:
        try:
            with open(os.path.expanduser(file), encoding="utf-8", errors="surrogateescape") as opened:
                text = opened.read(_LONGEST)
        except OSError as error:
            raise CredentialsError(f"{what}: cannot read {quote_name(file)}: {os_error_text(error)}") from error
    elif env is not None:
        if env not in os.environ:
            raise CredentialsError(f"{what}: there is no variable {quote_name(env)} in the environment")
        text = os.environ[env]
    else:
        return None
    secret = text.partition("\n")[0].rstrip("\r")
    if not secret:
        raise CredentialsError(f"{what}: it is empty")
    return secret


def with_password(url: str, password: str | None) -> str:
    """A URL with a password, for the process that needs it."""
    return url if password is None else replace(DatabaseURL.parse(url), password=password).text()


def without_password(url: str) -> str:
    """A URL without its password, for whoever finds it by itself."""
    parsed = DatabaseURL.parse(url)
    return url if parsed.password is None else replace(parsed, password=None).text()
