"""How a folder of a store is fetched without Holdfast, as RESTORE.md says it."""

import os
import re
import shlex

from holdfast_sftp.location import Location

_PATTERN = re.compile(r"([*?\[\]{}\\])")  # what scp would expand


def fetch_steps(location: Location, folder: str) -> list[str]:
    """A call of scp by way of SFTP (-s), which accounts without a shell have too."""
    words = ["scp", "-s", "-r"]
    words += ["-F", location.config] if location.config else []
    words += ["-P", str(location.port)] if location.port else []
    host = f"[{location.host}]" if ":" in location.host else location.host
    account = f"{location.user}@{host}" if location.user else host
    path = _PATTERN.sub(r"\\\1", f"{os.fsdecode(location.root)}/{folder}/.")
    return [shlex.join([*words, f"{account}:{path}", "."])]
