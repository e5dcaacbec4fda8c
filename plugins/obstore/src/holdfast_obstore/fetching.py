"""How a folder of a store is fetched without Holdfast, as RESTORE.md says it: by rclone, which knows every service."""

import shlex
from collections.abc import Mapping, Sequence


def rclone_options(given: Mapping[str, str], *, endpoint: str) -> list[str]:
    """The words that connect as the parameters of a URL do; `endpoint` is the option for that of the service."""
    words: list[str] = []
    for option, name in ((endpoint, "endpoint"), ("--ca-cert", "ca")):
        words += [option, given[name]] if given.get(name) else []
    return words


def rclone_line(words: Sequence[str], folder: str, given: Mapping[str, str]) -> str:
    """The command, into the current folder, by way of the proxy if there is one."""
    command = shlex.join([*words, folder, "."])
    return f"{shlex.join(['HTTPS_PROXY=' + given['proxy']])} {command}" if given.get("proxy") else command
