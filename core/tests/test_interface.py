"""The rules by which the interface of plugins evolves, each tested against what the releases have promised."""

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.installing import Install, codec, look
from support.interface import describe

from holdfast.api import API_VERSION, Kind

ROOT = Path(__file__).parents[2]
PROMISED: dict[str, Any] = json.loads((Path(__file__).parent / f"interface_{API_VERSION}.json").read_text())
_Rule = Callable[[dict[str, Any], dict[str, Any]], Iterator[str]]


def gone(promised: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Rule 1: names and members of enumerations stay, as do the suites."""
    yield from (f"{name} is gone" for kind in ("names", "suites") for name in set(promised[kind]) - set(now[kind]))
    for name, members in promised["members"].items():
        yield from (f"{name}.{key} changed" for key, value in members.items() if now["members"][name].get(key) != value)


def asked(promised: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Rule 2: fields stay, and none has to be given that need not be given before."""
    for name, fields in promised["fields"].items():
        yield from (f"{name}.{field} is gone" for field in fields.keys() - now["fields"][name].keys())
        for field, required in now["fields"][name].items():
            if required and not fields.get(field):
                yield f"{name}.{field} has no default"


def demanded(promised: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Rule 3: what a part must have stays the same."""
    for name, members in promised["protocols"].items():
        yield from (f"{name}.{member} is demanded" for member in set(now["protocols"][name]) - set(members))


def called(promised: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Rule 4: hooks and their arguments stay."""
    for name, arguments in promised["hooks"].items():
        there = now["hooks"].get(name, [])
        yield from (f"{name} lost {argument}" for argument in (*arguments, name) if argument not in (*there, name))
        if name not in now["hooks"]:
            yield f"{name} is gone"


RULES: list[_Rule] = [gone, asked, demanded, called]


@pytest.mark.parametrize("rule", RULES)
def test_what_was_promised_holds(rule: _Rule) -> None:
    """If this fails, either the change breaks plugins that exist, or it has to come with another `API_VERSION`."""
    assert list(rule(PROMISED, describe())) == []


BREAKS: dict[str, tuple[_Rule, Callable[[dict[str, Any]], object]]] = {
    "a name goes": (gone, lambda now: now["names"].remove("Stream")),
    "a suite goes": (gone, lambda now: now["suites"].remove("CodecSuite")),
    "a member changes": (gone, lambda now: now["members"]["Kind"].update(CODEC="codecs")),
    "a field goes": (asked, lambda now: now["fields"]["DumpRequest"].pop("jobs")),
    "a new field has no default": (asked, lambda now: now["fields"]["Stat"].update(digest=True)),
    "a default goes": (asked, lambda now: now["fields"]["Stream"].update(size=True)),
    "a method is demanded": (demanded, lambda now: now["protocols"]["Storage"].append("rename")),
    "a hook goes": (called, lambda now: now["hooks"].pop("holdfast_moment")),
    "an argument goes": (called, lambda now: now["hooks"]["holdfast_storage"].remove("url")),
}
ALLOWED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a name comes": lambda now: now["names"].append("Further"),
    "a member comes": lambda now: now["members"]["EventType"].update(PAUSED="paused"),
    "a field comes, with a default": lambda now: now["fields"]["DumpRequest"].update(further=False),
    "a protocol comes": lambda now: now["protocols"].update(SupportsMore=["more"]),
    "a hook comes": lambda now: now["hooks"].update(holdfast_further=["event"]),
    "an argument comes": lambda now: now["hooks"]["holdfast_dump"].append("further"),
}


@pytest.mark.parametrize("change", BREAKS)
def test_a_change_that_breaks_plugins_is_noticed(change: str) -> None:
    rule, apply = BREAKS[change]
    now = copy.deepcopy(PROMISED)
    apply(now)
    assert [problem for each in RULES for problem in each(PROMISED, now)] == list(rule(PROMISED, now)) != []


@pytest.mark.parametrize("change", ALLOWED)
def test_a_change_that_breaks_nobody_is_allowed(change: str) -> None:
    now = copy.deepcopy(PROMISED)
    ALLOWED[change](now)
    assert [problem for rule in RULES for problem in rule(PROMISED, now)] == []


def test_the_version_of_the_interface_goes_with_the_major_version() -> None:
    """Rule 5: plugins ask for `<1`, and so for no core with another interface."""
    version = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]["version"]
    assert max(1, int(version.split(".")[0])) == API_VERSION


NEWER = {
    "a name": ("from holdfast.api import Further", "ImportError"),
    "a field": (codec("newer").replace("name='newer'", "name='newer', further=1"), "further"),
    "an argument": (codec("newer", "def holdfast_checksum(algorithm, further): ..."), "further"),
    "a hook": (codec("newer", "def holdfast_further(event): ..."), "there is no hook 'holdfast_further'"),
    "an interface": (codec("newer").replace("name='newer'", "name='newer', api_version=2"), "made for API version 2"),
}


@pytest.mark.parametrize("case", NEWER)
def test_a_plugin_that_is_too_new_is_refused_alone(case: str, install: Install) -> None:
    """Rule 6: it is shown with the reason, and everything else works."""
    source, reason = NEWER[case]
    install("newer", source)
    install("sound", codec("sound"))
    registry = look()
    assert "sound" in registry.names(Kind.CODEC)
    assert "newer" not in registry.names(Kind.CODEC)
    (refused,) = [plugin for plugin in registry.plugins if plugin.name == "newer"]
    assert refused.status == "refused"
    assert reason in str(refused.reason)


def test_every_rule_is_documented_and_every_documented_rule_is_tested() -> None:
    page = (ROOT / "docs/plugins/versions.md").read_text()
    written = re.findall(r"^(\d+)\. ", page, re.MULTILINE)
    tested = re.findall(r'^    """Rule (\d+): ', Path(__file__).read_text(), re.MULTILINE)
    assert written == tested
