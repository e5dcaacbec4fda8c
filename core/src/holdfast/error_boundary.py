"""The error boundary: what plugins, drivers and the system raise becomes our errors, without secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import HoldfastError, attached, os_error_text, quote_name
from holdfast.url import redact, secrets_of


@contextmanager
def translate_errors(doing: str, *urls: str) -> Iterator[None]:
    """Turn what plugins and the system raise into `HoldfastError`s without the secrets of these URLs."""
    try:
        yield
    except HoldfastError as error:
        message, hint = scrub(error.message, *urls), scrub(error.hint or "", *urls) or None
        if (message, hint) == (error.message, error.hint):
            raise
        error.message, error.hint, error.args = message, hint, (message,)
        raise error from None  # what it was raised from still holds the secret
    except OSError as error:
        raise HoldfastError(scrub(_told(doing, error), *urls)) from error
    except Exception as error:
        raise HoldfastError(scrub(f"{doing}: {error_message(error)}", *urls)) from error


@contextmanager
def translate_os_errors(doing: str) -> Iterator[None]:
    """Say what could not be done when the system refuses; all other errors pass."""
    try:
        yield
    except OSError as error:
        raise HoldfastError(_told(doing, error)) from error


def scrub(text: str, *urls: str) -> str:
    """Hide the secrets of these URLs wherever a driver may have put them into its message."""
    for url in filter(None, urls):
        text = text.replace(url, redact(url))
        for secret in secrets_of(url):
            # In any case: `os_error_text` writes the system's words in lowercase.
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    return text


def _told(doing: str, error: OSError) -> str:
    where = f" {quote_name(error.filename)}:" if error.filename else ""
    return f"{doing}:{where} {os_error_text(error)}{attached(error)}"


def error_message(error: BaseException) -> str:
    """Write any error on one line: ours by its message, others with their type and notes."""
    text = " ".join(str(error).split())
    if isinstance(error, HoldfastError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted{attached(error)}"
    return f"{type(error).__name__}: {text}".removesuffix(": ") + attached(error)
