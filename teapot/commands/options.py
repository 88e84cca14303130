"""The options that several commands share."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from teapot.sources.retry import TIMEOUT
from teapot.ui import Mode, Ui

if TYPE_CHECKING:
    from teapot.engine.planning import Options

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
    """``--source``, ``--offline``, ``--timeout`` and ``--allow-code``."""
    for option in (
        click.option(
            "--timeout",
            callback=patience,
            metavar="SECONDS",
            help=f"How long a server may be silent, or slower than a KiB a second.  [default: {TIMEOUT:g}]",
        ),
        click.option(
            "--allow-code", multiple=True, metavar="MODULE", help="Let this module's own script run, now and later, as it is now."
        ),
        click.option("--offline", is_flag=True, help="Never touch the network."),
        click.option("--source", "sources", multiple=True, metavar="ID=PATH", help="Take this source from a local path."),
    ):
        function = option(function)
    return function


def patience(context: click.Context, parameter: click.Parameter, text: str | None) -> float:
    """Seconds from 0.01 to a day; the default where the option is not given."""
    if text is None:
        return TIMEOUT
    number = float(text) if re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", text, re.ASCII) else 0.0
    if not 0.01 <= number <= 86_400:
        raise click.BadParameter(f"'{text}' is not a number of seconds from 0.01 to 86400", context, parameter)
    return number


def with_lock(function: F) -> F:
    """``--locked`` and ``--frozen``."""
    function = click.option("--frozen", is_flag=True, help="--locked and --offline.")(function)
    return click.option("--locked", is_flag=True, help="Fail if the lock would change. What CI uses.")(function)


def with_wait(function: F) -> F:
    """``--wait``; the command gets the seconds, which are 0 without it."""
    return click.option(
        "--wait",
        is_flag=False,
        flag_value="",
        callback=seconds,
        metavar="[SECONDS]",
        help="Wait for another run on the same files: this long, or until it ends.",
    )(function)


def seconds(context: click.Context, parameter: click.Parameter, text: str | None) -> float:
    """A whole number of seconds; none given is for ever, and no option is none at all."""
    if text is None:
        return 0.0
    return float(count(10**9)(context, parameter, text)) if text else math.inf


def with_overrides(function: F) -> F:
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value of the config for this run.")(
        function
    )


def with_engine(function: F) -> F:
    """``--engine``, ``--address``, ``--workers``, ``--memory`` and ``--tmp-dir``; the command gets an ``engine``."""

    @click.option("--tmp-dir", type=PATH, metavar="FOLDER", help="Where temporary files go; by default beside the output.")
    @click.option(
        "--memory", callback=megabytes, metavar="SIZE", help="About how much memory all workers may use, such as 512M.  [default: 512M]"
    )
    @click.option("--workers", callback=at_least_one, metavar="N", help="How many processes to use.  [default: the usable CPUs]")
    @click.option(
        "--address", metavar="ADDRESS", help="The Ray cluster to use, such as auto.  [default: RAY_ADDRESS, or none but this machine]"
    )
    @click.option(
        "--engine",
        "kind",
        type=click.Choice(["local", "ray"]),
        default="local",
        metavar="NAME",
        help="What does the work: local, or ray. The bytes are the same.  [default: local]",
    )
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        kind: Literal["local", "ray"],
        address: str | None,
        workers: int | None,
        memory: int | None,
        tmp_dir: Path | None,
        **kwargs: Any,
    ) -> Any:
        from teapot.engine.local import MEMORY, Engine
        from teapot.engine.pool import usable_cpus

        if kind == "ray":
            from teapot.engine.raycluster import require_ray

            require_ray()
        elif address is not None:
            raise click.UsageError("--address is for --engine ray")
        if address is not None and workers is not None:
            raise click.UsageError("--workers is for this machine alone; a cluster uses the CPUs that its nodes offer")
        engine = Engine(workers=workers or usable_cpus(), memory=memory or MEMORY, tmp_dir=tmp_dir, kind=kind, address=address)
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


TOLD = ("project", "sources", "overrides", "offline", "locked", "frozen", "allow_code", "timeout")


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
    timeout: float = TIMEOUT,
) -> Options:
    """What the engine is told; ``HF_HUB_OFFLINE`` counts as ``--offline``."""
    import os

    from teapot.engine.planning import Options

    hub_off = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return Options(
        project=project,
        sources=sources,
        overrides=overrides,
        locked=locked or frozen,
        offline=offline or frozen or hub_off,
        allow_code=allow_code,
        timeout=timeout,
    )
