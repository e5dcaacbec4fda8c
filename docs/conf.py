"""The documentation as a site: `make docs`."""

from pathlib import Path
from typing import Any

project = "Holdfast"
author = "the Holdfast developers"
copyright = author
html_title = "Holdfast"
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "changes/*"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"  # docstrings write names in single backquotes

FRAGMENTS = Path(__file__).parent / "changes"


def news(_app: Any, name: str, source: list[str]) -> None:
    """Put the news fragments, one file a change, into the page that lists them."""
    if name == "changes":
        fragments = sorted(path for path in FRAGMENTS.glob("*.md") if path.name != "README.md")
        entries = (" ".join(path.read_text().split()) for path in fragments)
        source[0] = source[0].replace("FRAGMENTS", "\n".join(f"- {entry}" for entry in entries))


def setup(app: Any) -> None:
    app.connect("source-read", news)
