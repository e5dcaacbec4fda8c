"""Files of a layer that an overlay shows, as they lie below it: `/var/lib/docker/overlay2/…/diff`.

The locks of whoever uses such a file by the overlay are on an inode of the overlay's, which nobody sees who has the
file by its layer. SQLite would take itself for the first to come, and truncate the index of a log that is in use.
"""

from __future__ import annotations

import os

from holdfast_sqlite.mounts import Mount, namespaces


def shown_at(path: str) -> str | None:
    """The name by which a mounted overlay shows a file or folder of its upper layer; None if none does.

    The name begins with the `/proc/…/root` of a process where the overlay is mounted in another namespace.
    """
    for root, table in namespaces():
        for mount in table:
            if mount.kind == "overlay" and (inner := _within(path, mount)) is not None:
                name = root + os.path.normpath(f"{mount.point}/{inner}")
                if os.path.lexists(name):
                    return name
    return None


def _within(path: str, mount: Mount) -> str | None:
    """The path below the upper layer of an overlay, and below what of the overlay is mounted."""
    upper = mount.option("upperdir")
    if upper is None:
        return None
    # Docker names its layers relative to its folder where there are many of them.
    before, layer, inner = f"{path}/".partition(f"/{upper.strip('/')}/")
    if not layer or (before and upper.startswith("/")):
        return None
    part = mount.root.strip("/")
    if part and not inner.startswith(f"{part}/"):
        return None
    return inner.removeprefix(f"{part}/").rstrip("/")
