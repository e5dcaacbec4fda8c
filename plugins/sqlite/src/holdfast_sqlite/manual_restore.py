"""The commands that restore a backup without Holdfast, as its RESTORE.md has them."""

from typing import Literal


def restore_steps(stream: str, form: Literal["image", "sql"]) -> tuple[str, ...]:
    """The steps for one stream; the core knows how to decode it, and TARGET_DB is for the reader to replace."""
    return (f"{{decode:{stream}}} > TARGET_DB" if form == "image" else f"{{decode:{stream}}} | sqlite3 TARGET_DB",)
