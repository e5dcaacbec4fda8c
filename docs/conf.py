"""The documentation as a site: `make docs`."""

project = "Holdfast"
author = "the Holdfast developers"
copyright = author
html_title = "Holdfast"
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"  # docstrings write names in single backquotes
