"""``teapot train``."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

import click

from teapot.checks.output import Effort
from teapot.commands.options import PATH, at_least_one, patience, with_options, with_overrides, with_project, with_ui
from teapot.engine.planning import Options
from teapot.engine.pool import usable_cpus
from teapot.project import shown
from teapot.sources.retry import TIMEOUT
from teapot.training.recipe import Distributed
from teapot.ui import Column, Ui
from teapot.verbs.train import Launch, Wanted, train


@click.command("train")
@click.argument("config", type=PATH)
@click.option("--train-data", type=PATH, metavar="FILE", help="The output that was composed from CONFIG, if it lies elsewhere.")
@click.option("--backend", required=True, metavar="NAME", help="qlora-hf, full-hf, unsloth, axolotl, llamafactory or dpo-hf.")
@click.option("--dry-run", is_flag=True, help="Check and count everything, and write nothing.")
@click.option("--resume", is_flag=True, help="Only if a run was begun with the same data. (Go on with it: bash train-NAME.sh --resume.)")
@click.option("--no-validate", is_flag=True, help="Do not validate FILE first. The launcher will say so.")
@click.option("--lock", type=PATH, metavar="FILE", help="Where the lock is, if not where the manifest says.")
@click.option("--tokenizer", type=PATH, metavar="FOLDER", help="The base model's tokenizer, where the model itself is not at hand.")
@click.option("--devices", default="1", show_default=True, callback=at_least_one, metavar="N", help="On how many GPUs it will run.")
@click.option(
    "--distributed",
    type=click.Choice(["none", "zero3", "fsdp"]),
    default="none",
    show_default=True,
    metavar="HOW",
    help="How weights are split over GPUs: none, zero3 (DeepSpeed) or fsdp.",
)
@click.option("--force", is_flag=True, help="Write over files of the folder that were edited.")
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--timeout", callback=patience, metavar="SECONDS", help=f"How long the Hub may be silent.  [default: {TIMEOUT:g}]")
@with_overrides
@with_project
@with_ui
@with_options
def command(
    config: Path,
    train_data: Path | None,
    backend: str,
    dry_run: bool,
    resume: bool,
    no_validate: bool,
    lock: Path | None,
    tokenizer: Path | None,
    devices: int,
    distributed: Distributed,
    force: bool,
    ui: Ui,
    options: Options,
) -> int:
    """Write train-NAME.sh, which trains on what was composed, and a folder
    with all it needs. The loss is on exactly what the assistant says.

    \b
    Example:
      teapot train configs/quickstart.config --backend qlora-hf
      teapot train configs/quickstart.config --backend qlora-hf --dry-run
    """
    wanted = Wanted(
        train_data,
        backend,
        tokenizer=tokenizer,
        devices=devices,
        distributed=distributed,
        no_validate=no_validate,
        lock=lock,
        resume=resume,
        force=force,
        dry_run=dry_run,
    )
    with ui.watching() as (progress, _download):
        made = train(config, options, wanted, Effort(workers=usable_cpus()), progress)
    _show(made, ui, dry_run)
    return 0


def _show(made: Launch, ui: Ui, dry_run: bool) -> None:
    recipe, guess = made.recipe, made.estimate
    if ui.mode == "json":
        ui.document(
            {
                "written": not dry_run,
                "script": shown(made.script),
                "folder": shown(made.folder),
                "files": list(made.files),
                "recipe": recipe.value(),
                "estimate": asdict(guess),
                "notes": list(made.notes),
            }
        )
        return
    ui.table((Column("training"), Column("", whole=True)), _rows(made))
    for note in made.notes:
        ui.note(note)
    if dry_run:
        ui.line("nothing was written (--dry-run)")
    else:
        ui.line(f"{shown(made.script)}  start it with: bash {shlex.quote(shown(made.script))}")
        ui.line(f"  needs     {shown(made.folder)}/requirements.txt")


def _steps(made: Launch) -> str:
    """How many optimizer steps; fewer where rows are put together, or too long ones left out."""
    recipe, guess = made.recipe, made.estimate
    most = "" if recipe.max_steps is not None or not (recipe.packing or recipe.long_rows == "drop") else "at most "
    epochs = "" if recipe.max_steps is not None else f"{recipe.epochs:g} epoch{'' if recipe.epochs == 1 else 's'}, "
    return f"{most}{guess.steps:,}  ({epochs}{guess.effective_batch} rows each)"


def _rows(made: Launch) -> list[tuple[str, str]]:
    recipe, guess = made.recipe, made.estimate
    return [
        ("backend", recipe.backend),
        ("base model", recipe.model),
        ("method", recipe.method + (f", {recipe.quantization}" if recipe.quantization != "none" else "")),
        ("template", recipe.template.name),
        ("rows", f"{recipe.data.rows:,}"),
        ("steps", _steps(made)),
        ("tokens", f"about {guess.tokens:,} an epoch, {guess.trained_tokens:,} of them trained on"),
        (
            "memory",
            "unknown: the model's name does not say its size" if guess.memory_gib is None else f"about {guess.memory_gib:.0f} GiB a GPU",
        ),
    ]
