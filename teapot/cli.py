"""The command line: which commands there are, and the one place that turns an error into an exit code.

A command's module is imported when that command runs, so that ``teapot --help`` starts as fast as click does.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from teapot import __version__
from teapot.errors import Exit, Problem, TeapotError
from teapot.interrupts import INTERRUPTS, must_wait, remove_left
from teapot.ui import Mode, NoStandardOutput, Ui, standard_output
from teapot.usage import Group, usage_problem

TORN = "an earlier output is as it was, or 'teapot validate compose FILE' calls the new one torn"

COMMANDS = {
    "compose": "Compose a config: write its output, manifest, ledger and lock.",
    "plan": "Show what compose would write, without writing it.",
    "validate": "Check an output, a module or a config.",
    "lock": "Pin the sources of a config, check the pins, or move them on.",
    "modules": "List the modules of the project.",
    "sources": "Show where each source lives and whether it is at hand.",
    "peek": "Show what a module's records become, or why they are refused.",
    "render": "Show a row as the model will see it through a chat template.",
    "train": "Write a launcher that trains on an output, and what it needs.",
    "hardware": "Show the GPUs, and what can be trained on them.",
    "export": "Merge, convert and describe a trained model for serving.",
    "init": "Start a new project that composes at once.",
}


class Commands(Group):
    """The group whose commands are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"teapot.commands.{cmd_name}")
        command: click.Command = module.command
        return command

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
    """SIGTERM or SIGHUP arrived: ``exit`` says which."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        self.exit = Exit.TERMINATED if number == signal.SIGTERM else Exit.HUNG_UP


AGAIN = 0.01
"""After how many seconds an interrupt that was lost is raised again."""


class Ending:
    """The handler of signals that end a run. The first one does; those after it find it cleaning up, which takes a moment and must not be cut short.

    What is raised while Python runs the callback of a weak reference, such as that of an import's lock, reaches nobody: it is raised again in a moment.
    """

    def __init__(self) -> None:
        self._begun = False
        self._number: int = signal.SIGINT

    def install(self) -> None:
        for number in INTERRUPTS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, self)
        signal.signal(signal.SIGALRM, lambda *_: self(self._number, None))
        sys.unraisablehook = self.lost

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if not self._begun and not must_wait(number):
            self._begun, self._number = True, number
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def over(self) -> None:
        """All is done: interrupts have nothing to end."""
        self._begun = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def lost(self, what: sys.UnraisableHookArgs) -> None:
        """Told of every exception that nobody can catch."""
        if issubclass(what.exc_type, (KeyboardInterrupt, Terminated)):
            self._begun = False
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
        else:
            sys.__unraisablehook__(what)


def main() -> NoReturn:
    """Run the command line and exit."""
    ending = Ending()
    try:
        ending.install()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter is no reason to stop
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # in the moment before the command began, or after it had ended
        code = Exit.INTERRUPTED
    except Terminated as ended:
        code = ended.exit
    ending.over()
    remove_left()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Every exception ends here."""
    ui = Ui(_mode(arguments))
    try:
        code = _run(arguments, ui)
        with standard_output():
            sys.stdout.flush()
        sys.stderr.flush()
        return code
    except (NoStandardOutput, OSError) as error:
        _let_go()
        if isinstance(error, NoStandardOutput) and error.reason:
            with suppress(OSError):
                Ui().errors([Problem(f"cannot write to the standard output: {error.reason}")], Exit.UNWRITABLE)
        return Exit.UNWRITABLE


def _let_go() -> None:
    """Send what is still buffered for a stream that takes nothing more to nowhere, or Python would end with a code of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


def _run(arguments: list[str], ui: Ui) -> int:
    try:
        result = group.main(arguments, prog_name="teapot", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except TeapotError as error:
        ui.errors(error.problems, error.exit)
        return error.exit
    except click.ClickException as error:
        ui.errors([usage_problem(error)], Exit.USAGE)
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        ui.errors([Problem("interrupted", hint=TORN)], Exit.INTERRUPTED)
        return Exit.INTERRUPTED
    except Terminated as ended:
        ui.errors([Problem("terminated", hint=TORN)], ended.exit)
        return ended.exit
    except SystemExit as left:  # how click ends a completion, and what it makes of a reader that went away
        if left.code:
            raise NoStandardOutput(None) from None
        return Exit.OK
    except NoStandardOutput:
        raise
    except (OSError, UnicodeEncodeError) as error:
        return _refused(ui, error)
    except Exception as error:  # noqa: BLE001  (the last resort: a bug is reported as one)
        return _bug(ui, error)


def _refused(ui: Ui, error: OSError | UnicodeEncodeError) -> int:
    """What the system refuses wherever it is asked: room, and names that are no text. Everything else is a bug."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        ui.errors([Problem("no space is left on the disk", hint="free some space; temporary files go where TMPDIR says")], Exit.UNWRITABLE)
        return Exit.UNWRITABLE
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        name = error.object[: error.end].rpartition('"')[2] + error.object[error.end :].partition('"')[0]  # it may stand inside JSON
        ui.errors([Problem(f"the name '{name}' is not UTF-8", hint="rename the file or the folder")], Exit.USAGE)
        return Exit.USAGE
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
    """How errors are to be told, also those of a command line that could not be understood."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "json" if "--json" in options else "human"
