"""The documentation as a site: `make docs`."""

import re
from enum import Enum
from typing import Any

from holdfast.field_docs import FIELDS

project = "Holdfast"
author = "the Holdfast developers"
copyright = author
html_title = "Holdfast"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["start.css"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
default_role = "py:obj"  # docstrings write names in single backquotes: a link where the name is documented

copybutton_exclude = ".linenos, .gp, .go"  # copy commands without their prompt and without what they print


def signature(
    _app: Any, kind: str, _name: str, thing: Any, _options: Any, arguments: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Show no arguments where they add nothing: of protocols, of enums, and of dataclasses, whose fields follow."""
    if kind == "class":
        parameters = getattr(thing, "__dataclass_params__", None)
        fields_follow = parameters is not None and parameters.init
        if getattr(thing, "_is_protocol", False) or issubclass(thing, Enum) or fields_follow:
            return "", None
    if arguments:
        # What Sphinx cannot parse it shows as it is, without links.
        arguments = arguments.replace("<factory>", "{}")
        return re.sub(r"~?dataclasses\.InitVar\[([^=]+)\](?= =)", r"\1", arguments), returns
    return None


def docstring(_app: Any, _kind: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Leave the fields to themselves, which `help()` shows in the docstring of their class."""
    if FIELDS in lines:
        del lines[lines.index(FIELDS) :]


def setup(app: Any) -> None:
    """Connect the functions above."""
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
