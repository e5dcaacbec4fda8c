"""How a folder of a store is fetched without Holdfast, as RESTORE.md says it."""

import shlex

from holdfast_s3.location import Location


def fetch_steps(location: Location, folder: str) -> list[str]:
    """A call of rclone, which knows every service, with the keys of the environment, `~/.aws` or the machine's role."""
    words = ["rclone", "copy", "--s3-env-auth", "--s3-provider", "Other" if location.endpoint else "AWS"]
    for option, value in (
        ("--s3-endpoint", location.endpoint),
        ("--s3-region", location.region),
        ("--s3-profile", location.profile),
        ("--ca-cert", location.ca),
    ):
        words += [option, value] if value else []
    words += ["--s3-requester-pays"] if location.requester_pays else []
    words += ["--s3-force-path-style=false"] if location.addressing == "virtual" else []
    command = shlex.join([*words, f":s3:{location.bucket}/{location.prefix}{folder}", "."])
    return [f"{shlex.join(['HTTPS_PROXY=' + location.proxy])} {command}" if location.proxy else command]
