"""``teapot plan``."""

from __future__ import annotations

from pathlib import Path

import click

from teapot.commands.options import PATH, with_engine, with_lock, with_options, with_overrides, with_project, with_sources, with_ui
from teapot.commands.tables import counts_value, show_counts
from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.ui import Ui
from teapot.verbs.compose import Watch, plan


@click.command("plan")
@click.argument("config", type=PATH)
@with_lock
@with_sources
@with_overrides
@with_project
@with_engine
@with_ui
@with_options
def command(
    config: Path,
    engine: Engine,
    options: Options,
    ui: Ui,
) -> int:
    """Show the table of what composing CONFIG would write, without writing anything.

    \b
    Example:
      teapot plan configs/quickstart.config
      teapot plan configs/quickstart.config --set training.seed=43
    """
    return show_plan(config, options, engine, ui)


def show_plan(config: Path, options: Options, engine: Engine, ui: Ui) -> int:
    with ui.watching() as (progress, download):
        made = plan(config, options, Watch(progress, download), engine)
    if ui.mode == "json":
        ui.document(
            {"rows": made.rows, "seed": made.plan.config.training.seed, "modules": counts_value(made.modules), "notes": list(made.notes)}
        )
        return 0
    show_counts(ui, made.modules)
    ui.line(f"{made.rows:,} rows would be written, seed {made.plan.config.training.seed}")
    for note in made.notes:
        ui.note(note)
    return 0
