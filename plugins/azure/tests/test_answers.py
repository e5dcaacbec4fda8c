"""What Azure answers where a blob is archived, leased or kept by a policy, in words that say what to do."""

from pathlib import Path

import pytest
from obstore import exceptions
from support.databases import make_database
from support.servers.azurite import AzuriteServer

import holdfast
from holdfast.errors import HoldfastError
from holdfast_azure import holdfast_storage
from holdfast_obstore import ObstoreOptions
from holdfast_obstore.failures import may_pass, meaning


def place() -> object:
    storage = holdfast_storage(scheme="azure", url="azure://account/first/x", options=ObstoreOptions())
    return storage._client.place  # type: ignore[union-attr]


def answer(kind: type[Exception], status: int, code: str) -> Exception:
    text = f"Generic MicrosoftAzure error: Server returned non-2xx status code: {status}: <Error><Code>{code}</Code>"
    return kind(f"{text}<Message>As it is.</Message></Error>")


@pytest.mark.parametrize(
    ("kind", "status", "code", "passes", "meant", "text"),
    [
        (exceptions.AlreadyExistsError, 409, "BlobArchived", False, OSError, "archived by the service"),
        (exceptions.AlreadyExistsError, 409, "BlobBeingRehydrated", False, OSError, "archived by the service"),
        (exceptions.AlreadyExistsError, 409, "BlobImmutableDueToPolicy", False, HoldfastError, "keeps what is there"),
        (exceptions.PreconditionError, 412, "LeaseIdMissing", False, HoldfastError, "keeps what is there"),
        (exceptions.AlreadyExistsError, 409, "BlobAlreadyExists", False, FileExistsError, "there is such an object"),
        (exceptions.AlreadyExistsError, 409, "OperationTimedOut", True, HoldfastError, "cannot do it"),
        (exceptions.GenericError, 522, "Cut", True, HoldfastError, "the service of"),
    ],
)
def test_what_cannot_pass_is_told_at_once(
    kind: type[Exception], status: int, code: str, passes: bool, meant: type[Exception], text: str
) -> None:
    error = answer(kind, status, code)
    assert may_pass(error) is passes
    told = meaning(error, place(), "a/b")  # type: ignore[arg-type]
    assert isinstance(told, meant)
    assert text in str(told)


@pytest.mark.parametrize("name", ["50%25%20%2B%20more", "e%CC%81"])
def test_any_folder_of_a_container_holds_a_store(server: AzuriteServer, prefix: str, name: str, tmp_path: Path) -> None:
    store = server.url(f"{prefix}/{name}")
    backup = holdfast.backup(f"sqlite:///{make_database(tmp_path / 'app.db')}", store=store)
    assert [each.id for each in holdfast.list_backups(store)] == [backup.id]
