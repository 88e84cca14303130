"""``teapot modules``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from teapot.commands.options import with_project, with_ui
from teapot.commands.tables import number
from teapot.project import find_project, shown
from teapot.ui import Column, Ui
from teapot.verbs.inspect import list_modules


@click.command("modules")
@with_project
@with_ui
def command(project: Path | None, ui: Ui) -> int:
    """List the modules of the project, with the rows that they expect and their licenses.

    \b
    Example:
      teapot modules
    """
    root = find_project(None, project)
    found = list_modules(root)
    if ui.mode == "json":
        ui.document({"modules": [asdict(one) for one in found]})
        return 0
    if not found:
        ui.note(f"there is no module in '{shown(root.root / 'modules')}'; --project says where the project is")
        return 0
    columns = [
        Column("module", whole=True),
        Column("version"),
        Column("kind"),
        Column("rows", True),
        Column("licenses"),
    ]
    rows = [
        [
            one.name,
            one.version or "-",
            one.kind,
            number(one.rows) if one.rows is not None else "-",
            ", ".join(one.licenses) or "-",
        ]
        for one in found
    ]
    ui.table(columns, rows)
    return 0
