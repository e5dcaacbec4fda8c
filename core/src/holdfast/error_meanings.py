"""What the errors of a client library mean, for storages and engines that raise them in the words of Holdfast."""

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from holdfast.errors import ERROR_NUMBERS, HoldfastError, lower_first

Meaning = type[Exception] | Callable[[Exception], type[Exception] | Exception | None]

_LONGEST = 1000  # characters of a client's text


@contextmanager
def map_errors(action: str, meanings: Mapping[type[Exception], Meaning]) -> Iterator[None]:
    """Raise what a client's errors mean in the place of them.

    `action` begins the message, which goes on with the text of the error on one line: `cannot read a/b: no such key`.
    Of an error's own class and those that it inherits from, the first that is a key of `meanings` decides. What is none
    of them, and every `HoldfastError`, passes as it is. A function may also return an exception that it has made, such
    as one with a `hint`. Of the classes of `OSError` a storage needs `FileNotFoundError` and `FileExistsError`.

    Example::

        MEANINGS = {
            client.NoSuchKey: FileNotFoundError,
            client.ConnectionFailed: UnreachableError,
            client.ServiceError: lambda error: CredentialsError if error.status == 403 else HoldfastError,
        }

        def read(self, path, offset=0, length=None):
            with map_errors(f"cannot read {path}", MEANINGS):
                return self.client.get(path, offset, length)
    """
    try:
        yield
    except HoldfastError:
        raise
    except Exception as error:
        raised = _meant(action, error, meanings)
        if raised is error:
            raise
        raise raised from error


def _meant(action: str, error: Exception, meanings: Mapping[type[Exception], Meaning]) -> Exception:
    """What is to be raised for an error, maybe itself."""
    key = next((kind for kind in type(error).__mro__ if kind in meanings), None)
    if key is None:
        return error
    meaning = meanings[key]
    meant: Any = meaning if isinstance(meaning, type) else meaning(error)
    if isinstance(meant, Exception):
        return meant
    text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    made: Exception = error
    if isinstance(meant, type) and issubclass(meant, OSError):
        made = meant(ERROR_NUMBERS.get(meant, errno.EIO), f"{action}: {text}")
    elif isinstance(meant, type):
        is_title = text.partition(" ")[2][:1].isupper()  # `Catalog Error: …`
        made = meant(f"{action}: {text if is_title else lower_first(text)}")
    return made
