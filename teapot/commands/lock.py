"""``teapot lock``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from teapot.commands.options import PATH, with_options, with_project, with_sources, with_ui, with_wait
from teapot.commands.tables import number
from teapot.engine.planning import Options, Upgrade
from teapot.errors import ConfigError, Place
from teapot.project import find_project, shown
from teapot.ui import Column, Ui, problem_value
from teapot.verbs.lock import Locked, RowCount, check, lock
from teapot.verbs.several import Several


@click.command("lock")
@click.argument("configs", nargs=-1, type=PATH)
@click.option("--all", "every", is_flag=True, help="Every *.config of the project's configs folder.")
@click.option("--check", "checking", is_flag=True, help="Check that the lock is still true; exit 1 if not, 3 if it cannot be told.")
@click.option(
    "--upgrade", "upgrade", is_flag=False, flag_value="*", default=None, metavar="[MODULE]", help="Pin anew: this module, or all."
)
@click.option("--dry-run", is_flag=True, help="Show what would change, without writing it.")
@with_wait
@with_sources
@with_project
@with_ui
@with_options
def command(
    configs: tuple[Path, ...],
    every: bool,
    checking: bool,
    upgrade: str | None,
    dry_run: bool,
    wait: float,
    options: Options,
    ui: Ui,
) -> int:
    """Pin the sources of CONFIGS in their locks. Pins that are there stay, unless --upgrade names them.

    \b
    Example:
      teapot lock configs/quickstart.config
      teapot lock configs/quickstart.config --check
      teapot lock configs/quickstart.config --upgrade --dry-run
    """
    if every == bool(configs):
        raise ConfigError(
            "name the configs to lock, or say --all", Place("teapot lock"), "for example: teapot lock configs/quickstart.config"
        )
    if checking and (upgrade is not None or dry_run):
        raise ConfigError("--check changes nothing and pins nothing", Place("teapot lock"), "leave --upgrade and --dry-run out")
    paths = _all(options.project) if every else list(configs)
    moved: Upgrade = frozenset() if upgrade is None else "all" if upgrade == "*" else frozenset({upgrade})
    options = replace(options, upgrade=moved)
    return _check_all(paths, options, ui) if checking else _lock_all(paths, options, dry_run, wait, ui)


def _all(project: Path | None) -> list[Path]:
    folder = find_project(None, project).root / "configs"
    found = sorted(folder.glob("*.config"), key=lambda path: path.name.encode())
    if not found:
        raise ConfigError(f"there is no *.config in '{shown(folder)}'", hint="name the configs, or the project with --project")
    return found


def _check_all(paths: list[Path], options: Options, ui: Ui) -> int:
    """Check every lock, also after one failed."""
    tried = Several()
    notes: list[str] = []
    for path in paths:
        with tried.trying():
            notes += check(path, options)
    if ui.mode == "json":
        problems = [problem_value(one) for one in tried.problems]
        ui.document({"checked": [shown(path) for path in paths], "problems": problems, "notes": notes}, tried.exit)
        return tried.exit
    for note in notes:
        ui.line(note)
    ui.errors(tried.problems, tried.exit)
    return tried.exit


def _lock_all(paths: list[Path], options: Options, dry_run: bool, wait: float, ui: Ui) -> int:
    """Lock every config, also after one failed."""
    tried = Several()
    results = []
    for path in paths:
        with ui.watching() as (_, download), tried.trying():
            results.append(lock(path, options, dry_run=dry_run, report=download, wait=wait))
    if ui.mode == "json":
        problems = [problem_value(one) for one in tried.problems]
        ui.document({"locks": [_value(result) for result in results], "problems": problems}, tried.exit)
        return tried.exit
    for result in results:
        _show(result, ui)
    ui.errors(tried.problems, tried.exit)
    return tried.exit


def _value(result: Locked) -> dict[str, Any]:
    def counts(side: Any) -> Any:
        return None if side is None else {name: {"rows": count.rows, "licenses": dict(count.licenses)} for name, count in side.items()}

    return {
        "path": shown(result.path),
        "changed": result.changed,
        "written": result.written,
        "drift": [{"field": one.field, "old": one.old, "new": one.new} for one in result.drift],
        "before": counts(result.before),
        "after": counts(result.after),
        "notes": list(result.notes),
    }


def _show(result: Locked, ui: Ui) -> None:
    for one in result.drift:
        ui.line(f"  {one.field}: {one.old} -> {one.new}")
    if result.after is not None:
        names = sorted(set(result.after) | set(result.before or {}))
        columns = [
            Column("module", whole=True),
            Column("rows before", True),
            Column("rows after", True),
            Column("licenses before"),
            Column("licenses after"),
        ]
        ui.table(columns, [_row(name, result.before, result.after) for name in names])
        if result.before is None:
            ui.note("the bytes of the old lock are gone, so its rows cannot be counted")
    state = "written: commit it" if result.written else "would change" if result.changed else "is up to date"
    ui.line(f"{shown(result.path)}  {state}")
    for note in result.notes:
        ui.note(note)


def _row(name: str, before: Any, after: Any) -> list[str]:
    def side(counts: dict[str, RowCount] | None) -> RowCount | None:
        return counts.get(name) if counts else None

    old, new = side(before), side(after)
    return [name, number(old.rows) if old else "-", number(new.rows) if new else "-", _licenses(old), _licenses(new)]


def _licenses(count: RowCount | None) -> str:
    return ", ".join(f"{name} {number(rows)}" for name, rows in count.licenses.items()) if count else "-"
