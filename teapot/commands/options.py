"""The options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from teapot.engine.local import MEMORY, Engine
from teapot.engine.planning import Options
from teapot.engine.pool import usable_cpus
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


def with_lock(function: F) -> F:
    """``--locked`` and ``--frozen``."""
    function = click.option("--frozen", is_flag=True, help="--locked and --offline.")(function)
    return click.option("--locked", is_flag=True, help="Fail if the lock would change. What CI uses.")(function)


def with_overrides(function: F) -> F:
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value of the config for this run.")(
        function
    )


def with_engine(function: F) -> F:
    """``--workers``, ``--memory`` and ``--tmp-dir``; the command gets an ``engine``."""

    @click.option("--tmp-dir", type=PATH, metavar="FOLDER", help="Where temporary files go; by default beside the output.")
    @click.option(
        "--memory", callback=megabytes, metavar="SIZE", help="About how much memory all workers may use, such as 512M.  [default: 512M]"
    )
    @click.option("--workers", callback=at_least_one, metavar="N", help="How many processes to use.  [default: the usable CPUs]")
    @functools.wraps(function)
    def wrapped(*args: Any, workers: int | None, memory: int | None, tmp_dir: Path | None, **kwargs: Any) -> Any:
        engine = Engine(workers=workers or usable_cpus(), memory=memory or MEMORY, tmp_dir=tmp_dir)
        return function(*args, engine=engine, **kwargs)

    return wrapped  # type: ignore[return-value]


def at_least_one(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """A whole number from 1 to 256; ``None`` where the option is not given."""
    number = None if text is None else count(256)(context, parameter, text)
    if number == 0:
        raise click.BadParameter("there must be at least 1", context, parameter)
    return number


def megabytes(_context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """A size such as ``512M`` or ``2G``, at least 64 MB, in bytes."""
    if value is None:
        return None
    number, unit = (value[:-1], value[-1].upper()) if value[-1:].upper() in ("K", "M", "G") else (value, "")
    factor = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[unit]
    if not (number.isascii() and number.isdigit() and len(number) < 16) or int(number) * factor < 64 << 20:
        raise click.BadParameter(f"'{value}' is not a size of at least 64M, such as 512M or 2G", param=parameter)
    return int(number) * factor


TOLD = ("project", "sources", "overrides", "offline", "locked", "frozen", "allow_code")


def with_options(function: F) -> F:
    """Gathers what the options of this module said into one ``options``. It stands below them, directly above the command."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        options = options_of(**{name: kwargs.pop(name) for name in TOLD if name in kwargs})
        return function(*args, options=options, **kwargs)

    return wrapped  # type: ignore[return-value]


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
