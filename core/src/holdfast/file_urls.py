"""From a URL to the path of a file or folder, for engines whose databases are such: `csvdir:///relative/folder`."""

from urllib.parse import quote

from holdfast.errors import UsageError
from holdfast.url import DatabaseURL


def file_path(url: str | DatabaseURL, *, title: str, what: str = "file", suffix: str = "") -> str:
    """The path that a URL names, as it is written there: relative after three slashes, absolute after four.

    `title` is the engine's name in messages, `what` its databases are (`file`, `folder`), `suffix` the ending of the
    names in examples. A URL that names a host or nothing, or holds a NUL byte, is a `UsageError` that says what to
    write. What stands before an `@` and behind a `?` is not looked at: that is for the engine to use or refuse.
    """
    parsed = DatabaseURL.parse(url) if isinstance(url, str) else url
    relative = f"{parsed.scheme}:///relative{suffix}"
    absolute = f"{parsed.scheme}:////absolute/path{suffix}"
    if parsed.hosts or (parsed.path and not parsed.path.startswith("/")):
        host = "".join(name for name, _ in parsed.hosts)
        path = parsed.path if host == "localhost" else host + parsed.path
        raise UsageError(
            f"the URL {parsed.redacted()} names a host, and {title} has {what}s",
            hint=f"{relative} has three slashes, {absolute} has four"
            + (f": write it as {file_url(parsed.scheme, path)}" if path else ""),
        )
    if len(parsed.path) < 2 or "\0" in parsed.path:
        raise UsageError(f"the {title} URL names no {what}", hint=f"{relative}, {absolute}")
    return parsed.path[1:]


def file_url(scheme: str, path: str) -> str:
    """The URL of a scheme that names a path, relative or absolute."""
    return f"{scheme}:///{quote(path, errors='surrogateescape')}"
