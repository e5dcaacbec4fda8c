"""Whether what a plugin lists can be used: one wrong component must not break the lists that all others are in."""

import re
from collections.abc import Iterable
from functools import cache

import msgspec

from holdfast.api import API_VERSION, Capability, Component, Kind
from holdfast.errors import PluginError
from holdfast.plugins.options import has_default, option_fields, option_operations

# What a URL's scheme may hold, with `_`, and nothing that `--codec NAME:VALUE,KEY=VALUE` gives a meaning to.
_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*")
_OPERATIONS = frozenset({"backup", "restore"})
_SECRET = re.compile(r"passw|pwd|secret|token|credential")


def check_components(components: Iterable[object]) -> tuple[Component, ...]:
    """Return the components of one plugin, or raise `PluginError` with what is wrong with one of them."""
    checked: list[Component] = []
    names: set[tuple[Kind, str]] = set()
    for component in components:
        if not isinstance(component, Component):
            raise PluginError(f"it lists {component!r}, which is not a Component")
        _check(component)
        for name in (component.name, *component.aliases):
            if (component.kind, name) in names:
                raise PluginError(f"it lists {component.kind} '{name}' twice")
            names.add((component.kind, name))
        checked.append(component)
    return tuple(checked)


def _check(component: Component) -> None:
    if component.api_version != API_VERSION:
        raise PluginError(
            f"'{component.name}' is made for API version {component.api_version}, this Holdfast has {API_VERSION}"
        )
    if not isinstance(component.kind, Kind):
        raise PluginError(f"'{component.name}' is of the kind {component.kind!r}, expected a member of Kind")
    if not _is_name(component.name):
        raise PluginError(f"{component.name!r} cannot be a name: expected lowercase letters, digits and + . _ -")
    if type(component.aliases) is not tuple or not all(map(_is_name, component.aliases)):
        raise PluginError(f"the aliases of '{component.name}' are {component.aliases!r}, expected a tuple of names")
    if not all(isinstance(capability, Capability) for capability in component.capabilities):
        raise PluginError(f"the capabilities of '{component.name}' are not all members of Capability")
    _check_parameters(component)
    try:
        fields = option_fields(component)
        if component.options is not None:
            _check_types(component.options)
        operations = {each for field in fields.values() for each in option_operations(field)}
        required = [name for name, field in fields.items() if not has_default(field)]
    except TypeError as error:
        raise PluginError(f"the options of {component.kind} '{component.name}' cannot be checked: {error}") from error
    if unknown := sorted(operations - _OPERATIONS):
        raise PluginError(
            f"an option of {component.kind} '{component.name}' is for the operation '{unknown[0]}', expected "
            f"{' or '.join(sorted(_OPERATIONS))}"
        )
    if required:
        raise PluginError(f"the option '{required[0]}' of {component.kind} '{component.name}' has no default")


@cache
def _check_types(options: type) -> None:
    """Raise `TypeError` where an option's type cannot be checked; once, however many registries a program makes."""
    msgspec.json.schema(options)


def _check_parameters(component: Component) -> None:
    """Refuse what would show a secret, or would never be compared with what a URL says."""
    names: object = component.harmless_parameters
    if not isinstance(names, frozenset) or not all(isinstance(name, str) and name == name.lower() for name in names):
        raise PluginError(f"the harmless parameters of '{component.name}' are not a frozenset of lowercase names")
    secret = next((name for name in sorted(names) if _SECRET.search(name)), None)
    if secret is not None:
        raise PluginError(f"'{component.name}' lists the URL parameter '{secret}' as harmless, which names a secret")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(_NAME.fullmatch(name))
