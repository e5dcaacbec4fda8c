"""The interface of plugins as plain data: what a version of Holdfast promises to those that were written for it.

`python -m support.interface` writes it; the releases keep it in `core/tests/interface_1.json`.
"""

import ast
import inspect
import json
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

from holdfast import api, testing
from holdfast.plugins import hookspecs


def describe() -> dict[str, Any]:
    """Names, fields with whether each must be given, members of enums and protocols, hooks with their arguments."""
    values = {name: getattr(api, name) for name in api.__all__}
    classes = {name: value for name, value in values.items() if isinstance(value, type)}
    return {
        "names": sorted(values),
        "fields": {
            name: {field.name: is_required(field) for field in fields(kind)}
            for name, kind in classes.items()
            if is_dataclass(kind)
        },
        "members": {
            name: {member.name: member.value for member in kind}
            for name, kind in classes.items()
            if issubclass(kind, Enum)
        },
        "protocols": {
            name: sorted(required_members(kind))
            for name, kind in classes.items()
            if getattr(kind, "_is_protocol", False)
        },
        "hooks": hooks(),
        "suites": sorted(testing.__all__),
    }


def is_required(field: "Field[Any]") -> bool:
    """Whether whoever makes an object must give the field."""
    return field.default is MISSING and field.default_factory is MISSING


def required_members(protocol: type) -> set[str]:
    """What an implementation must have: the methods and properties whose body is `...`."""
    (tree,) = ast.parse(inspect.getsource(protocol)).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.body[-1], ast.Expr)
        and isinstance(node.body[-1].value, ast.Constant)
        and node.body[-1].value.value is Ellipsis
    }


def hooks() -> dict[str, list[str]]:
    """Each hook with its arguments."""
    specs = inspect.getmembers(hookspecs.HoldfastSpecs, inspect.isfunction)
    return {name: list(inspect.signature(spec).parameters)[1:] for name, spec in specs if name.startswith("holdfast_")}


if __name__ == "__main__":
    print(json.dumps(describe(), indent=1, sort_keys=True))
