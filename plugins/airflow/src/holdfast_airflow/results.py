"""What tasks leave in XCom: a few plain values, of which the next task needs the name, the id and the store."""

from collections.abc import Mapping
from typing import Any

from holdfast.api import Change

_KEYS = (
    *("id", "name", "store", "store_options", "state", "engine", "created_at", "size_bytes", "stored_bytes"),
    *("duration_seconds", "codec", "run", "reused", "passed", "depth", "compared", "copied", "dry_run"),
    *("target", "whole", "digest"),
)
_LISTS = ("changes", "deleted", "warnings", "failures", "failed", "leftovers")
_LINES = 8  # of a list, with how many there are
_LONGEST = 160  # characters of a line


def small(data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a result that is worth keeping, below 4 kB but for what names the store."""
    result = {key: data[key] for key in _KEYS if key in data}
    for key in _LISTS:
        if values := data.get(key):
            lines = [str(Change(**value)) if key == "changes" else _line(value) for value in values]
            result[key] = [_cut(line) for line in lines[: _LINES if key in ("changes", "deleted") else 3]]
            result[f"{key}_count"] = len(values)
    if "kept" in data:
        result["kept_count"] = len(data["kept"])
    return result


def _line(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(str(part) for part in dict(value).values() if part)


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
