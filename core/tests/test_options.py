"""Options: texts become the component's dataclass, or an error that names what is known."""

import contextlib
import enum
import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api import Component, Kind
from holdfast.errors import PluginError, UsageError
from holdfast.plugins.options import (
    build_options,
    check_operation,
    describe_options,
    options_schema,
    parse_assignments,
    spec_options,
    split_spec,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    level: int = field(default=1, metadata={"help": "how hard"})
    ratio: float = 0.5
    careful: bool = False
    mode: Literal["fast", "slow"] = "fast"
    parts: list[str] = field(default_factory=lambda: ["all"])
    note: str | None = None
    roles: bool | Literal["nameless"] = False

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise ValueError(f"level is {self.level}, expected 1 to 9")
        if self.note == "bug":
            raise KeyError(self.note)


LIB = Component(kind=Kind.CODEC, name="lib", options=Options)
PLAIN = Component(kind=Kind.CODEC, name="plain")


def test_texts_are_converted_to_the_type_of_their_field() -> None:
    built = build_options(LIB, {"level": "3", "ratio": "0.25", "careful": "true", "mode": "slow", "note": "null"})
    assert built == Options(level=3, ratio=0.25, careful=True, mode="slow", note=built.note)
    assert build_options(LIB, {}) == Options()
    assert build_options(PLAIN, {}) is None


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"^codec 'lib' has no option 'lvl' \(it has: careful, level, mode"):
        build_options(LIB, {"lvl": "3"})
    with pytest.raises(UsageError, match=r"^codec 'plain' has no option 'level' \(it has: none\)$"):
        build_options(PLAIN, {"level": "3"})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"level": "high"}, r"codec 'lib', option 'level' 'high': expected `int`, got `str`"),
        ({"level": "0"}, r"codec 'lib', options: level is 0, expected 1 to 9"),
        ({"careful": "perhaps"}, r"option 'careful' 'perhaps'"),
        ({"mode": "other"}, r"option 'mode' 'other': invalid enum value 'other' \(it takes: fast, slow\)"),
        ({"roles": "maybe"}, r"option 'roles' 'maybe': .* \(it takes: true, false, nameless\)"),
        ({"ratio": "1e999999"}, r"ratio"),
    ],
)
def test_a_value_that_does_not_fit_is_a_usage_error_that_names_it(values: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        build_options(LIB, values)


def test_a_bug_in_the_options_of_a_plugin_is_blamed_on_it() -> None:
    with pytest.raises(PluginError, match="codec 'lib' cannot check its options: KeyError"):
        build_options(LIB, {"note": "bug"})


@given(st.dictionaries(st.sampled_from(["level", "ratio", "careful", "mode", "parts", "note"]), st.text()))
def test_any_texts_are_options_or_a_holdfast_error(values: dict[str, str]) -> None:
    with contextlib.suppress(UsageError, PluginError):
        assert isinstance(build_options(LIB, values), Options)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("none", ("none", None, {})),
        ("ZSTD:3", ("zstd", "3", {})),
        ("zstd:level=3", ("zstd", None, {"level": "3"})),
        ("gzip:6,library=isal", ("gzip", "6", {"library": "isal"})),
        ("x:a-b=1", ("x", None, {"a_b": "1"})),
        ("x:a=b=c", ("x", None, {"a": "b=c"})),
    ],
)
def test_a_component_is_named_with_its_options(text: str, parts: tuple[object, ...]) -> None:
    assert split_spec(text) == parts


@pytest.mark.parametrize("text", ["zstd:", "zstd:3,4", "zstd:,", "zstd:level=1,level=2", "zstd:=3"])
def test_what_cannot_be_read_as_a_component_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        split_spec(text)


def test_the_short_form_sets_the_first_option_and_only_once() -> None:
    assert spec_options(LIB, "3", {"mode": "slow"}) == Options(level=3, mode="slow")
    with pytest.raises(UsageError, match="'level' of codec 'lib' is given twice"):
        spec_options(LIB, "3", {"level": "4"})
    with pytest.raises(UsageError, match="codec 'plain' takes no value, found ':3'"):
        spec_options(PLAIN, "3", {})


@given(st.text())
def test_any_text_is_a_component_or_a_usage_error(text: str) -> None:
    try:
        name, _, _ = split_spec(text)
    except UsageError:
        return
    assert name == name.strip().lower()


def test_assignments_are_read_with_hyphens_and_without_values() -> None:
    assert parse_assignments(("a-b=1", "c", "d=x=y", "e=")) == {"a_b": "1", "c": "true", "d": "x=y", "e": ""}


@pytest.mark.parametrize("texts", [("a=1", "a=2"), ("a-b=1", "a_b=2"), ("=1",), ("",)])
def test_assignments_are_unique_and_have_a_name(texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        parse_assignments(texts)


def test_options_are_described_with_their_defaults_and_help() -> None:
    described = {option["name"]: option for option in describe_options(LIB)}
    assert described["level"] == {
        "name": "level",
        "type": "integer",
        "default": 1,
        "operations": [],
        "help": "how hard",
    }
    assert described["mode"]["type"] == ["fast", "slow"]
    assert described["roles"]["type"] == ["boolean", "nameless"]
    assert described["parts"]["default"] == ["all"]
    json.dumps(describe_options(LIB))
    assert describe_options(PLAIN) == []


def test_the_schema_of_options_admits_no_others() -> None:
    schema = options_schema(LIB)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["level"]["description"] == "how hard"
    assert options_schema(PLAIN) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_options_that_are_no_dataclass_are_a_plugin_error() -> None:
    with pytest.raises(PluginError, match="options of codec 'odd' are not a dataclass"):
        build_options(Component(kind=Kind.CODEC, name="odd", options=dict), {})


def test_options_are_of_the_types_that_the_documentation_names() -> None:
    @dataclass(frozen=True)
    class Many:
        text: str = ""
        count: int = 1
        share: float = 1.0
        fast: bool = False
        way: Literal["in", "out"] = "in"
        most: int | None = None

    component = Component(kind=Kind.ENGINE, name="many", options=Many)
    values = {"text": "1", "count": "2", "share": "0.5", "fast": "true", "way": "out", "most": "3"}
    assert build_options(component, values) == Many("1", 2, 0.5, True, "out", 3)
    told = {option["name"]: option["type"] for option in describe_options(component)}
    assert told["way"] == ["in", "out"]
    assert told["most"] == ["integer", "null"]


def test_an_enumeration_is_described_by_its_values() -> None:
    class Way(enum.StrEnum):
        IN = "in"
        OUT = "out"

    @dataclass(frozen=True)
    class Ways:
        way: Way = Way.IN
        back: Way | None = None
        all: tuple[Way, ...] = ()

    component = Component(kind=Kind.ENGINE, name="ways", options=Ways)
    assert build_options(component, {"way": "out", "back": "in"}) == Ways(Way.OUT, Way.IN)
    with pytest.raises(UsageError, match=r"takes: in, out"):
        build_options(component, {"way": "up"})
    told = {option["name"]: option for option in describe_options(component)}
    assert told["way"]["type"] == ["in", "out"]
    assert told["back"]["type"] == ["in", "out", "null"]
    assert json.loads(json.dumps(told["way"]["default"])) == "in"
    schema = options_schema(component)
    assert schema["properties"]["all"]["items"]["enum"] == ["in", "out"]
    assert "$defs" not in schema


def test_an_option_of_another_operation_is_refused() -> None:
    """It would be ignored, and whoever gave it believe that it had an effect."""

    @dataclass(frozen=True)
    class Sided:
        way: str = field(default="", metadata={"help": "how", "operations": ("backup",)})
        owner: str = field(default="", metadata={"operations": ("restore",)})
        patience: int = 1

    component = Component(kind=Kind.ENGINE, name="sided", options=Sided)
    for operation, names in (("backup", ["way", "patience"]), ("restore", ["owner", "patience", "unknown"])):
        check_operation(component, names, operation)
    with pytest.raises(
        UsageError, match="option 'way' of engine 'sided' is for backup, and has no meaning for restore"
    ):
        check_operation(component, ["patience", "way"], "restore")
    with pytest.raises(UsageError, match="option 'owner' of engine 'sided' is for restore"):
        check_operation(component, ["owner"], "backup")
    described = {option["name"]: option for option in describe_options(component)}
    assert (described["way"]["help"], described["way"]["operations"]) == ("backup: how", ["backup"])
    assert described["patience"]["operations"] == []
    assert options_schema(component)["properties"]["way"]["description"] == "backup: how"
