"""holdfast schema."""

from collections.abc import Callable
from typing import Any

import click

from holdfast.cli.console import Console
from holdfast.cli.options import output_options


@click.command("schema")
@click.argument("name", required=False, metavar="[plan|manifest|config|NAME]")
@click.option("--json", is_flag=True, expose_value=False, hidden=True, help="Output is always JSON.")
@output_options
@click.pass_obj
def command(console: Console, name: str | None) -> None:
    """Print the JSON Schema of plans, of manifests, of holdfast.toml (config), or of the options of the component NAME.

    Without a name, of all of them.
    """
    import msgspec

    from holdfast.defaults import installed
    from holdfast.errors import PluginError
    from holdfast.jobs.model import Config
    from holdfast.plan import BackupPlan
    from holdfast.plugins.options import options_schema
    from holdfast.store import manifest

    fixed: dict[str, Callable[[], dict[str, Any]]] = {
        "plan": lambda: msgspec.json.schema(BackupPlan),
        "manifest": manifest.schema,
        "config": lambda: msgspec.json.schema(Config),
    }
    components = {owned.component.name: owned.component for owned in installed().components()}
    if name is None:
        document = {key: make() for key, make in fixed.items()}
        document["options"] = {key: options_schema(component) for key, component in components.items()}
    elif name in fixed:
        document = fixed[name]()
    elif name in components:
        document = options_schema(components[name])
    else:
        raise PluginError(f"no schema '{name}' (there are: {', '.join([*fixed, *components])})")
    console.out(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
