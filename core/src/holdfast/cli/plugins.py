"""holdfast plugins, and what it tells of each, looks for in each and writes for a new one."""

from pathlib import Path
from typing import Any

import click

from holdfast.cli._new_plugin import KINDS, write_plugin
from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options
from holdfast.cli.text import table


@click.group("plugins", invoke_without_command=True)
@json_option(run=False)
@output_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the components of all installed plugins, and why others are refused, disabled or duplicates."""
    if ctx.invoked_subcommand is None:
        _overview(ctx.find_object(Console) or Console(verbose=0, quiet=False, log_format=None))


@command.command("show")
@click.argument("name")
@json_option(run=False)
@output_options
@click.pass_obj
def show(console: Console, name: str) -> None:
    """Show the component or plugin NAME with its options and capabilities."""
    from holdfast.defaults import installed
    from holdfast.errors import PluginError

    registry = installed()
    components = [
        _describe(owned, registry)
        for owned in registry.components()
        if name in (owned.component.name, *owned.component.aliases, owned.plugin.distribution, owned.plugin.name)
    ]
    others = [plugin for plugin in _without_components(registry) if name in (plugin["name"], plugin["distribution"])]
    if not components and not others:
        names = ", ".join(dict.fromkeys(owned.component.name for owned in registry.components()))
        raise PluginError(f"no component or plugin '{name}' (installed: {names})")
    if console.json:
        console.data({"components": components, "plugins": others})
        return
    for component in components:
        _print(console, component)
    for plugin in others:
        why = f", {plugin['reason']}" if plugin["reason"] else ""
        console.out(f"{plugin['distribution']} {plugin['version']} ({plugin['name']}): {plugin['status']}{why}")
        if plugin["wraps"]:
            console.out(f"  wraps {', '.join(plugin['wraps'])} of every plugin")


@command.command("api")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option(run=False)
@output_options
@click.pass_obj
def interface(console: Console, names: tuple[str, ...]) -> None:
    """Explain what plugins import from holdfast.api: every name in a line, or each NAME in full.

    NAME may be a pattern: '*' is all of the interface, '*Request' what engines are given.
    """
    from fnmatch import fnmatchcase

    from holdfast import api
    from holdfast.cli._interface_text import explain, summary
    from holdfast.errors import UsageError

    if unknown := [name for name in names if not any(fnmatchcase(each, name) for each in api.__all__)]:
        raise UsageError(f"holdfast.api has no name '{unknown[0]}'", hint="holdfast plugins api lists them all")
    chosen = [each for each in api.__all__ if not names or any(fnmatchcase(each, name) for name in names)]
    texts = {name: explain(name) if names else summary(name) for name in chosen}
    if console.json:
        console.data(texts)
    elif names:
        console.out("\n\n".join(texts.values()))
    else:
        width = max(map(len, texts))
        console.out("\n".join(f"{name:{width}}  {text}" for name, text in texts.items()))


@command.command("doctor")
@click.argument("name", required=False)
@json_option(run=False)
@output_options
@click.pass_obj
def doctor(console: Console, name: str | None) -> None:
    """Look for faults of all plugins, or of the plugin, distribution or component NAME; exit 14 if there are any.

    Each is loaded, its codecs and checksums are tried out, its hooks are compared with what it lists. No database and
    no store is touched: for that, inherit the suites of holdfast.testing.
    """
    from holdfast.defaults import installed
    from holdfast.errors import PluginError
    from holdfast.plugins.doctor import problems

    registry = installed()
    reports: list[dict[str, Any]] = [
        {"plugin": plugin.name, "distribution": plugin.distribution, "version": plugin.version, "status": plugin.status,
         "reason": plugin.reason, "problems": problems(registry, plugin)}
        for plugin in registry.plugins
        if name is None or name in (plugin.name, plugin.distribution, *(part.name for part in plugin.components))
    ]  # fmt: skip
    if not reports:
        names = ", ".join(plugin.name for plugin in registry.plugins)
        raise PluginError(
            f"no component or plugin '{name}' (installed: {names})",
            hint="install the distribution that it is in, as with `pip install -e .` in its folder",
        )
    if console.json:
        console.data(reports)
    else:
        for report in reports:
            title = f"{report['plugin']} ({report['distribution']} {report['version']})"
            lines = report["problems"] or (
                [] if report["status"] == "active" else [f"not looked at: {report['reason'] or report['status']}"]
            )
            console.out(f"{'PROBLEM' if report['problems'] else 'ok':8}{title}" + "".join(f"\n  {x}" for x in lines))
    faulty = [str(report["distribution"]) for report in reports if report["problems"]]
    if faulty:
        raise PluginError(f"there are faults in {', '.join(dict.fromkeys(faulty))}")


@command.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the plugin brings.")
@click.option("--into", type=click.Path(path_type=Path), help="The folder to make; holdfast-NAME if left out.")
@json_option(run=False)
@output_options
@click.pass_obj
def new(console: Console, name: str, kind: str, into: Path | None) -> None:
    """Write a distribution for a plugin that brings NAME, to be built upon.

    It has a module that works, tests with the public suite, types, a licence, a README and a CI file.
    """
    from holdfast.defaults import installed

    written = write_plugin(name, kind, into or Path(f"holdfast-{name.replace('_', '-')}"))
    for owned in installed().components():
        if str(owned.component.kind) == kind and name in (owned.component.name, *owned.component.aliases):
            console.warn(f"{kind} '{name}' is there already, of {owned.plugin.title}: two of one name cannot be used")
    if console.json:
        console.data([str(path) for path in written])
        return
    for path in written:
        console.out(str(path))


def _overview(console: Console) -> None:
    from holdfast.defaults import installed

    registry = installed()
    components = [_describe(owned, registry) for owned in registry.components()]
    others = _without_components(registry)
    if console.json:
        console.data({"components": components, "plugins": others})
        return
    rows = [
        {
            "KIND": component["kind"],
            "NAME": component["name"],
            "DISTRIBUTION": f"{component['distribution']} {component['version']}",
            "SUMMARY": _summary(component),
        }
        for component in components
    ]
    console.out(table(rows))
    for plugin in others:
        title = f"{plugin['name']} ({plugin['distribution']} {plugin['version']})"
        console.out(f"{plugin['status'].upper()} {title}" + (f": {plugin['reason']}" if plugin["reason"] else ""))
    wrapping = {(entry["distribution"], entry["version"], *entry["wraps"]): entry for entry in (*components, *others)}
    for entry in wrapping.values():
        if entry["wraps"]:
            console.out(f"WRAPS {', '.join(entry['wraps'])}: {entry['distribution']} {entry['version']}")


def _summary(component: dict[str, Any]) -> str:
    conflict: list[str] = component["conflict"]
    return f"CONFLICT: {' and '.join(conflict)}" if conflict else component["summary"]


def _describe(owned: Any, registry: Any) -> dict[str, Any]:
    from holdfast.plugins.options import describe_options

    component, plugin = owned.component, owned.plugin
    claims = registry.claims(component.kind, component.name)
    return {
        "kind": str(component.kind),
        "name": component.name,
        "aliases": list(component.aliases),
        "kinds": sorted(component.kinds),
        "summary": component.summary,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "plugin": plugin.name,
        "status": "active",
        "capabilities": sorted(str(capability) for capability in component.capabilities),
        "options": describe_options(component),
        "conflict": [claim.plugin.title for claim in claims] if len(claims) > 1 else [],
        "wraps": registry.wraps(plugin),
    }


def _without_components(registry: Any) -> list[dict[str, Any]]:
    """Plugins without components: refused, disabled, or active and only watching runs."""
    return [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": plugin.status,
            "reason": plugin.reason,
            "wraps": registry.wraps(plugin),
        }
        for plugin in registry.plugins
        if not plugin.components
    ]


def _print(console: Console, component: dict[str, Any]) -> None:
    console.out(f"{component['kind']} {component['name']}: {component['summary']}")
    console.out(f"  from {component['distribution']} {component['version']}")
    if component["kinds"]:
        console.out(f"  can leave out: {', '.join(component['kinds'])}")
    if component["aliases"]:
        console.out(f"  also called {', '.join(component['aliases'])}")
    if component["conflict"]:
        console.out(f"  CONFLICT: claimed by {' and '.join(component['conflict'])}")
    if component["wraps"]:
        console.out(f"  wraps {', '.join(component['wraps'])} of every plugin")
    if component["capabilities"]:
        console.out(f"  can {', '.join(component['capabilities'])}")
    for option in component["options"]:
        kind = "|".join(map(str, option["type"])) if isinstance(option["type"], list) else option["type"]
        console.out(f"  {option['name']}={kind}  [default: {option['default']}]  {option['help']}")
