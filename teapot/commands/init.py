"""``teapot init``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from teapot.commands.options import PATH, with_ui
from teapot.project import shown
from teapot.ui import Ui
from teapot.verbs.init import init


@click.command("init")
@click.argument("folder", type=PATH, default=".")
@with_ui
def command(folder: Path, ui: Ui) -> int:
    """Start a project in FOLDER: a module with data, a config, and what stands around them.

    \b
    Example:
      teapot init my-mix
    """
    made = init(folder)
    config = next(path for path in made if path.suffix == ".config")
    if ui.mode == "json":
        ui.document({"files": [shown(path) for path in made]})
        return 0
    for path in made:
        ui.line(f"  {shown(path)}")
    there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(shown(folder))} && "
    ui.line(f"next: {there}teapot compose {config.relative_to(folder).as_posix()}")
    return 0
