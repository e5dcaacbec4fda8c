"""File names as SQLite's URIs (https://www.sqlite.org/uri.html)."""

import os


def sqlite_uri(path: str, mode: str) -> str:
    """The path as a URI in which `?`, `#` and `%` have lost their meaning; `mode` may carry further parameters."""
    raw = os.fsencode(os.path.abspath(path))
    quoted = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"/._-" else f"%{byte:02x}" for byte in raw
    )
    return f"file://{quoted}?mode={mode}"
