"""What a plugin lists is checked, and a list of harmless URL parameters is no way to show a secret."""

from typing import Any

import pytest

from holdfast.api import Component, Kind
from holdfast.errors import PluginError
from holdfast.plan import BackupPlan
from holdfast.plugins.components import check_components
from holdfast.plugins.registry import Registry
from holdfast.url import redact

URL = "drawer://db/app?tls=on&charset=utf8&timeout=3"


def engine(**fields: Any) -> Component:
    return Component(kind=Kind.ENGINE, name="drawer", aliases=("chest",), **fields)


class Plugin:
    def __init__(self, *components: Component) -> None:
        self._components = components

    def holdfast_components(self) -> tuple[Component, ...]:
        return self._components


@pytest.fixture(autouse=True)
def nothing_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a registry has listed so far is forgotten."""
    monkeypatch.setattr("holdfast.url._listed", {})


@pytest.mark.parametrize("names", [{"tls"}, ["tls"], frozenset({"TLS"}), frozenset({7})])
def test_a_list_of_harmless_parameters_is_a_frozenset_of_lowercase_names(names: Any) -> None:
    with pytest.raises(PluginError, match="harmless parameters of 'drawer'"):
        check_components([engine(harmless_parameters=names)])


@pytest.mark.parametrize("name", ["password", "passwd", "sslpassword", "pwd", "client_secret", "token"])
def test_what_names_a_secret_cannot_be_listed_as_harmless(name: str) -> None:
    with pytest.raises(PluginError, match=f"parameter '{name}' as harmless"):
        check_components([engine(harmless_parameters=frozenset({name}))])


def test_a_registry_lets_urls_show_what_the_engine_of_their_scheme_lists() -> None:
    assert redact(URL) == "drawer://db/app?tls=***&charset=***&timeout=3"
    listed = engine(harmless_parameters=frozenset({"tls", "charset"}))
    Registry(plugins=[Plugin(listed)], discover=False, environ={})
    assert redact(URL) == URL
    assert redact(URL.replace("drawer", "chest")) == URL.replace("drawer", "chest")
    assert redact(URL.replace("drawer", "other")) == "other://db/app?tls=***&charset=***&timeout=3"


def test_of_two_that_claim_a_scheme_both_have_to_list_a_parameter() -> None:
    plugins = [
        Plugin(engine(harmless_parameters=frozenset({"tls", "charset"}))),
        Plugin(engine(harmless_parameters=frozenset({"charset"}))),
    ]
    Registry(plugins=plugins, discover=False, environ={})
    assert redact(URL) == "drawer://db/app?tls=***&charset=utf8&timeout=3"


@pytest.mark.parametrize(
    "url", ["postgresql://db/app?sslmode=require", "mysql://db/app?charset=utf8", "sqlite:///app.db?mode=ro"]
)
def test_a_plan_asks_the_installed_engine_before_it_takes_a_parameter_for_a_secret(url: str) -> None:
    from holdfast.defaults import installed

    installed.cache_clear()  # as in a program that has looked up nothing yet
    assert BackupPlan(source=url).as_data() == {"source": url}
    assert redact(url) == url
