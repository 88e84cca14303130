"""``teapot compose``."""

from __future__ import annotations

from pathlib import Path

import click

from teapot.commands import plan as plan_command
from teapot.commands.options import (
    PATH,
    with_engine,
    with_lock,
    with_options,
    with_overrides,
    with_project,
    with_sources,
    with_ui,
    with_wait,
)
from teapot.commands.tables import counts_value, show_counts
from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.manifest import Output
from teapot.project import shown
from teapot.ui import Ui
from teapot.verbs.compose import Composed, Watch, compose


@click.command("compose")
@click.argument("config", type=PATH)
@click.option("-o", "--output", type=PATH, help="Where to write the output; it ends in .jsonl.")
@with_lock
@with_wait
@click.option("--profile", is_flag=True, help="Say where the time went.")
@click.option("--dry-run", is_flag=True, help="The same as 'teapot plan'.")
@with_sources
@with_overrides
@with_project
@with_engine
@with_ui
@with_options
def command(
    config: Path,
    output: Path | None,
    profile: bool,
    dry_run: bool,
    wait: float,
    engine: Engine,
    options: Options,
    ui: Ui,
) -> int:
    """Compose CONFIG: write its output, ledger, lock and manifest.

    \b
    Example:
      teapot compose configs/quickstart.config
      teapot compose configs/quickstart.config --locked -o mix.jsonl
    """
    if dry_run:
        return plan_command.show_plan(config, options, engine, ui)
    with ui.watching() as (progress, download):
        made = compose(config, options, output, Watch(progress, download), engine, wait)
    show(made, ui, profile)
    return 0


def _in_other_files(entry: Output) -> str:
    count = f"  with {len(entry.files) - 1} more shards" if len(entry.files) > 1 else ""
    return count + ("  before compression" if entry.compression != "none" else "")


def show(made: Composed, ui: Ui, profile: bool = False) -> None:
    manifest, files = made.manifest, made.files
    entry = manifest.outputs[0]
    if ui.mode == "json":
        ui.document(
            {
                "output": shown(files.output),
                "files": [shown(files.beside(part.file)) for part in entry.files],
                "compression": entry.compression,
                "manifest": shown(files.manifest),
                "ledger": shown(files.ledger),
                "lock": shown(made.lock_path),
                "lock_changed": made.lock_changed,
                "rows": entry.rows,
                "size": entry.size,
                "sha256": entry.sha256,
                "manifest_sha256": manifest.digest(),
                "seed": manifest.seed,
                "kind": manifest.kind,
                "modules": counts_value(manifest.modules),
                "notes": list(made.notes),
                **({"profile": {name: round(seconds, 3) for name, seconds in made.profile.items()}} if profile else {}),
            }
        )
        return
    show_counts(ui, manifest.modules)
    ui.line(f"{shown(files.beside(entry.files[0].file))}  {entry.rows:,} rows  {entry.size:,} bytes{_in_other_files(entry)}")
    ui.line(f"  sha256    {entry.sha256}")
    ui.line(f"  manifest  {shown(files.manifest)}")
    ui.line(f"  ledger    {shown(files.ledger)}")
    ui.line(f"  lock      {shown(made.lock_path)}{'  (written: commit it)' if made.lock_changed else ''}")
    for note in made.notes:
        ui.note(note)
    if profile:
        whole = sum(made.profile.values())
        for name, seconds in made.profile.items():
            ui.note(f"{name}: {seconds:.2f} s, {100 * seconds / whole:.0f} %")
