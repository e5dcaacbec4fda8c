"""Which plugins are installed: the entry points of all distributions, of which a damaged one hides no other."""

import logging
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints, distributions, entry_points
from typing import Any

log = logging.getLogger("holdfast.plugins")

GROUP = "holdfast"
# What is written for it by mistake; other groups may well be those of other programs.
_MISTAKEN = re.compile(r"holdfast([._-]?(plugin|codec|storage|engine|checksum|observer)s?)?", re.IGNORECASE)


def installed_points() -> list[EntryPoint]:
    """The entry points of plugins, each named by one distribution; what cannot be read is told."""
    try:
        points: Any = entry_points()
    except Exception:  # noqa: BLE001 (whatever a damaged file makes of the parser)
        points = EntryPoints(_readable())
    for group in sorted(points.groups):
        if group != GROUP and _MISTAKEN.fullmatch(group):
            for point in points.select(group=group):
                what = f"'{point.name}' of {' '.join(origin(point))}".strip()
                log.warning("%s is in the group '%s' of entry points: plugins are in '%s'", what, group, GROUP)
    return [*points.select(group=GROUP)]


def _readable() -> Iterator[EntryPoint]:
    seen = set()
    for distribution in distributions():
        folder = _folder(distribution)
        name = re.sub(r"[-_.]+", "-", folder.partition("-")[0]).lower()
        if name and name in seen:
            continue
        seen.add(name)
        try:
            points = [*distribution.entry_points]
        except Exception as error:  # noqa: BLE001 (the same)
            text = " ".join(str(error).split())
            log.warning("plugins of %s cannot be found: its entry_points.txt is damaged: %s", folder, text)
            continue
        yield from points


def origin(point: EntryPoint) -> tuple[str, str]:
    """Distribution and version of an entry point: as its metadata say, or else the name of their folder."""
    if point.dist is None:
        return "unknown", ""
    name, _, version = _folder(point.dist).partition("-")
    try:
        headers: Any = point.dist.metadata
        return headers.get("Name", name or "unknown"), headers.get("Version", version)
    except Exception as error:  # noqa: BLE001 (the same)
        log.info("the metadata of %s cannot be read: %s", name, error)
        return name or "unknown", version


def _folder(distribution: object) -> str:
    """The name of the folder of metadata without its end, such as `acme-1.0`."""
    path = getattr(distribution, "_path", None)
    name = getattr(path, "name", "")
    return str(name).removesuffix(".dist-info").removesuffix(".egg-info")
