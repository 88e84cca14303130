"""The options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from teapot.engine.planning import Options
from teapot.ui import Mode, Ui

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def count(most: int) -> Callable[[click.Context, click.Parameter, str], int]:
    """Reads an option's value as a whole number from 0 to ``most``."""

    def read(context: click.Context, parameter: click.Parameter, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most):
            raise click.BadParameter(f"'{text}' is not a whole number from 0 to {most}", context, parameter)
        return int(text)

    return read


def with_ui(function: F) -> F:
    """``--json`` and ``--quiet``; the command gets a ``ui``."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, quiet: bool, **kwargs: Any) -> Any:
        mode: Mode = "json" if as_json else "quiet" if quiet else "human"
        return function(*args, ui=Ui(mode), **kwargs)

    return wrapped  # type: ignore[return-value]


def with_project(function: F) -> F:
    return click.option("--project", type=PATH, help="The project's folder, if the config does not lie in it.")(function)


def with_sources(function: F) -> F:
    """``--source``, ``--offline`` and ``--allow-code``."""
    for option in (
        click.option(
            "--allow-code", multiple=True, metavar="MODULE", help="Let this module's own script run, now and later, as it is now."
        ),
        click.option("--offline", is_flag=True, help="Never touch the network."),
        click.option("--source", "sources", multiple=True, metavar="ID=PATH", help="Take this source from a local path."),
    ):
        function = option(function)
    return function


def with_overrides(function: F) -> F:
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value of the config for this run.")(
        function
    )


def options_of(
    *,
    project: Path | None = None,
    sources: tuple[str, ...] = (),
    overrides: tuple[str, ...] = (),
    offline: bool = False,
    locked: bool = False,
    frozen: bool = False,
    allow_code: tuple[str, ...] = (),
) -> Options:
    """What the engine is told; ``HF_HUB_OFFLINE`` counts as ``--offline``."""
    import os

    hub_off = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return Options(
        project=project,
        sources=sources,
        overrides=overrides,
        locked=locked or frozen,
        offline=offline or frozen or hub_off,
        allow_code=allow_code,
    )
