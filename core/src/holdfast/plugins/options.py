"""Options of components: from `KEY=VALUE` text or plain data to the component's frozen dataclass, checked."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from holdfast.api import Component
from holdfast.decodable import decodable
from holdfast.errors import HoldfastError, PluginError, UsageError, lower_first


def build_options(component: Component, values: Mapping[str, Any]) -> Any:
    """Make the options instance of a component; texts are converted to the type of their field.

    Returns None for a component without options. Unknown names and values out of range are a `UsageError`
    that names what is known.
    """
    what = f"{component.kind} '{component.name}'"
    known = option_fields(component)
    for key in values:
        # msgspec ignores unknown keys on dataclasses, and a mistyped option must never be ignored.
        if key not in known:
            names = ", ".join(sorted(known)) or "none"
            raise UsageError(f"{what} has no option '{key}' (it has: {names})")
    if component.options is None:
        return None
    try:
        return msgspec.convert(dict(values), decodable(component.options), strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        key = place.strip("`.")
        value = f" '{values[key]}'" if key in values else ""
        option = f"option '{key}'{value}" if key else "options"
        choices = _choices(options_schema(component)["properties"].get(key, {}))
        takes = f" (it takes: {', '.join(map(str, choices))})" if choices else ""
        raise UsageError(f"{what}, {option}: {lower_first(text)}{takes}") from error
    except HoldfastError:
        raise
    except Exception as error:
        raise PluginError(f"{what} cannot check its options: {type(error).__name__}: {error}") from error


def split_spec(text: str) -> tuple[str, str | None, dict[str, str]]:
    """Take `name[:value][,key=value…]` apart: `zstd:3`, `zstd:level=3`, `none`."""
    name, colon, rest = text.partition(":")
    if not name.strip():
        raise UsageError(f"cannot read '{text}', expected name, name:value or name:key=value,key=value")
    shorthand: str | None = None
    values: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        key = _option_name(key)
        if equals and key in values:
            raise UsageError(f"option '{key}' is given twice in '{text}'")
        if equals and key:
            values[key] = value
        elif part and not equals and shorthand is None:
            shorthand = part
        else:
            raise UsageError(f"cannot read '{text}', expected name, name:value or name:key=value,key=value")
    return name.strip().lower(), shorthand, values


def spec_options(component: Component, shorthand: str | None, values: Mapping[str, str]) -> Any:
    """Options for a component named by `split_spec`, whose shorthand sets the first field."""
    if shorthand is not None:
        first = next(iter(option_fields(component)), None)
        if first is None:
            raise UsageError(f"{component.kind} '{component.name}' takes no value, found ':{shorthand}'")
        if first in values:
            raise UsageError(f"option '{first}' of {component.kind} '{component.name}' is given twice")
        values = {first: shorthand, **values}
    return build_options(component, values)


def parse_assignments(texts: tuple[str, ...]) -> dict[str, str]:
    """Turn `-o KEY=VALUE` texts into a mapping; `-o KEY` means `KEY=true`."""
    values: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = _option_name(key)
        if not key:
            raise UsageError(f"cannot read option '{text}', expected KEY=VALUE")
        if key in values:
            raise UsageError(f"option '{key}' is given twice")
        values[key] = value if equals else "true"
    return values


def _option_name(text: str) -> str:
    """The name of a field, which may be written with hyphens."""
    return text.strip().replace("-", "_")


def check_operation(component: Component, names: Iterable[str], operation: str) -> None:
    """Refuse options that another operation takes: without that they would be ignored, and whoever gave them misled."""
    known = option_fields(component)
    for name in names:
        takes = option_operations(known[name]) if name in known else ()
        if takes and operation not in takes:
            raise UsageError(
                f"option '{name}' of {component.kind} '{component.name}' is for {' and '.join(takes)}, "
                f"and has no meaning for {operation}",
                hint=f"leave '{name}' out",
            )


def option_operations(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    """The operations that take an option; none is named where all do. What a restore takes, a drill takes too."""
    operations = field.metadata.get("operations", ())
    return (operations,) if isinstance(operations, str) else tuple(operations)


def option_help(field: dataclasses.Field[Any]) -> str:
    """What an option is for, in one line."""
    return f"{''.join(f'{name}: ' for name in option_operations(field))}{field.metadata.get('help', '')}"


def option_fields(component: Component) -> dict[str, dataclasses.Field[Any]]:
    """The options of a component by name, in their order."""
    if component.options is None:
        return {}
    if not dataclasses.is_dataclass(component.options):
        raise PluginError(f"the options of {component.kind} '{component.name}' are not a dataclass")
    return {field.name: field for field in dataclasses.fields(component.options)}


def describe_options(component: Component) -> list[dict[str, Any]]:
    """Each option as plain data: name, type, default and help."""
    schema = options_schema(component).get("properties", {})
    return [
        {
            "name": name,
            "type": _type(schema.get(name, {})),
            "default": _default(field),
            "operations": list(option_operations(field)),
            "help": option_help(field),
        }
        for name, field in option_fields(component).items()
    ]


def _type(schema: Mapping[str, Any]) -> str | list[Any]:
    """What an option takes: a type, its values, or both."""
    alternatives = [_type(alternative) for alternative in schema.get("anyOf", ())]
    flat = [word for each in alternatives for word in (each if isinstance(each, list) else [each])]
    return schema.get("type") or schema.get("enum") or flat or "any"


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    """The values that an option takes where they can be counted, and none otherwise."""
    if schema.get("type") == "boolean":
        return ["true", "false"]
    each = [_choices(alternative) for alternative in schema.get("anyOf", ())]
    return schema.get("enum") or [value for choices in each for value in choices if all(each)]


def has_default(field: dataclasses.Field[Any]) -> bool:
    """Tell whether an option may be left out."""
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default if has_default(field) else None


def options_schema(component: Component) -> dict[str, Any]:
    """JSON Schema of a component's options."""
    if component.options is None:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    option_fields(component)
    schema = msgspec.json.schema(component.options)
    reference = schema.pop("$ref", "").rpartition("/")[2]
    definitions = schema.pop("$defs", {})
    document: dict[str, Any] = {**definitions.pop(reference, {}), "additionalProperties": False}
    # An enumeration is a list of values like any other, to whoever asks what an option takes.
    values = {f"#/$defs/{name}": definitions.pop(name) for name in list(definitions) if "enum" in definitions[name]}
    document["properties"] = {name: _inline(each, values) for name, each in document["properties"].items()}
    for name, field in option_fields(component).items():
        if help_text := option_help(field):
            document["properties"][name]["description"] = help_text
    return {**document, "$defs": definitions} if definitions else document


def _inline(schema: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Put the values of enumerations where a schema refers to them."""
    inlined = {key: value for key, value in schema.items() if key != "$ref" or value not in values}
    inlined |= values.get(schema.get("$ref", ""), {})
    if "anyOf" in schema:
        inlined["anyOf"] = [_inline(alternative, values) for alternative in schema["anyOf"]]
    if isinstance(schema.get("items"), dict):
        inlined["items"] = _inline(schema["items"], values)
    return inlined
