"""A backup in a bucket is fetched and checked by programs that are not ours."""

import shlex
import subprocess
from pathlib import Path

import pytest
from support.databases import make_database
from support.servers.seaweed import SECRET, S3Server

import holdfast
from holdfast_s3.fetching import fetch_steps
from holdfast_s3.location import Location


def test_the_way_that_restore_md_says_brings_a_backup_home(server: S3Server, prefix: str, tmp_path: Path) -> None:
    make_database(tmp_path / "app.db")
    made = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=server.url("first", prefix))
    key = f"{prefix}/{made.name}/{made.id}/RESTORE.md"
    text = server.client().get_object(Bucket="first", Key=key)["Body"].read().decode()
    (line,) = [line.strip() for line in text.splitlines() if "rclone copy" in line]
    assert SECRET not in text
    folder = tmp_path / "fetched"
    folder.mkdir()
    subprocess.run(["sh", "-ec", f"{line}\nsha256sum --quiet -c SHA256SUMS"], cwd=folder, check=True)
    assert (folder / "backup_manifest.json").is_file()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://box/p", "rclone copy --s3-env-auth --s3-provider AWS :s3:box/p/a/1 ."),
        (
            "s3://box/?region=eu-central-1&profile=night&requester_pays=true",
            (
                "rclone copy --s3-env-auth --s3-provider AWS --s3-region eu-central-1 --s3-profile night "
                "--s3-requester-pays :s3:box/a/1 ."
            ),
        ),
        (
            "s3://box/p%20q?endpoint=https://s3.example.com&ca=/etc/ca.pem&proxy=http://proxy:3128&addressing=virtual",
            (
                "HTTPS_PROXY=http://proxy:3128 rclone copy --s3-env-auth --s3-provider Other --s3-endpoint "
                "https://s3.example.com --ca-cert /etc/ca.pem --s3-force-path-style=false ':s3:box/p q/a/1' ."
            ),
        ),
    ],
)
def test_the_line_connects_as_the_url_does(url: str, words: str) -> None:
    (line,) = fetch_steps(Location.parse(url), "a/1")
    assert shlex.split(line) == shlex.split(words)
