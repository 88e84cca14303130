"""``teapot validate``."""

from __future__ import annotations

from pathlib import Path

import click

from teapot.commands.options import PATH, at_least_one, options_of, with_overrides, with_project, with_sources, with_ui
from teapot.errors import ConfigError, Exit, Place, TeapotError
from teapot.project import find_project, shown
from teapot.ui import Ui, problem_value
from teapot.usage import Group


@click.group("validate", cls=Group)
def command() -> None:
    """Check an output, a module or a config.

    \b
    Example:
      teapot validate compose train-quickstart.jsonl
      teapot validate module --all
      teapot validate config configs/quickstart.config
    """


@command.command("compose", short_help="Prove an output against its manifest, ledger and lock.")
@click.argument("file", type=PATH)
@click.option("--rebuild", "rebuilding", is_flag=True, help="Also compose again from the lock and compare the bytes.")
@click.option("--expect", metavar="SHA256", help="The SHA-256 that the output, or its manifest, must have.")
@click.option("--lock", "lock_path", type=PATH, help="Where the lock is, if not where the manifest says.")
@click.option("--no-lock", is_flag=True, help="Check without the lock.")
@click.option(
    "--workers",
    callback=at_least_one,
    metavar="N",
    help="How many processes check rows, beside two that read the file and its ledger; with 1, one does it all.  [default: the usable CPUs]",
)
@click.option("--junit", type=PATH, help="Also write the result as a JUnit XML file.")
@with_sources
@with_project
@with_ui
def compose_command(
    file: Path,
    rebuilding: bool,
    expect: str | None,
    lock_path: Path | None,
    no_lock: bool,
    workers: int | None,
    junit: Path | None,
    sources: tuple[str, ...],
    offline: bool,
    timeout: float,
    allow_code: tuple[str, ...],
    project: Path | None,
    ui: Ui,
) -> int:
    """Prove that FILE is what its manifest, its ledger and its lock say: every hash, count and row.

    FILE is an output, or any file of it: a shard, the manifest. All of them are checked.

    \b
    Example:
      teapot validate compose train-quickstart.jsonl
      teapot validate compose train-quickstart.jsonl --rebuild
    """
    from teapot.checks.output import Effort
    from teapot.engine.pool import usable_cpus
    from teapot.verbs.validate import validate

    if rebuilding and no_lock:
        raise ConfigError("--rebuild composes from the lock", Place("teapot validate compose"), "leave --no-lock out")
    if expect is not None and not _is_sha256(expect):
        raise ConfigError(f"'{expect}' is not a SHA-256", Place("--expect"), "give 64 hexadecimal digits")
    code = Exit.INVALID
    effort = Effort(workers or usable_cpus())
    with ui.watching() as (progress, download):
        report = validate(file, lock=lock_path, project=project, no_lock=no_lock, expect=expect, effort=effort, progress=progress)
        if rebuilding and report.ok:
            from teapot.verbs.compose import Watch
            from teapot.verbs.rebuild import rebuild

            try:
                options = options_of(project=project, sources=sources, offline=offline, timeout=timeout, allow_code=allow_code)
                rebuild(report, file, options, lock=lock_path, watch=Watch(progress, download))
            except TeapotError as error:
                code = error.exit
                report.absorb(error)
    if junit is not None:
        from teapot.junit import write_junit

        write_junit(junit, report)
    if ui.mode == "json":
        ui.document(
            {
                "file": report.file,
                "checks": [{"name": name, "covered": covered} for name, covered in report.checks],
                "skipped": report.skipped,
                "problems": [problem_value(problem) for problem in report.problems],
                "suppressed": report.suppressed,
            },
            Exit.OK if report.ok else code,
        )
        return Exit.OK if report.ok else code
    if not report.ok:
        ui.errors(report.all_problems(), code)
        ui.line(f"{report.file}: INVALID", "bold red")
        return code
    for name, covered in report.checks:
        ui.line(f"  ok  {name}: {covered}")
    for skipped in report.skipped:
        ui.line(f"  --  {skipped}")
    ui.line(f"{report.file}: valid", "bold green")
    return Exit.OK


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(sign in "0123456789abcdefABCDEF" for sign in text)


@command.command("module", short_help="Check modules, and the data that lies here.")
@click.argument("paths", nargs=-1, type=PATH)
@click.option("--all", "every", is_flag=True, help="Every module of the project.")
@click.option("--data", is_flag=True, help="Also read data that must be fetched first.")
@with_sources
@with_project
@with_ui
def module_command(
    paths: tuple[Path, ...],
    every: bool,
    data: bool,
    sources: tuple[str, ...],
    offline: bool,
    timeout: float,
    allow_code: tuple[str, ...],
    project: Path | None,
    ui: Ui,
) -> int:
    """Check the declarations of modules (by folder), and every record of those whose data lies here.

    \b
    Example:
      teapot validate module --all
      teapot validate module modules/examples/unit-conversions
    """
    from teapot.registry import Registry
    from teapot.verbs.inspect import check_modules

    if every == bool(paths):
        raise ConfigError(
            "name the modules to check, or say --all", Place("teapot validate module"), "for example: teapot validate module --all"
        )
    root = find_project(None, project)
    names = Registry(root).names() if every else []
    if every and not names:
        raise ConfigError(f"there is no module in '{shown(root.root / 'modules')}'", hint="say where the project is with --project")
    options = options_of(project=project, sources=sources, offline=offline, timeout=timeout, allow_code=allow_code)
    found = check_modules(root, names, list(paths), data=data, options=options)
    if ui.mode == "json":
        modules = [{"name": one.name, "records": one.records, "rows": one.rows, "notes": list(one.notes)} for one in found]
        ui.document({"modules": modules})
        return 0
    for one in found:
        counts = f"{one.records:,} records, {one.rows:,} rows" if one.records is not None else "declaration"
        ui.line(f"  ok  {one.name}: {counts}")
        for note in one.notes:
            ui.note(f"{one.name}: {note}")
    return 0


@command.command("config", short_help="Check a config and the modules it enables.")
@click.argument("config", type=PATH)
@click.option("--source", "sources", multiple=True, metavar="ID=PATH", help="Take this source from a local path.")
@with_overrides
@with_project
@with_ui
def config_command(config: Path, sources: tuple[str, ...], overrides: tuple[str, ...], project: Path | None, ui: Ui) -> int:
    """Check CONFIG, the modules that it enables, and where their sources live. Nothing is fetched or read.

    \b
    Example:
      teapot validate config configs/quickstart.config
    """
    from teapot.verbs.inspect import check_config

    found = check_config(config, options_of(project=project, sources=sources, overrides=overrides))
    if ui.mode == "json":
        ui.document({"config": shown(config), "modules": sorted(use.name for use in found.modules)})
        return 0
    ui.line(f"{shown(config)}: valid, {len(found.modules)} modules enabled", "bold green")
    return 0
