"""Distributions with plugins that lie on the module path, which importlib.metadata takes for installed."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def write_distribution(
    folder: Path, name: str, source: str | None = None, *, version: str = "1.0", points: Mapping[str, str] | None = None
) -> Path:
    """Write the distribution `name` with one module of its name, registered under its name; returns the folder.

    `points` are entry points by name, for plugins that register otherwise.
    """
    module = name.replace("-", "_")
    folder.mkdir(exist_ok=True)
    if source is not None:
        (folder / f"{module}.py").write_text(dedent(source))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    entries = points or {name: module}
    lines = [f"{point} = {target}" for point, target in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[holdfast]", *lines, ""]))
    return folder
