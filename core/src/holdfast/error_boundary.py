"""The error boundary: what plugins, drivers and the system raise becomes our errors, without secrets."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from holdfast.endings import describe_ending, is_meant
from holdfast.errors import HoldfastError, PluginError, cleanup_notes, os_error_text, quote_name
from holdfast.url import redact, secrets_of

_NO_THREAD = (
    "no thread can be started: there is too little memory, or there are too many processes, for the limits of this "
    "user or container (ulimit -v, ulimit -u); -j 1 takes fewer"
)


@contextmanager
def translate_errors(action: str, *urls: str) -> Iterator[None]:
    """Turn what plugins and the system raise into `HoldfastError`s without the secrets of these URLs.

    `action` begins the message of an error that is not ours: `cannot open app.db`. Ours pass, so that of several
    boundaries around each other the innermost says what was being done.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        failure = translated(error, action, urls)
        if isinstance(failure, HoldfastError) and failure.unforeseen:
            failure.message = scrub(f"{action}: {failure.message}", *urls)
            failure.args, failure.unforeseen = (failure.message,), False
        if failure is error:
            raise
        raise failure from error


@contextmanager
def translate_os_errors(action: str) -> Iterator[None]:
    """Say what could not be done when the system refuses; all other errors pass."""
    try:
        yield
    except OSError as error:
        if is_meant(error):
            raise
        raise HoldfastError(_os_error_message(action, error)) from error


def translated(error: BaseException, action: str, urls: Iterable[str] = ()) -> BaseException:
    """The error to report in the place of this one: itself, without secrets, where it is ours or a signal."""
    if isinstance(error, HoldfastError):
        _hide_secrets(error, *urls)
        return error
    if is_meant(error):
        return error
    if isinstance(error, OSError):
        return HoldfastError(scrub(_os_error_message(action, error), *urls))
    if isinstance(error, Exception):
        return HoldfastError(scrub(f"{action}: {error_message(error)}", *urls))
    # A program's own watcher may well end it by KeyboardInterrupt; those of plugins are failures by now.
    if isinstance(error, SystemExit | GeneratorExit):
        return PluginError(scrub(f"{action}: {describe_ending(error)}", *urls))
    return error


def _hide_secrets(error: HoldfastError, *urls: str) -> None:
    message, hint = scrub(error.message, *urls), scrub(error.hint or "", *urls) or None
    if (message, hint) == (error.message, error.hint):
        return
    error.message, error.hint, error.args = message, hint, (message,)
    error.__cause__, error.__suppress_context__ = None, True  # what it was raised from still holds the secret


def scrub(text: str, *urls: str) -> str:
    """Hide the secrets of these URLs wherever a driver may have put them into its message.

    What is short, or might be a word, is hidden only where it stands alone: not within another word, nor in the URL as
    `redact` shows it.
    """
    for url in filter(None, urls):
        if (shown_url := redact(url)) != repr(url):  # what is only put into quotes may stand in quotes already
            text = text.replace(url, shown_url)
        if secrets := secrets_of(url):
            # In any case: `os_error_text` writes the system's words in lowercase.
            pattern = re.compile("|".join(map(_where_it_stands, secrets)), re.IGNORECASE)
            text = shown_url.join(pattern.sub("***", part) for part in text.split(shown_url))
    return text


# Not within a word or a dotted name; but after an escape, whose last letter is none of a word, and after mysql's -p.
_BEFORE_WORD = (
    r"(?:(?<!\w)(?<!\w[.-])|(?<=%[0-9a-f]{2})|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\\[abfnrtv0])"
    r"|(?<=[\s'\"]-p))"
)
_AFTER_WORD = r"(?!\w)(?![.-]\w)"
_DELIMITERS = r"\s'\"`=:@/,;&?"


def _where_it_stands(secret: str) -> str:
    """The pattern of a secret, with what has to be around it."""
    pattern = re.escape(secret)
    if len(secret) >= 16 or (len(secret) >= 8 and not secret.isalpha()):
        return pattern
    marks = len(secret) < 4  # a comma as a password must not take all commas of a message
    before = _BEFORE_WORD if _is_word(secret[0]) else rf"(?:^|(?<=[{_DELIMITERS}]))" if marks else ""
    after = _AFTER_WORD if _is_word(secret[-1]) else rf"(?=$|[{_DELIMITERS}])" if marks else ""
    return before + pattern + after


def _is_word(letter: str) -> bool:
    return re.match(r"\w", letter) is not None


def _os_error_message(action: str, error: OSError) -> str:
    where = f" {quote_name(error.filename)}:" if error.filename else ""
    return f"{action}:{where} {os_error_text(error)}{cleanup_notes(error)}"


def error_message(error: BaseException) -> str:
    """Write any error on one line: ours by its message, others with their type and notes."""
    text = " ".join(str(error).split())
    if isinstance(error, HoldfastError):
        return error.message
    if isinstance(error, MemoryError):
        return f"{text or 'there is not enough memory'}{cleanup_notes(error)}"
    if isinstance(error, RuntimeError) and text == "can't start new thread":  # CPython's words since 2.6
        return f"{_NO_THREAD}{cleanup_notes(error)}"
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted{cleanup_notes(error)}"
    return f"{type(error).__name__}: {text}".removesuffix(": ") + cleanup_notes(error)
