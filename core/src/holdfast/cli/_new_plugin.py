"""A distribution for a new plugin: a module that works, its tests, types, licence, README and CI file."""

import re
from pathlib import Path

from holdfast.errors import UsageError, os_error_text, quote_name

_NAME = re.compile(r"[a-z][a-z0-9_]*")
KINDS = ("codec", "checksum", "storage", "engine", "observer", "wrapper")
_PLACES = {
    "every/pyproject.toml": "pyproject.toml",
    "every/README.md": "README.md",
    "every/LICENSE": "LICENSE",
    "every/ci.yml": ".github/workflows/tests.yml",
    "{kind}/plugin.py": "src/{package}/__init__.py",
    "{kind}/test.py": "tests/test_{package}.py",
}


def write_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the distribution of a plugin into a folder that is empty or not there, and return its files."""
    from datetime import UTC, datetime
    from importlib.resources import files

    from holdfast import __version__

    if not _NAME.fullmatch(name):
        raise UsageError(f"a plugin cannot be called {quote_name(name)}: lowercase letters, digits and _ are expected")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{quote_name(str(folder))} is there, and no empty folder")
    major, minor = map(int, __version__.split(".")[:2])
    words = {
        "name": name,
        "kind": kind,
        "distribution": f"holdfast-{name.replace('_', '-')}",
        "package": f"holdfast_{name}",
        "title": name.title().replace("_", ""),
        "variable": f"HOLDFAST_{name.upper()}_LOG",
        "oldest": f"{major}.{minor}",
        "limit": str(major + 1),
        "licence": "MIT",
        "year": str(datetime.now(UTC).year),
    }
    templates = files("holdfast.cli") / "templates"
    texts = {
        folder / place.format(**words): (templates / f"{template.format(**words)}.txt").read_text().format(**words)
        for template, place in _PLACES.items()
    }
    texts[folder / "src" / words["package"] / "py.typed"] = ""
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    except OSError as error:
        raise UsageError(f"cannot write {quote_name(str(folder))}: {os_error_text(error)}") from error
    return list(texts)
