"""What the URL of a store says of a container, and the client for it."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from obstore.store import AzureStore

from holdfast.api import Storage, UsageError, quote_name
from holdfast_azure import PARAMETERS
from holdfast_obstore import ObstoreOptions, Place, open_place
from holdfast_obstore.fetching import rclone_line, rclone_options
from holdfast_obstore.place import client_options, part_size, read_url

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_SHAPE = "azure://account/container/prefix"
_KEYS = (
    "keys come from AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and "
    "AZURE_TENANT_ID, `az login` with ?cli=true, or the identity of the machine"
)
_PART_SIZE = 16 << 20  # bytes: the service takes 50,000 of them, which are 800 GB


def open_container(url: str, options: ObstoreOptions) -> Storage:
    """Read a URL, or say which part of it cannot be used."""
    account, parts, given, text = read_url(url, known=PARAMETERS, shape=_SHAPE, keys=_KEYS)
    if not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{quote_name(account)} in {text} is no name of an account, expected {_SHAPE}")
    if not parts or not _CONTAINER.fullmatch(parts[0]):
        raise UsageError(f"{text} names no container, expected {_SHAPE}")
    if given.get("cli", "false") not in ("true", "false"):
        raise UsageError(f"cli is {quote_name(given['cli'])} in {text}, expected true or false")
    place = Place(
        text=text,
        service=f"the account {account}",
        container=parts[0],
        prefix="".join(f"{part}/" for part in parts[1:]),
        keys=_KEYS,
        part_size=part_size(given.get("part_size"), _PART_SIZE, text),
        client=client_options(given, text),
        fetch=partial(_fetch_steps, account, parts[0], given),
        tells_versioning=True,
    )
    config: Any = {"account_name": account}
    if given.get("endpoint"):
        config["endpoint"] = given["endpoint"].rstrip("/")
    if given.get("cli") == "true":
        config["use_azure_cli"] = True
    make = partial(AzureStore, parts[0], config=config)
    return open_place(place, make, create_required=options.create == "require", ends_uploads=True)


def _fetch_steps(account: str, container: str, given: Mapping[str, str], folder: str) -> list[str]:
    """A call of rclone, which takes the account's key under a name of its own, and all else from the environment."""
    words = ["rclone", "copy", "--azureblob-account", account, *rclone_options(given, endpoint="--azureblob-endpoint")]
    words += ["--azureblob-use-az"] if given.get("cli") == "true" else []
    return [
        'export RCLONE_AZUREBLOB_KEY="${AZURE_STORAGE_ACCOUNT_KEY:-}"',
        'test -n "$RCLONE_AZUREBLOB_KEY" || export RCLONE_AZUREBLOB_ENV_AUTH=true',
        rclone_line(words, f":azureblob:{container}/{folder}", given),
    ]
