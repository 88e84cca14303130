"""``teapot peek``."""

from __future__ import annotations

import click

from teapot.commands.options import count, with_options, with_project, with_sources, with_ui
from teapot.commands.tables import dropped_text, number
from teapot.engine.planning import Options
from teapot.project import find_project
from teapot.ui import Ui, problem_value
from teapot.verbs.inspect import Peek, peek


@click.command("peek")
@click.argument("module")
@click.option("-n", "--rows", default="3", show_default=True, metavar="N", callback=count(1000), help="How many rows to show.")
@click.option("--rejected", is_flag=True, help="Show the refused records, of all there are, instead.")
@with_sources
@with_project
@with_ui
@with_options
def command(
    module: str,
    rows: int,
    rejected: bool,
    options: Options,
    ui: Ui,
) -> int:
    """Show a few rows of MODULE as they would be written, or with --rejected why records are refused.

    \b
    Example:
      teapot peek examples/unit-conversions
      teapot peek examples/unit-conversions --rejected
    """
    with ui.watching() as (_, download):
        found = peek(
            find_project(None, options.project),
            module,
            options,
            rows=0 if rejected else rows,
            limit=None if rejected else 1000,
            report=download,
        )
    if ui.mode == "json":
        ui.document(_value(found))
        return 0
    for line in found.lines:
        ui.raw(line)
    if rejected:
        for one in found.findings:
            problem = one.problem()
            ui.line(f"{problem.place}: {problem.message}")
    licenses = ", ".join(f"{name} {number(count)}" for name, count in found.licenses.items())
    ui.note(f"{number(found.records)} records read, {number(found.candidates)} rows" + (f" ({licenses})" if licenses else ""))
    ui.note(f"left out: {dropped_text(found.dropped)}" if found.dropped else "no row is left out")
    return 0


def _value(found: Peek) -> dict[str, object]:
    return {
        "module": found.module,
        "lines": found.lines,
        "records": found.records,
        "rows": found.candidates,
        "dropped": dict(found.dropped),
        "licenses": dict(found.licenses),
        "findings": [problem_value(one.problem()) for one in found.findings],
    }
