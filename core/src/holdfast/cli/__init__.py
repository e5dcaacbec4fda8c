"""The command line: one file a command, loaded when it is called.

Data go to stdout, diagnostics to stderr. Commands raise `HoldfastError`s; here alone
they become messages and exit codes.
"""

import os
import re
import signal
import sys
import traceback
from importlib import import_module
from keyword import iskeyword
from types import FrameType
from typing import Any, NoReturn

import click

from holdfast.cli._waits import end_within, interrupt_waits
from holdfast.cli.standard_streams import choose_encoding, divert_output, flush, open_standard_streams
from holdfast.errors import HoldfastError, PluginError, cleanup_notes, lower_first, os_error_text

# Name: its help in the overview. `holdfast --help` must import no command, let alone a driver.
COMMANDS = {
    "backup": "Back databases up into a store.",
    "list": "List the backups of a store.",
    "show": "Show everything about one backup.",
    "verify": "Check that backups are still what was stored.",
    "restore": "Restore a backup into a database.",
    "drill": "Restore a backup into a scratch database and compare it with its source.",
    "copy": "Copy backups into another store.",
    "check": "Try what a store lets us do and guarantees.",
    "delete": "Delete one backup, never the last good one by accident.",
    "undelete": "Bring back deleted backups of which a store keeps versions.",
    "prune": "Delete old backups by a policy, never the last good ones.",
    "rename": "Give a source another name, with all of its backups.",
    "pin": "Pin a backup: prune and delete leave it alone.",
    "unpin": "Unpin a backup.",
    "tag": "Add tags to a backup, or remove them.",
    "import": "Import backups of the earlier BackupManager.",
    "key": "Make keys, and say who can open encrypted backups.",
    "cat": "Write one stream of a backup, decompressed, to stdout.",
    "run": "Run the jobs of holdfast.toml: what is due, or those named.",
    "schedule": "Print a timer, a line of cron or a CronJob that has run called.",
    "config": "Check holdfast.toml, and show what holds for each job and why.",
    "metrics": "Print what a store tells of its sources as metrics for Prometheus.",
    "report": "Write one page of HTML: what is overdue or unproven, and the history of each source.",
    "plugins": "List the plugins that are installed, and why any was refused.",
    "schema": "Print JSON Schemas of plans, manifests and options.",
    "completion": "Print the completion script of a shell.",
}


_LEAVING = 10.0  # seconds that what plugins have registered for the end may take, such as sending what is left
_SOON = 0.01  # seconds, in which a finalizer or callback that a signal met has ended


class _Outcome:
    """Whether it has been told what became of the command, and no signal changes that any more."""

    is_told = False
    code = PluginError.exit_code  # of whoever ends the process before there is another


_outcome = _Outcome()


class Terminated(BaseException):
    """SIGTERM or SIGHUP: the run ends and cleans up, then the process exits with 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"terminated by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What the process ends with, as a shell would report the signal."""
        return 128 + self.number


class Commands(click.Group):
    """The commands by name, each imported from the module of its name when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order in which they are met."""
        del ctx
        return [*COMMANDS]  # in this module `list` becomes the command, once that is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        taken = iskeyword(cmd_name) or cmd_name == run.__name__  # which the module would take the place of here
        module = import_module(f"holdfast.cli.{cmd_name}{'_' if taken else ''}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table alone."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from holdfast import __version__

        click.echo(f"holdfast {__version__}")
        ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 some of several failed, 10 no such store or backup, 11 locked, "
    "12 credentials, 13 integrity, 14 plugin, 15 database unreachable, 16 refused as unsafe, 17 overdue.",
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
@click.option("-v", "--verbose", count=True, help="Log what happens, and show tracebacks; -vv logs in detail.")
@click.option("-q", "--quiet", is_flag=True, help="Write only warnings and errors to stderr.")
@click.option("--log-format", type=click.Choice(["text", "json"]), envvar="HOLDFAST_LOG_FORMAT", help="Format of logs.")
@click.pass_context
def cli(ctx: click.Context, verbose: int, quiet: bool, log_format: str | None) -> None:
    """Back up and restore databases, and prove that the backups can be restored.

    A database is a URL such as sqlite:///app.db, a store is a folder such as ./backups (--store, HOLDFAST_STORE).
    """
    from holdfast.cli.console import Console

    ctx.obj = Console(verbose=verbose, quiet=quiet, log_format=log_format)
    ctx.obj.start_logging()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    open_standard_streams()
    if instruction := os.environ.get("_HOLDFAST_COMPLETE"):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(cli, {}, "holdfast", "_HOLDFAST_COMPLETE", instruction))
    choose_encoding()
    _catch_signals()
    if "_HOLDFAST_PARENT" in os.environ:
        from holdfast.cli.parent import watch_parent

        watch_parent()
    _guard_exit()
    code = _outcome.code = run(sys.argv[1:] if arguments is None else arguments)
    divert_output()
    end_within(_LEAVING, leave=lambda: os._exit(code))
    raise SystemExit(code)  # `sys.exit` may be a plugin's by now


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    _outcome.is_told = False
    context: dict[str, Any] = {}
    try:
        return _run(arguments, context)
    except (KeyboardInterrupt, Terminated) as error:  # on the way to telling of another failure, or of none
        return _fail(context, *_ended(error), arguments, error)
    finally:
        _outcome.is_told = True


def _run(arguments: list[str], context: dict[str, Any]) -> int:
    try:
        with cli.make_context("holdfast", [*(arguments or ["--help"])]) as ctx:
            context["console"] = lambda: ctx.obj
            cli.invoke(ctx)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as done:
        return int(done.exit_code)
    except click.ClickException as error:
        usage = (
            f"usage: {error.ctx.get_usage().removeprefix('Usage: ')}"
            if isinstance(error, click.UsageError) and error.ctx
            else None
        )
        message = _message(error) + _origin(error)
        return _fail(context, HoldfastError(message, hint=_order(error) or usage), 2, arguments)
    except (KeyboardInterrupt, click.Abort, Terminated) as error:
        return _fail(context, *_ended(error), arguments, error)
    except HoldfastError as error:
        if isinstance(error.__cause__, BrokenPipeError):  # of the watcher, which writes JSON lines
            return _nobody_reads()
        return _fail(context, error, error.exit_code, arguments, error)
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(context, HoldfastError(f"{place}{os_error_text(error)}"), 1, arguments, error)
    except SystemExit as error:  # no command ends so: a plugin must not make a success of what was not done
        from holdfast.endings import describe_ending

        ending = PluginError(f"a plugin or library failed: {describe_ending(error)}")
        return _fail(context, ending, ending.exit_code, arguments, error)
    except Exception as error:  # noqa: BLE001 (the last resort: a bug of ours, reported in one line too)
        text = " ".join(str(error).split())
        failure = HoldfastError(
            f"internal error: {type(error).__name__}: {text}", hint="run it again with -v to see where, and report it"
        )
        return _fail(context, failure, 1, arguments, error)


def _ended(error: BaseException) -> tuple[HoldfastError, int]:
    """What to say of a signal, and the exit code."""
    if isinstance(error, Terminated):
        return HoldfastError(f"{error}{cleanup_notes(error)}"), error.exit_code
    return HoldfastError(f"interrupted{cleanup_notes(error)}"), 130


def _nobody_reads() -> int:
    """Exit as programs in a pipe do when the reader of their stdout is gone: nobody is left to be told why."""
    flush()
    return 128 + signal.SIGPIPE


def _fail(
    context: dict[str, Any], failure: HoldfastError, code: int, arguments: list[str], error: BaseException | None = None
) -> int:
    """Report an error in one message, with its traceback under -v."""
    from holdfast.cli.console import Console

    console = context["console"]() if "console" in context else None
    console = console if isinstance(console, Console) else Console(verbose=0, quiet=False, log_format=None)
    trace = "".join(traceback.format_exception(error)) if error is not None else ""
    hint = failure.hint and _hide(failure.hint, arguments)
    clean = HoldfastError(_hide(failure.message, arguments), hint=hint)
    _outcome.is_told = True
    console.failed(clean, code, trace=_hide(trace, arguments))
    return code


def _hide(text: str, arguments: list[str]) -> str:
    """Keep the secrets of URLs in the arguments, and in the store's variable, out of a text."""
    from holdfast.error_boundary import scrub

    values = (argument.partition("=")[2] if argument.startswith("-") else argument for argument in arguments)
    return scrub(text, *(value for value in (*values, os.environ.get("HOLDFAST_STORE", "")) if "://" in value))


def _message(error: click.ClickException) -> str:
    """What Click says, without its names of Python's types."""
    return re.sub(r"not a valid integer( range)?", "not a whole number", _lower(error.format_message()))


def _origin(error: click.ClickException) -> str:
    """Name the environment variable that a wrong value came from: nobody finds it in what was typed."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name or "")
    return f" (from {error.param.envvar})" if source is click.core.ParameterSource.ENVIRONMENT else ""


def _order(error: click.ClickException) -> str | None:
    """Say where an option belongs that stands before the command but is one of a command's."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.ctx.command is not cli:
        return None
    commands = (cli.get_command(error.ctx, name) for name in COMMANDS)
    known = {option for command in commands if command for parameter in command.params for option in parameter.opts}
    return f"put {error.option_name} after the command" if error.option_name in known else None


def _lower(text: str) -> str:
    return lower_first(text).rstrip(".")


def _guard_exit() -> None:
    """Let no `os._exit(0)` of a plugin, at its import or at the end of Python, make a success of what was not done."""
    own, leave = os.getpid(), os._exit

    def exit_as_it_was(status: int) -> NoReturn:
        if os.getpid() == own and not status and _outcome.code:
            if _outcome.code == PluginError.exit_code and not _outcome.is_told:
                os.write(2, b"error: a plugin or library ended the process by os._exit\n")
            status = _outcome.code
        leave(status)

    os._exit = exit_as_it_was


def _catch_signals() -> None:
    """Make SIGTERM and SIGHUP exceptions like Ctrl-C; a second signal does not disturb the cleaning up.

    Python runs the handler wherever it is at that moment. In a finalizer or a callback of a weak reference, such as
    each import has, it prints what the handler raises and goes on as if nothing had come: then it is raised again.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        if _outcome.is_told:  # the process ends in a moment
            return
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        error = what.exc_value
        if not isinstance(error, KeyboardInterrupt | Terminated):
            report(what)
            return
        number = error.number if isinstance(error, Terminated) else signal.SIGINT
        signal.signal(signal.SIGALRM, lambda _, frame: handle(number, frame))
        signal.setitimer(signal.ITIMER_REAL, _SOON)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # What was ignored when we were started (nohup, a shell's background job) stays ignored.
    handled = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handle)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # of whoever started us: no exit code of a child would come
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    report, sys.unraisablehook = sys.unraisablehook, dropped
    interrupt_waits()
