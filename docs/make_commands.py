"""Writes docs/commands.md from the commands themselves: python docs/make_commands.py"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from teapot.cli import COMMANDS, group
from teapot.errors import Exit
from teapot.usage import Group

TARGET = Path(__file__).with_name("commands.md")

HEAD = """\
# The commands

<!-- written by docs/make_commands.py: change the commands, then run it -->

`teapot` and `python -m teapot` are the same program. Results go to the standard output; progress, notes and errors go to the standard error. Every
command takes `--json` (one document on the standard output, also for an error: [json.md](json.md)) and `--quiet` (nothing but errors). Colours
follow `NO_COLOR` and `FORCE_COLOR`; where the output is no terminal there are none, and tables are not folded. Control characters, bidirectional marks and other
invisible characters from files are shown as `\\u` escapes. For completion in bash: `eval "$(_TEAPOT_COMPLETE=bash_source teapot)"`; zsh and fish likewise.

| exit code | meaning |
|---|---|
"""

MEANINGS = {
    Exit.OK: "fine",
    Exit.INVALID: "a check failed, or data is invalid",
    Exit.USAGE: "the command line or a config is wrong",
    Exit.UNAVAILABLE: "a source cannot be had",
    Exit.UNWRITABLE: "the output (or the standard output) cannot be written",
    Exit.BUSY: "another run holds the output",
    Exit.BUG: "a bug in Teapot",
    Exit.HUNG_UP: "the terminal went away",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "terminated",
}

ENVIRONMENT = """\
## Environment

| variable | meaning |
|---|---|
| `TEAPOT_SOURCE_<ID>` | where a source is: its id in capitals, with `_` for `-` and `.` (after `--source`, before `teapot.sources.yaml`) |
| `HF_HUB_OFFLINE=1` | as `--offline` |
| `TEAPOT_DEBUG=1` | print the traceback of what Teapot calls a bug |
| `NO_COLOR`, `FORCE_COLOR` | no colours; colours where there is no terminal too |
"""


NETWORK = """\
## The network

Sources on the Hub and at an address (`url:`) are downloaded, everything else stays on this machine. What comes is verified before it is used: against the lock,
else against the Hub's list of files, or the module's `sha256`. `--timeout SECONDS` says how long a server may leave a request unanswered, and how long an answer may
come more slowly than a KiB a second; 30 by default. What may pass (a broken connection, silence, the statuses 408, 425, 429 and 5xx) is tried five times in all; the pauses
grow from 1 to 8 seconds at the default timeout and with it in proportion, and all pauses for one file are at most eleven times the timeout. A server that
asks for a longer pause (`Retry-After`) is not waited for: the error says how long it asked for. So every request ends, whatever the other side does. An answer that is no file is
read up to 64 MiB, a file no further than the size that it is known to have (`url:`: 64 GiB). The access token goes to the Hub alone, never to where it redirects.
"""


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be typed, with its words, in the order of the help."""
    for name in COMMANDS:
        context = click.Context(group)
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, Group):
            for part in command.list_commands(context):
                yield f"{name} {part}", command.commands[part]


def split_help(command: click.Command) -> tuple[str, list[str]]:
    """What a command's help says, as one paragraph, and the lines of its example."""
    said, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:\n")
    return " ".join(said.split()), [line.strip() for line in example.splitlines()]


def section(name: str, command: click.Command) -> str:
    said, example = split_help(command)
    words = " ".join(f"[{part}]" if not one.required else part for one in arguments(command) for part in [one.human_readable_name])
    usage = f"teapot {name} " + ("COMMAND" if isinstance(command, Group) else f"[OPTIONS] {words}".strip())
    lines = [f"## teapot {name}", "", said, "", "```sh", f"# {usage}", *example, "```", ""]
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        lines += ["| option | meaning |", "|---|---|", *(f"| {spelling(one)} | {one.help} |" for one in options), ""]
    return "\n".join(lines)


def arguments(command: click.Command) -> list[click.Argument]:
    return [one for one in command.params if isinstance(one, click.Argument)]


def spelling(option: click.Option) -> str:
    value = "" if option.is_flag else " " + (option.metavar or "PATH")
    return ", ".join(f"`{name}{value if name.startswith('--') else ''}`" for name in option.opts)


def document() -> str:
    codes = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in MEANINGS.items())
    return "\n".join([HEAD + codes, *(section(name, command) for name, command in every_command()), NETWORK, ENVIRONMENT])


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
