"""Plugins of one module each, installed on the module path for one test, instead of what is really installed."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.plugins.loading import Plugin
from holdfast.plugins.registry import Registry

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution made of one module, and see nothing that is really installed."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(distribution: str, source: str, *, points: str = "", version: str = "1.0", metadata: bool = True) -> None:
        module = f"plugin_{distribution.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[holdfast]\n{points or f'{distribution} = {module}'}\n")
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")

    yield add
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


def codec(name: str, *more: str) -> str:
    """The source of a plugin of plain functions that offers a codec."""
    return "\n".join(
        [
            "from holdfast.api import Component, Kind",
            "class Codec:",
            "    suffix = '.x'",
            f"    origin = '{name}'",
            "    encode = decoder = update = hexdigest = lambda self, *block: self",
            "def holdfast_components():",
            f"    return [Component(kind=Kind.CODEC, name='{name}')]",
            "def holdfast_compress(codec, options):",
            f"    return Codec() if codec == '{name}' else None",
            *more,
        ]
    )


def look(**environ: str) -> Registry:
    return Registry(environ=environ)


def origin(part: Any) -> str:
    """The plugin that a part is from, as the test's plugins say in it."""
    return str(part.origin)


def plugin(registry: Registry, name: str) -> Plugin:
    (match,) = [plugin for plugin in registry.plugins if plugin.name == name]
    return match
