"""``teapot sources``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from teapot.commands.options import PATH, options_of, with_project, with_ui
from teapot.project import find_project
from teapot.ui import Column, Ui
from teapot.verbs.inspect import list_sources


@click.command("sources")
@click.argument("config", required=False, type=PATH)
@click.option("--source", "sources", multiple=True, metavar="ID=PATH", help="Take this source from a local path.")
@with_project
@with_ui
def command(config: Path | None, sources: tuple[str, ...], project: Path | None, ui: Ui) -> int:
    """Show where each source of CONFIG (or of the project) lives and whether its bytes are at hand. Nothing is fetched.

    \b
    Example:
      teapot sources
      teapot sources configs/quickstart.config
    """
    options = options_of(project=project, sources=sources, offline=True)
    found = list_sources(find_project(config, project), config, options)
    if ui.mode == "json":
        ui.document({"sources": [asdict(one) for one in found]})
        return 0
    if not found:
        ui.note("there is no source here: no module is in 'modules'; --project says where the project is")
        return 0
    columns = [
        Column("source", whole=True),
        Column("module", whole=True),
        Column("use"),
        Column("where"),
        Column("said by"),
        Column("pin"),
        Column("state"),
    ]
    ui.table(columns, [[one.id, one.module, one.use, one.where, one.via, one.pin, one.state] for one in found])
    return 0
