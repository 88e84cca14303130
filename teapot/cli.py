"""The command line: which commands there are, and the one place that turns an error into an exit code.

A command's module is imported when that command runs, so that ``teapot --help`` starts as fast as click does.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from teapot import __version__
from teapot.errors import Exit, Problem, TeapotError
from teapot.ui import Mode, Ui

COMMANDS = {
    "compose": "Compose a config: write its output, manifest, ledger and lock.",
    "plan": "Show what compose would write, without writing it.",
    "validate": "Check an output, a module or a config.",
    "lock": "Pin the sources of a config, check the pins, or move them on.",
    "modules": "List the modules of the project.",
    "sources": "Show where each source lives and whether it is at hand.",
    "peek": "Show what a module's records become, or why they are refused.",
    "init": "Start a new project that composes at once.",
}


class Commands(click.Group):
    """A group whose commands are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"teapot.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="teapot", message="%(prog)s %(version)s")
def group() -> None:
    """Teapot composes training data: a config in, the same bytes out.

    \b
    Example:
      teapot compose configs/quickstart.config
      teapot validate compose train-quickstart.jsonl
    """


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived."""


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def main() -> NoReturn:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Every exception ends here."""
    ui = Ui(_mode(arguments))
    try:
        result = group.main(arguments, prog_name="teapot", standalone_mode=False)
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else Exit.OK
    except TeapotError as error:
        ui.errors(error.problems, error.exit)
        return error.exit
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "teapot"
        ui.errors([Problem(error.format_message(), hint=f"'{command} --help' shows how it is used")], Exit.USAGE)
        return Exit.USAGE
    except click.ClickException as error:
        ui.errors([Problem(error.format_message())], Exit.USAGE)
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        ui.errors([Problem("interrupted; nothing was replaced")], Exit.INTERRUPTED)
        return Exit.INTERRUPTED
    except Terminated:
        ui.errors([Problem("terminated; nothing was replaced")], Exit.TERMINATED)
        return Exit.TERMINATED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.UNWRITABLE
    except Exception as error:  # noqa: BLE001  (the last resort: a bug is reported as one)
        return _bug(ui, error)


def _bug(ui: Ui, error: Exception) -> int:
    where = traceback.extract_tb(error.__traceback__)[-1]
    hint = "please report it, with what TEAPOT_DEBUG=1 prints"
    ui.errors(
        [Problem(f"a bug in Teapot: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})", hint=hint)],
        Exit.BUG,
    )
    if os.environ.get("TEAPOT_DEBUG"):
        traceback.print_exception(error)
    return Exit.BUG


def _mode(arguments: list[str]) -> Mode:
    if "--json" in arguments:
        return "json"
    return "quiet" if "--quiet" in arguments or "-q" in arguments else "human"
