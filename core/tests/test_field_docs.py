"""What each field of a request means is found by `help()`, as it stands in the reference."""

import pydoc
import re
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import pytest

from holdfast import api
from holdfast.field_docs import explain_fields

DATA = [kind for name in api.__all__ if isinstance(kind := getattr(api, name), type) and is_dataclass(kind)]


@pytest.mark.parametrize("kind", DATA)
def test_help_explains_every_field(kind: Any) -> None:
    shown_by_help = pydoc.plain(pydoc.render_doc(kind))
    unexplained = [
        field.name
        for field in fields(kind)
        if not re.search(rf"^ \|  {field.name}: \S.{{8,}}", shown_by_help, re.MULTILINE)
    ]
    assert unexplained == []


def test_comments_of_several_lines_are_whole() -> None:
    text = api.DumpRequest.__doc__ or ""
    assert text.startswith("What to dump, and how.\n\n    Fields:\n\n    url: The source's URL in full")
    assert re.search(r"(?m)^    report: Called with .* dump is told once it is open\.$", text)


def test_a_class_without_its_source_keeps_its_docstring() -> None:
    names: dict[str, Any] = {"dataclass": dataclass, "__name__": "nowhere"}
    exec('@dataclass\nclass Part:\n    """A part."""\n    size: int = 0', names)
    assert explain_fields(names["Part"]).__doc__ == "A part."
