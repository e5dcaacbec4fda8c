"""What the URL of a store says of a bucket, and the client for it."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from obstore.store import GCSStore

from holdfast.api import Storage, UsageError, quote_name
from holdfast_gcs import PARAMETERS
from holdfast_obstore import ObstoreOptions, Place, open_place
from holdfast_obstore.fetching import rclone_line, rclone_options
from holdfast_obstore.place import client_options, part_size, read_url

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_KEYS = (
    "keys come from GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, `gcloud auth application-default login`, "
    "or the role of the machine"
)
_PART_SIZE = 24 << 20  # bytes: the service takes 10,000 of them, which are 240 GB


def open_bucket(url: str, options: ObstoreOptions) -> Storage:
    """Read a URL, or say which part of it cannot be used."""
    bucket, parts, given, text = read_url(url, known=PARAMETERS, shape="gs://bucket/prefix", keys=_KEYS)
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{quote_name(bucket)} in {text} is no name of a bucket, expected gs://bucket/prefix")
    if given.get("anonymous", "false") not in ("true", "false"):
        raise UsageError(f"anonymous is {quote_name(given['anonymous'])} in {text}, expected true or false")
    place = Place(
        text=text,
        service="Google Cloud Storage",
        container=bucket,
        prefix="".join(f"{part}/" for part in parts),
        keys=_KEYS,
        part_size=part_size(given.get("part_size"), _PART_SIZE, text),
        client=client_options(given, text),
        fetch=partial(_fetch_steps, bucket, given),
    )
    config: Any = {"base_url": given["endpoint"].rstrip("/")} if given.get("endpoint") else {}
    if given.get("anonymous") == "true":
        config["skip_signature"] = True
    make = partial(GCSStore, bucket, config=config)
    return open_place(place, make, create_required=options.create == "require", ends_uploads=False)


def _fetch_steps(bucket: str, given: Mapping[str, str], folder: str) -> list[str]:
    """A call of rclone, with the keys of the environment, of gcloud or of the machine."""
    words = ["rclone", "copy", "--gcs-anonymous" if given.get("anonymous") == "true" else "--gcs-env-auth"]
    words += rclone_options(given, endpoint="--gcs-endpoint")
    return [rclone_line(words, f":gcs:{bucket}/{folder}", given)]
