"""From a config to a plan: modules loaded, sources pinned, the lock that follows from them. Everything is decided, no record is read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from os.path import normpath
from pathlib import Path
from typing import Literal

from teapot.checking import MAX_PROBLEMS
from teapot.config import load_config
from teapot.errors import CheckFailed, ConfigError, Place, Problem, Problems
from teapot.lock import MAX_LOCK, Lock, LockedModule, LockedSource, compare, parse_lock
from teapot.mapping.build import build_mapper
from teapot.model import Config, Filter, Format, HubOrigin, Kind, Module, ModuleUse, Pin, PinnedFile, Source, SourceUse
from teapot.project import Project, find_project, followed, read_bytes, read_text, shown
from teapot.registry import Located, Locations, Registry
from teapot.settings import config_settings, module_settings, origin_settings
from teapot.sources.local import OpenFile
from teapot.sources.pinning import Pinned, Pinner, cache_folder
from teapot.sources.retry import TIMEOUT
from teapot.templatefile import with_template

Upgrade = frozenset[str] | Literal["all"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a config is to be resolved.

    ``locked`` refuses any change of the lock, ``offline`` any use of the network (``--frozen`` is both). ``sources`` are ``ID=PATH`` and
    ``overrides`` ``KEY=VALUE``, as typed. ``upgrade`` names the modules whose pins are to be made anew. ``timeout`` is in seconds: how long a
    server may be silent.
    """

    project: Path | None = None
    sources: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    locked: bool = False
    offline: bool = False
    upgrade: Upgrade = frozenset()
    allow_code: tuple[str, ...] = ()
    environ: Mapping[str, str] | None = None
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True)
class PlannedSource:
    """A source that will be read. ``weight`` is the config's, ``filters`` are the module's, its own and the config's, in this order."""

    source: Source
    files: tuple[OpenFile, ...]
    weight: Fraction | None
    filters: tuple[Filter, ...]
    format: Format
    roles: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlannedModule:
    use: ModuleUse
    module: Module
    sources: tuple[PlannedSource, ...]

    @property
    def name(self) -> str:
        return self.module.name


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided. ``modules`` are sorted by the bytes of their names. ``lock`` is what the lock must say, without a result;
    ``old`` what it says, if it is there."""

    project: Project
    config: Config
    kind: Kind
    modules: tuple[PlannedModule, ...]
    lock: Lock
    old: Lock | None
    lock_path: Path
    notes: tuple[str, ...]

    @property
    def inputs(self) -> list[Path]:
        files = [file.path for module in self.modules for source in module.sources for file in source.files]
        return [self.config.path, *files]


def lock_path_of(config: Path) -> Path:
    """``configs/NAME.lock`` for ``configs/NAME.config``; other names get ``.lock`` appended."""
    config = real(config)
    return config.with_suffix(".lock") if config.suffix == ".config" else config.with_name(config.name + ".lock")


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """A config, wherever it lies; what it extends must lie in its own project.

    Raises:
        ConfigError: something in it, or in what it extends, is wrong.
    """
    config = real(path)
    root = find_project(config, None).root

    def read(one: Path) -> str:
        if one != Path(normpath(config)) and not followed(one).is_relative_to(root):
            raise ConfigError(
                f"'{shown(one)}' lies outside of the project '{shown(root)}'", Place(shown(config)), "copy it into the project"
            )
        return read_text(one)

    return load_config(config, read=read, overrides=overrides, shown=shown)


def real(path: Path) -> Path:
    """The config itself, where the path given is a link to it: its name, its lock and its project are those of the file."""
    return followed(path) if path.is_symlink() else path


def read_lock(path: Path) -> Lock | None:
    return parse_lock(read_bytes(path, limit=MAX_LOCK), shown(path)) if path.exists() else None


def make_plan(
    config_path: Path, options: Options, pinner: Pinner | None = None, override_lock: Callable[[Config], Path] | None = None
) -> Plan:
    """Resolve a config. ``override_lock`` says where the lock of a run with overrides is kept.

    Raises:
        ConfigError: the config or one of its modules is wrong.
        CheckFailed: ``locked``, and the lock would change.
        SourceUnavailable, DataError: a source cannot be had, or is not what the lock says.
    """
    project = find_project(config_path, options.project)
    config = with_template(read_config(config_path, options.overrides), project)
    registry = Registry(project)
    modules = load_modules(config, registry)
    kind = one_kind(modules)
    own_lock = lock_path_of(config_path)
    lock_path = own_lock
    if config.overrides and override_lock is not None:
        lock_path = override_lock(config)
    old = read_lock(lock_path) or (read_lock(own_lock) if lock_path != own_lock else None)
    if old is None and options.locked:
        raise CheckFailed(f"there is no lock '{shown(lock_path)}'", hint=f"make it with 'teapot lock {shown(config_path)}' and commit it")
    if options.locked and old is not None:
        refuse_drift(settings_only(config, modules, old), old, lock_path)
    pinner = pinner or Pinner(offline=options.offline, timeout=options.timeout)
    pinned = pin_all(config, modules, Locations(registry, options.sources, options.environ), old, pinner, options.upgrade)
    lock, planned = lock_of(config, modules, pinned, old, options)
    if options.locked and old is not None:
        refuse_drift(lock, old, lock_path)
    return Plan(project, config, kind, planned, lock, old, lock_path, tuple(moved_notes(config, pinned)))


def load_modules(config: Config, registry: Registry) -> list[Module]:
    """The declarations of the enabled modules, sorted by name; all that is wrong with any of them is reported at once."""
    problems = Problems()
    modules = []
    for use in sorted(config.modules, key=lambda use: use.name.encode()):
        try:
            modules.append(use.inline or registry.load(use.name, use.place))
        except ConfigError as error:
            problems.found.extend(error.problems)
            if len(problems.found) >= MAX_PROBLEMS:
                problems.add(f"there are {MAX_PROBLEMS} problems or more; these are the first of them")
                break
    problems.raise_as(ConfigError)
    uses = {use.name: use for use in config.modules}
    for module in modules:
        _check_use(uses[module.name], module, set(uses), config, problems)
    problems.raise_as(ConfigError)
    return modules


def _check_use(use: ModuleUse, module: Module, enabled: set[str], config: Config, problems: Problems) -> None:
    for needed in module.depends:
        if needed not in enabled:
            problems.add(f"module '{module.name}' needs module '{needed}', which is not enabled", use.place, f"add '{needed}: true'")
    for enemy in module.conflicts:
        if enemy in enabled:
            problems.add(
                f"module '{module.name}' cannot be mixed with module '{enemy}'", use.place, f"switch one of them off: '{enemy}: false'"
            )
    known = {source.id: source for source in module.sources}
    for name, said in use.sources.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(sorted(known))}"
            problems.add(f"module '{module.name}' has no source '{name}'", said.place, hint)
        elif known[name].use == "eval":
            problems.add(f"source '{name}' is for evaluation and is never trained on", said.place, "remove it from the config")
    if not any(use.sources.get(one.id, SourceUse()).enabled for one in module.sources if one.use == "train"):
        problems.add(f"every source of module '{module.name}' is switched off", use.place, f"switch the module off: '{module.name}: false'")
    if module.prepare is not None and use.sources:
        problems.add(
            f"module '{module.name}' is prepared by a script, so its sources have no rows of their own to weigh or filter",
            use.place,
            "filter the module instead",
        )


def one_kind(modules: Sequence[Module]) -> Kind:
    """The kind of row of the whole mix.

    Raises:
        ConfigError: there are several; it names the modules of each.
    """
    kinds: dict[Kind, list[str]] = {}
    for module in modules:
        for form in {source.format or module.format for source in module.sources if source.use == "train"}:
            names = kinds.setdefault(build_mapper(form, ()).kind, [])
            if module.name not in names:
                names.append(module.name)
    if len(kinds) > 1:
        said = "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in sorted(kinds.items()))
        raise ConfigError(
            f"one output holds one kind of row, but these modules make several ({said})", hint="put each kind into a config of its own"
        )
    return next(iter(kinds))


def enabled_sources(module: Module, use: ModuleUse) -> list[Source]:
    return [source for source in module.sources if source.use == "train" and use.sources.get(source.id, SourceUse()).enabled]


def pin_all(
    config: Config, modules: Sequence[Module], locations: Locations, old: Lock | None, pinner: Pinner, upgrade: Upgrade
) -> dict[str, list[Pinned]]:
    """Every enabled source of every module, pinned. What is wrong with several is reported at once, the gravest kind first."""
    located: dict[str, list[Located]] = {}
    for one in locations.locate(modules):
        located.setdefault(one.module, []).append(one)
    uses = {use.name: use for use in config.modules}
    asked: list[tuple[Located, LockedSource | None]] = []
    for module in modules:
        wanted = {source.id for source in enabled_sources(module, uses[module.name])}
        keep = None if old is None or upgrade == "all" or module.name in upgrade else old.modules.get(module.name)
        asked += [(one, keep.sources.get(one.id) if keep else None) for one in located[module.name] if one.id in wanted]
    pinned: dict[str, list[Pinned]] = {module.name: [] for module in modules}
    for source in pinner.pin_all(asked):
        pinned[source.located.module].append(source)
    return pinned


def moved_notes(config: Config, pinned: Mapping[str, Sequence[Pinned]]) -> list[str]:
    """One line for each dataset whose branch has moved on, however many sources take from it."""
    moved: dict[tuple[str, str, str], list[str]] = {}
    for one in (one for sources in pinned.values() for one in sources):
        if one.moved and isinstance(one.located.origin, HubOrigin):
            moved.setdefault((one.located.origin.repo, str(one.locked.pin.commit), one.moved), []).append(f"'{one.located.id}'")
    return [
        f"the dataset '{repo}' has moved on the Hub to {now[:12]}; the locked {locked[:12]} is used for {', '.join(ids)} "
        f"('teapot lock {shown(config.path)} --upgrade' moves on)"
        for (repo, locked, now), ids in moved.items()
    ]


def lock_of(
    config: Config, modules: Sequence[Module], pinned: Mapping[str, Sequence[Pinned]], old: Lock | None, options: Options
) -> tuple[Lock, tuple[PlannedModule, ...]]:
    """The lock that follows from pinned sources, and what is to be read."""
    uses = {use.name: use for use in config.modules}
    locked: dict[str, LockedModule] = {}
    planned = []
    for module in modules:
        sources: dict[str, LockedSource] = {one.located.id: one.locked for one in pinned[module.name]}
        prepared: PinnedFile | None = None
        reads = tuple(planned_source(module, uses[module.name], one) for one in pinned[module.name])
        if module.prepare is not None:
            from teapot.sources.prepare import run_prepare

            opened = run_prepare(
                module,
                {one.located.id: one.files for one in pinned[module.name]},
                before=_prepared_before(module, sources, old, options),
                allow=options.allow_code,
                cache=cache_folder(),
                environ=options.environ,
            )
            prepared = opened.pinned
            reads = (planned_prepared(module, uses[module.name], opened),)
        locked[module.name] = LockedModule(module_settings(module), sources, code_of(module), prepared)
        planned.append(PlannedModule(uses[module.name], module, reads))
    return Lock(config_settings(config), locked), tuple(planned)


def _prepared_before(module: Module, sources: Mapping[str, LockedSource], old: Lock | None, options: Options) -> PinnedFile | None:
    """What the lock says that this script made of these inputs: nothing, where the script or an input is another one now."""
    before = old.modules.get(module.name) if old is not None else None
    if before is None or options.upgrade == "all" or module.name in options.upgrade:
        return None
    return before.prepared if before.code == code_of(module) and before.sources == sources else None


def code_of(module: Module) -> dict[str, str]:
    return {module.prepare.script: module.prepare.sha256} if module.prepare else {}


def planned_source(module: Module, use: ModuleUse, pinned: Pinned) -> PlannedSource:
    source = pinned.located.source
    said = use.sources.get(source.id, SourceUse())
    return PlannedSource(
        source=source,
        files=tuple(replace(file, pinned=locked) for file, locked in zip(pinned.files, pinned.locked.pin.files, strict=True)),
        weight=said.weight.value if said.weight else None,
        filters=(*module.filters, *source.filters, *use.filters, *said.filters),
        format=source.format or module.format,
        roles=source.roles if source.roles is not None else module.roles,
    )


PREPARED = "prepared"
"""The source id of the rows that a module's own script wrote."""


def planned_prepared(module: Module, use: ModuleUse, opened: OpenFile) -> PlannedSource:
    source = Source(id=PREPARED, origin=module.sources[0].origin, file_type="jsonl", place=module.place)
    return PlannedSource(source, (opened,), None, (*module.filters, *use.filters), module.format, module.roles)


def settings_only(config: Config, modules: Sequence[Module], old: Lock) -> Lock:
    """What the lock would say if every pin stayed: enough to refuse a drift before anything is fetched."""
    uses = {use.name: use for use in config.modules}
    locked: dict[str, LockedModule] = {}
    for module in modules:
        before = old.modules.get(module.name)
        sources = {}
        for source in enabled_sources(module, uses[module.name]):
            kept = before.sources.get(source.id) if before else None
            if kept is not None:
                sources[source.id] = kept
            else:
                sources[source.id] = LockedSource(origin_settings(source.origin), Pin(()))
        locked[module.name] = LockedModule(module_settings(module), sources, code_of(module), before.prepared if before else None)
    return Lock(config_settings(config), locked)


def refuse_drift(new: Lock, old: Lock, lock_path: Path) -> None:
    """Raise CheckFailed that lists every difference, if there is one."""
    drift = list(compare(old, new))
    if drift:
        hint = "run 'teapot compose' without --locked (or 'teapot lock') and commit the new lock"
        raise CheckFailed(Problem(str(one), Place(shown(lock_path)), hint if one is drift[-1] else None) for one in drift)
