"""Options that several commands share."""

import functools
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from holdfast.api import Check
from holdfast.cli.console import Console
from holdfast.cli.standard_streams import own_output

if TYPE_CHECKING:
    from holdfast.identities import IdentitySource

_LEVELS: dict[str, Check] = {"quick": True, "full": "full", "off": False}
_EXTENSION = "load_extension"
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def engine_options(assignments: tuple[str, ...], extensions: tuple[str, ...]) -> dict[str, Any]:
    """The options of the engine, of `-o KEY=VALUE` and of `--load-extension`, which is one of them too."""
    from holdfast.errors import UsageError
    from holdfast.plugins.options import parse_assignments

    options: dict[str, Any] = parse_assignments(assignments)
    if extensions and _EXTENSION in options:
        raise UsageError(f"option '{_EXTENSION}' is given twice", hint="use --load-extension alone, once for each")
    return {**options, _EXTENSION: extensions} if extensions else options


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Accept -v, -q and --log-format after the command's name as well as before it, and keep stdout for its data."""

    @functools.wraps(command)
    def alone(*values: Any, **named: Any) -> Any:
        with own_output():
            return command(*values, **named)

    def more(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        console = ctx.find_object(Console)
        if console is None or value in (0, False, None):
            return
        if parameter.name == "verbose":
            console.verbose += value
        else:
            setattr(console, parameter.name or "", value)
        console.start_logging()

    for option in (
        click.option(
            "--log-format", type=click.Choice(["text", "json"]), callback=more, expose_value=False, hidden=True
        ),
        click.option("-q", "--quiet", is_flag=True, callback=more, expose_value=False, hidden=True),
        click.option("-v", "--verbose", count=True, callback=more, expose_value=False, hidden=True),
    ):
        alone = option(alone)
    return alone


def json_option(*, run: bool) -> Decorator:
    """`--json`: one document for queries, lines with `type` for runs."""

    def switch(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        console = ctx.find_object(Console)
        if console is not None:
            console.json = console.json or value  # of the group or of its command: `plugins --json show`
            console.run_output = run

    text = "Write JSON lines with a type to stdout." if run else "Write one JSON document to stdout."
    return click.option("--json", is_flag=True, is_eager=True, expose_value=False, callback=switch, help=text)


class CheckedCommand(click.Command):
    """A command with `check_option`: the word after `--check` is its value only where it is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every `--check` its value before click would take whatever follows."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*_with_levels(args[:end]), *args[end:]])


def _with_levels(args: list[str]) -> Iterator[str]:
    rest = args[::-1]
    while rest:
        word = rest.pop()
        if word == "--check":
            yield f"--check={rest.pop() if rest and rest[-1] in _LEVELS else 'quick'}"
        else:
            yield "--check=off" if word == "--no-check" else word


def check_option(text: str) -> Decorator:
    """`--check [quick|full|off]` and `--no-check`, on a `CheckedCommand`."""

    def level(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Check | None:
        return None if value is None else _LEVELS[value]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        no = click.option("--no-check", is_flag=True, expose_value=False, help="The same as --check off.")
        choice = click.Choice(list(_LEVELS))
        return click.option("--check", type=choice, metavar="[quick|full|off]", callback=level, help=text)(no(command))

    return decorate


def assignments_option(flag: str, text: str) -> Decorator:
    """`--store-option KEY=VALUE` and the like, which may be given several times, as a mapping."""

    def mapping(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        from holdfast.plugins.options import parse_assignments

        return parse_assignments(values)

    return click.option(
        flag, f"{flag[2:].replace('-', '_')}s", multiple=True, metavar="KEY=VALUE", callback=mapping, help=text
    )


store_options_option = assignments_option(
    "--store-option", "An option of the store, where its storage has any (see: plugins show)."
)


def store_fields_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--store` and `--store-option`, as the fields `store` and `store_options` of a plan."""
    return click.option(
        "--store",
        envvar="HOLDFAST_STORE",
        default="./backups",
        metavar="PATH|URL",
        show_default=True,
        help="Where backups are kept.",
    )(store_options_option(command))


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--store` and `--store-option`, which reach the command as one `store`."""

    @store_fields_option
    @functools.wraps(command)
    def addressed(*arguments: Any, store: str, store_options: dict[str, str], **more: Any) -> Any:
        from holdfast.setup import StoreAddress

        return command(*arguments, store=StoreAddress(store, store_options), **more)

    return addressed


def stores_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--store`, which may be given several times, as `stores`, empty for the default; and `--store-option` of all."""
    return click.option(
        "--store",
        "stores",
        multiple=True,
        metavar="PATH|URL",
        help="Where backups are kept, also several times  [default: HOLDFAST_STORE, else ./backups]",
    )(store_options_option(command))


def overdue_options(text: str, defaults: tuple[str | None, str | None] = (None, None)) -> Decorator:
    """`--older-than` and `--unproven-for`, with what they do and what they are if they are not given."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        age = f"{text} without a good backup within TIME, such as 26h."
        proof = f"{text} that no drill has proven within TIME, such as 8d."
        for name, default, about in (("--unproven-for", defaults[1], proof), ("--older-than", defaults[0], age)):
            option = click.option(name, metavar="TIME", default=default, show_default=bool(default), help=about)
            command = option(command)
        return command

    return decorate


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    from holdfast.duration import parse_duration

    return parse_duration(value).total_seconds() if value is not None else 0.0


wait_option = click.option(
    "--wait",
    metavar="TIME",
    callback=_seconds,
    help="Wait for so long, such as 10m, for what another process has locked  [default: not at all]",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    envvar="HOLDFAST_JOBS",
    type=click.IntRange(1, 256),
    help="Number of parallel jobs  [default: CPUs, at most 4]",
)
assign_option = click.option(
    "-o",
    "--option",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the engine (see: plugins show).",
)
extension_option = click.option(
    "--load-extension",
    "extensions",
    multiple=True,
    metavar="PATH",
    help="Load this extension of SQLite first; its code runs with your rights.",
)
select_option = click.option(
    "--select",
    "--include",
    "select",
    multiple=True,
    metavar="PATTERN",
    help="Only these objects, where the engine can.",
)


def retain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--retain` and `--retain-mode`."""
    mode = click.option(
        "--retain-mode",
        type=click.Choice(["governance", "compliance"]),
        help="Who can lift that: those with a right of its own, or nobody  [default: governance]",
    )
    period = click.option(
        "--retain", metavar="TIME", help="Let nobody delete it for TIME, such as 30d, by the store's object lock."
    )
    return period(mode(command))


def _kinds(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of `--exclude-kind`, of which a word may hold several with commas between."""
    words = [word.strip().lower().replace("-", "_") for value in values for word in value.split(",")]
    return tuple(dict.fromkeys(filter(None, words)))


exclude_kind_option = click.option(
    "--exclude-kind",
    "exclude_kinds",
    multiple=True,
    metavar="KIND",
    callback=_kinds,
    help="No objects of this kind (trigger, grant, extension, …), where the engine can.",
)
exclude_option = click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="All but these objects, where the engine can."
)
timeout_option = click.option(
    "--timeout", metavar="TIME", callback=_seconds, default="60s", show_default=True, help="Wait so long for an answer."
)


def recipient_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--recipient`, `--recipients-file` and `--cipher`."""
    for option in (
        click.option("--cipher", metavar="NAME", help="Cipher of an encrypted backup  [default: age]"),
        click.option(
            "--recipients-file",
            metavar="FILE",
            help="Encrypt it for those in FILE, a line each  [default: HOLDFAST_RECIPIENTS_FILE]",
        ),
        click.option(
            "--recipient",
            "recipients",
            multiple=True,
            metavar="age1…",
            help="Encrypt it for whoever has the identity of this recipient, also several times.",
        ),
    ):
        command = option(command)
    return command


def identity_fields_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--identity` and `--identity-command`, as the fields `identity` and `identity_command` of a plan."""

    def words(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
        from holdfast.errors import UsageError

        try:
            return tuple(shlex.split(value)) if value is not None else ()
        except ValueError as error:
            raise UsageError(f"--identity-command is no command: {error}") from error

    for option in (
        click.option(
            "--identity-command",
            metavar="COMMAND",
            callback=words,
            help="Run COMMAND, without a shell, which prints the identity.",
        ),
        click.option(
            "--identity",
            metavar="FILE",
            help="File with an identity that opens an encrypted backup  [default: HOLDFAST_IDENTITY]",
        ),
    ):
        command = option(command)
    return command


def identity_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--identity` and `--identity-command`, which reach the command as one `identity`."""

    @identity_fields_option
    @functools.wraps(command)
    def given(*arguments: Any, identity: str | None, identity_command: tuple[str, ...], **more: Any) -> Any:
        return command(*arguments, identity=identity_source(identity, identity_command), **more)

    return given


def identity_source(file: str | None, command: Sequence[str]) -> "IdentitySource":
    """Where identities are; without any, who sits at a terminal is asked."""
    from holdfast.identities import IdentitySource

    def ask(what: str) -> str:
        return str(click.prompt(what, hide_input=True, err=True))

    return IdentitySource(file=file, command=command, ask=ask if _is_terminal() else None)


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


config_option = click.option(
    "--config",
    metavar="FILE",
    help="The holdfast.toml to read  [default: HOLDFAST_CONFIG, else ./holdfast.toml, the user's, the system's]",
)
