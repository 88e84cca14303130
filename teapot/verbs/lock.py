"""``teapot lock``: pin the sources of a config, check that the pins are still true, or move them on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from teapot.engine.local import Engine, Run
from teapot.engine.planning import Options, Plan, load_modules, lock_path_of, make_plan, read_config, read_lock, settings_only
from teapot.errors import BusyError, CheckFailed, ConfigError, Place, Problem, TeapotError
from teapot.lock import Drift, Lock, compare, compare_asked
from teapot.progress import Report
from teapot.project import find_project, shown
from teapot.registry import Locations, Registry
from teapot.settings import origin_settings
from teapot.sources.pinning import Pinner, upstream_drift
from teapot.templatefile import with_template
from teapot.verbs.compose import refuse_changed_lock
from teapot.writer import Patience, check_place, clear_hold, held, scratch_folder, staged, writing


@dataclass(frozen=True, slots=True)
class RowCount:
    """A module's candidates, and how many of them have each licence."""

    rows: int
    licenses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Locked:
    """What ``teapot lock`` did. ``before`` and ``after`` are there for an upgrade; ``before`` is ``None`` where the old bytes are gone."""

    path: Path
    changed: bool
    written: bool
    drift: tuple[Drift, ...]
    before: Mapping[str, RowCount] | None = None
    after: Mapping[str, RowCount] | None = None
    notes: tuple[str, ...] = ()


def lock(config_path: Path, options: Options, *, dry_run: bool = False, report: Report | None = None, wait: float = 0.0) -> Locked:
    """Write the lock of a config, keeping every pin that ``options.upgrade`` does not name. A result that still holds is kept.

    Another run on the lock is waited for so many seconds.

    Raises:
        ConfigError, SourceUnavailable, DataError, BusyError: as for compose.
    """
    patience = Patience(wait)
    while True:
        try:
            return _lock(config_path, options, dry_run, report, patience)
        except BusyError:
            if not patience.wait():
                raise


def _lock(config_path: Path, options: Options, dry_run: bool, report: Report | None, patience: Patience) -> Locked:
    path = lock_path_of(config_path)
    upgrading = bool(options.upgrade)
    if upgrading and isinstance(options.upgrade, frozenset):
        _check_upgrade(config_path, options.upgrade)
    pinner = Pinner(offline=options.offline, timeout=options.timeout, ask_moved=not upgrading, report=report)
    made = make_plan(config_path, options, pinner)
    same = made.old is not None and made.old.has_inputs_of(made.lock)
    new = made.old if same and made.old is not None else made.lock
    drift = tuple(compare(made.old, made.lock)) if made.old is not None else ()
    before = _counts_before(config_path, options) if upgrading and not same else None
    after = _row_counts(made) if upgrading and not same else None
    changed = made.old is None or not same
    if changed and not dry_run:
        _write(path, new, made, patience)
    elif not dry_run:
        clear_hold(path)
    return Locked(path, changed, changed and not dry_run, drift, before, after, made.notes)


def _check_upgrade(config_path: Path, names: frozenset[str]) -> None:
    config = read_config(config_path)
    enabled = {use.name for use in config.modules}
    for name in sorted(names - enabled):
        raise ConfigError(
            f"module '{name}' is not enabled in this config", Place(shown(config_path)), f"it has {', '.join(sorted(enabled))}"
        )


def _write(path: Path, new: Lock, made: Plan, patience: Patience) -> None:
    check_place(path, [made.config.path])
    with held(path, patience), staged(path.name, [path]) as staging:
        refuse_changed_lock(made)
        staging.write(path, new.to_bytes())
        staging.commit()


def _counts_before(config_path: Path, options: Options) -> dict[str, RowCount] | None:
    try:
        return _row_counts(
            make_plan(
                config_path,
                replace(options, upgrade=frozenset()),
                Pinner(offline=options.offline, timeout=options.timeout, ask_moved=False),
            )
        )
    except TeapotError:
        return None  # the old bytes are gone; the upgrade says so


def _row_counts(made: Plan) -> dict[str, RowCount]:
    with scratch_folder() as folder, Run(made, Engine(), folder / "run") as run, writing(folder):
        scanned = run.scan()
    return {module.name: RowCount(scanned.candidates(number), scanned.licenses(number)) for number, module in enumerate(made.modules)}


def check(config_path: Path, options: Options) -> list[str]:
    """Demand that the lock of a config is true: same settings, same declarations, and every source as it was pinned.

    Returns:
        notes about what was checked.

    Raises:
        CheckFailed: it is not; every difference is listed.
        SourceUnavailable: it cannot be told.
    """
    path = lock_path_of(config_path)
    old = read_lock(path)
    if old is None:
        raise CheckFailed(f"there is no lock '{shown(path)}'", hint=f"make it with 'teapot lock {shown(config_path)}' and commit it")
    project = find_project(config_path, options.project)
    config = with_template(read_config(config_path), project)
    registry = Registry(project)
    modules = load_modules(config, registry)
    place = Place(shown(path))
    problems = [Problem(str(one), place) for one in compare(old, settings_only(config, modules, old))]
    if not problems:
        pinner = Pinner(offline=options.offline, timeout=options.timeout, ask_moved=False)
        for located in Locations(registry, options.sources, options.environ).locate(modules):
            locked = old.modules[located.module].sources.get(located.id)
            if locked is None:
                continue
            asked = [str(one) for one in compare_asked(located.id, locked.original, origin_settings(located.asked))]
            problems += [Problem(one, place) for one in asked or upstream_drift(pinner, located, locked)]
    if problems:
        hint = f"compose keeps using the locked bytes; 'teapot lock {shown(config_path)} --upgrade' accepts what is there now"
        problems[-1] = replace(problems[-1], hint=hint)
        raise CheckFailed(problems)
    return [f"{shown(path)} is true"]
