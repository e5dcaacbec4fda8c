"""What a check tells of a bucket, and how its RESTORE.md says that a backup is fetched without Holdfast."""

from pathlib import Path

import pytest
from support.databases import make_database
from support.servers.gcs import GCSServer

import holdfast
from holdfast_gcs.bucket import open_bucket
from holdfast_obstore import ObstoreOptions


def test_a_check_tells_the_clock_and_what_cannot_be_told(server: GCSServer, prefix: str, tmp_path: Path) -> None:
    store = server.url(prefix)
    holdfast.backup(f"sqlite:///{make_database(tmp_path / 'app.db')}", store=store)
    told = {each.name: each.holds for each in holdfast.check_store(store).guarantees}
    assert (told["clock"], told["versioning"], told["soft delete"]) == (True, None, None)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("gs://box/p", "rclone copy --gcs-env-auth :gcs:box/p/a/1 ."),
        ("gs://box/p%20q?anonymous=true", "rclone copy --gcs-anonymous ':gcs:box/p q/a/1' ."),
        (
            "gs://box?proxy=http://proxy:3128",
            "HTTPS_PROXY=http://proxy:3128 rclone copy --gcs-env-auth :gcs:box/a/1 .",
        ),
    ],
)
def test_a_backup_is_fetched_as_its_url_connects(url: str, line: str) -> None:
    assert open_bucket(url, ObstoreOptions()).fetch_steps("a/1") == [line]  # type: ignore[attr-defined]
