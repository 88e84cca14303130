"""What click says about a wrong command line, in Teapot's own words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

from teapot.errors import Place, Problem


class Group(click.Group):
    """A group that lists its commands in the order in which they were written, and says which one was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise _Unknown("no command is given", "the commands are " + ", ".join(self.list_commands(ctx)), ctx)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            hint = nearest(args[0], known) or "the commands are " + ", ".join(known)
            raise _Unknown(f"there is no command '{args[0]}'", hint, ctx)
        return super().resolve_command(ctx, args)


class _Unknown(click.UsageError):
    """A usage error with a hint of its own."""

    def __init__(self, message: str, hint: str, ctx: click.Context) -> None:
        super().__init__(message, ctx)
        self.hint = hint


def nearest(name: str, known: Iterable[str]) -> str | None:
    """``did you mean …?``, where something near is known."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else None


def usage_problem(error: click.ClickException) -> Problem:
    """The error as a problem: the command is its place."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "teapot"
    hint = f"'{command} --help' shows how it is used"
    place = Place(command)
    if isinstance(error, _Unknown):
        return Problem(error.message, place, error.hint)
    if isinstance(error, click.NoSuchOption):
        known = [name for one in context.command.get_params(context) for name in one.opts] if context else []
        return Problem(f"there is no option '{error.option_name}'", place, nearest(error.option_name, known) or hint)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return Problem(f"the {error.param.param_type_name} '{_name(error.param)}' is missing", place, hint)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return Problem(f"'{_name(error.param)}': {_plain(error.message)}", place, hint)
    return Problem(_plain(error.format_message()), place, hint)


def _name(parameter: click.Parameter) -> str:
    return parameter.opts[-1] if isinstance(parameter, click.Option) else parameter.human_readable_name


def _plain(text: str) -> str:
    """Without a capital at the start and without a full stop."""
    text = text.removesuffix(".")
    return text[:1].lower() + text[1:]
