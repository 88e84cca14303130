"""``teapot hardware``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from teapot.commands.options import PATH, with_options, with_overrides, with_project, with_ui
from teapot.engine.planning import Options
from teapot.training.suggest import Option
from teapot.ui import Column, Ui
from teapot.verbs.hardware import Hardware, hardware


@click.command("hardware")
@click.option("--model", metavar="SIZE", help="How large a model is to be trained, such as 8B, or a name that says so.")
@click.option("--config", type=PATH, metavar="CONFIG", help="Take the base model, the method and the length of rows from this config.")
@with_overrides
@with_project
@with_ui
@with_options
def command(model: str | None, config: Path | None, ui: Ui, options: Options) -> int:
    """Show the GPUs of this machine and what can be trained on them: by which
    method, with which batch, and what does not fit. The figures are estimates.

    \b
    Example:
      teapot hardware
      teapot hardware --model 8B
    """
    found = hardware(model, config, options)
    if ui.mode == "json":
        ui.document(
            {
                "machine": asdict(found.machine),
                "suggestions": [asdict(one) for one in found.suggestions],
                "notes": list(found.notes),
            }
        )
        return 0
    _show(found, ui)
    return 0


def _show(found: Hardware, ui: Ui) -> None:
    machine = found.machine
    ui.line(f"{machine.cpus} CPUs, {_gib(machine.memory_gib)} of memory")
    if machine.gpus:
        ui.table(
            (Column("GPU", whole=True), Column("memory", right=True), Column("driver")),
            [(one.name, _gib(one.memory_gib), one.driver or "-") for one in machine.gpus],
        )
    for note in found.notes:
        ui.note(note)
    columns = (Column("model", whole=True), Column("method"), Column("batch", right=True), Column("a GPU", right=True), Column("fits"))
    rows = [
        (one.model, option.method, _batch(option), _gib(option.memory_gib), _fits(option, one.method))
        for one in found.suggestions
        for option in one.options
    ]
    ui.table(columns, rows)
    first = found.suggestions[0]
    ui.line(f"for rows of up to {first.max_length:,} tokens and adapters of rank {first.lora_r}; batch: rows at once x accumulation x GPUs")


def _batch(option: Option) -> str:
    return f"{option.batch_size} x {option.gradient_accumulation} x {option.devices}" if option.fits else "-"


def _fits(option: Option, method: str | None) -> str:
    if not option.fits:
        return f"no: {option.reason}"
    how = "" if option.distributed == "none" else f", with --distributed {option.distributed}"
    return f"yes{how}" + (" (suggested)" if option.method == method else "")


def _gib(size: float | None) -> str:
    return "unknown" if size is None else f"{size:.1f} GiB"
