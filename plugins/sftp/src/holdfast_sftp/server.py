"""A server as a storage asks it: by connections that are opened again, and with refusals in the words of Holdfast."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from holdfast.api import CredentialsError, HoldfastError, NotFoundError, UnreachableError, quote_name
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection, ConnectionLostError
from holdfast_sftp.files import explain_failure, is_folder
from holdfast_sftp.location import Location
from holdfast_sftp.pool import Pool
from holdfast_sftp.tree import Tree, exists

_T = TypeVar("_T")


class Server:
    """The connections to a server, and the folder of a store there."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.pool = Pool(location)
        self.tree = Tree(location)

    def call(self, path: str, operation: Callable[[Connection], _T]) -> _T:
        """Do what may be done twice for an object, and do it again where the connection breaks."""
        with self.translated(path):
            try:
                return self.pool.call(operation)
            except FileNotFoundError:
                if "/" not in path:  # as what tells that this is a store
                    self.pool.call(partial(refuse_file, name=self.tree.root))
                raise

    @contextmanager
    def translated(self, path: str) -> Iterator[None]:
        """Say what a refusal of the server means."""
        try:
            yield
        except PermissionError as error:
            raise CredentialsError(
                f"the server refuses {self.location.text}{': ' + quote_name(path) if path else ''}: permission denied",
                hint="look whom the folder belongs to on the server, and whether sshd lets the account write",
            ) from error
        except ConnectionLostError as error:
            raise UnreachableError(str(error.strerror)) from error
        except wire.ServerError as error:
            explain = partial(explain_failure, path=self.tree.root, error=error)
            raise self.pool.call(explain, patience=0.0) from error
        except wire.ProtocolError as error:
            raise HoldfastError(f"what the server of {self.location.text} sends is no SFTP: {error}") from error


def refuse_file(connection: Connection, name: bytes) -> None:
    """Say that something is a file, where it is; else nothing."""
    attributes = exists(connection, name, "")
    if attributes is not None and not is_folder(attributes) and not stat.S_ISLNK(attributes.mode or 0):
        raise NotFoundError(f"{quote_name(os.fsdecode(name))} on the server is a file, expected a folder")
