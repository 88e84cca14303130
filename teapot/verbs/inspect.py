"""Looking without composing: ``teapot modules``, ``sources``, ``peek``, ``validate module`` and ``validate config``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from teapot.engine.findings import Found
from teapot.engine.local import Engine, Run
from teapot.engine.looking import look
from teapot.engine.planning import Options, Plan, load_modules, lock_of, lock_path_of, one_kind, pin_all, read_config, read_lock
from teapot.errors import ConfigError, DataError, Problems, TeapotError, redacted
from teapot.filters import compile_filters
from teapot.lock import Lock
from teapot.mapping.build import build_mapper
from teapot.model import BadRows, Config, HubOrigin, LicenseSpec, Module, ModuleUse, PathOrigin, UrlOrigin
from teapot.progress import Report
from teapot.project import Project, find_project, shown
from teapot.registry import Located, Locations, Registry, load_module_file
from teapot.sources.local import find_files
from teapot.sources.pinning import Pinner
from teapot.templatefile import with_template
from teapot.verbs.several import Several
from teapot.writer import scratch_folder


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A line of ``teapot modules``. ``rows`` is what the module says to expect."""

    name: str
    version: str | None
    kind: str
    rows: int | None
    licenses: tuple[str, ...]
    sources: int
    description: str


def list_modules(project: Project) -> list[ModuleInfo]:
    """Every module of the project; all broken declarations are reported at once.

    Raises:
        ConfigError: a declaration is wrong.
    """
    registry = Registry(project)
    return [_info(module) for module in _load_all(registry, registry.names())]


def _load_all(registry: Registry, names: Sequence[str]) -> list[Module]:
    problems = Problems()
    modules = []
    for name in names:
        try:
            modules.append(registry.load(name))
        except ConfigError as error:
            problems.found.extend(error.problems)
    problems.raise_as(ConfigError)
    return modules


def _info(module: Module) -> ModuleInfo:
    specs = {source.license or module.license for source in module.sources if source.use == "train"}
    licenses = sorted({text for spec in specs for text in _licenses(spec)})
    return ModuleInfo(
        module.name, module.version, _kind(module), expected_records(module), tuple(licenses), len(module.sources), module.description or ""
    )


def expected_records(module: Module) -> int | None:
    """What a module says to expect: of itself, or of all its training sources together."""
    if module.examples is not None:
        return module.examples
    counts = [source.examples for source in module.sources if source.use == "train"]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _licenses(spec: LicenseSpec) -> list[str]:
    if spec.expression is not None:
        return [spec.expression]
    return [*(text for text in (spec.default, *(value for _, value in spec.map)) if text), f"(field {spec.field})"]


def _kind(module: Module) -> str:
    return "/".join(sorted({build_mapper(source.format or module.format, ()).kind for source in module.sources if source.use == "train"}))


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A line of ``teapot sources``. ``state`` says whether the bytes are at hand."""

    id: str
    module: str
    use: str
    where: str
    via: str
    pin: str
    state: str


def list_sources(project: Project, config_path: Path | None, options: Options) -> list[SourceInfo]:
    """Where every source of a config (or of all modules) lives, without fetching anything.

    Raises:
        ConfigError: a declaration or a location is wrong.
    """
    registry = Registry(project)
    lock: Lock | None = None
    if config_path is not None:
        modules = load_modules(read_config(config_path, options.overrides), registry)
        lock = read_lock(lock_path_of(config_path))
    else:
        modules = _load_all(registry, registry.names())
    pinner = Pinner(offline=True)
    return [_source_info(one, lock, pinner) for one in Locations(registry, options.sources, options.environ).locate(modules)]


def _source_info(located: Located, lock: Lock | None, pinner: Pinner) -> SourceInfo:
    locked = lock.modules[located.module].sources.get(located.id) if lock and located.module in lock.modules else None
    pin = (locked.pin.commit or locked.pin.files[0].sha256)[:12] if locked else "-"
    origin = located.origin
    if isinstance(origin, HubOrigin):
        what = f" split {origin.split}" if origin.split else f" {', '.join(origin.files)}"
        where = f"{origin.repo}{'@' + origin.revision if origin.revision else ''}{what}"
        if locked is None or locked.pin.commit is None:
            state = "not locked"
        else:
            commit = locked.pin.commit
            cached = all(pinner.hub.is_cached(origin.repo, commit, file.path) for file in locked.pin.files)
            state = "cached" if cached else "not cached"
    elif isinstance(origin, PathOrigin):
        where, state = redacted(origin.path), _local_state(located, origin)
    else:
        where, state = origin.url.partition("?")[0], _url_state(pinner, origin)
    return SourceInfo(located.id, located.module, located.source.use, where, located.via, pin, state)


def _url_state(pinner: Pinner, origin: UrlOrigin) -> str:
    return "cached" if any((pinner.cache / "urls").glob(f"{origin.sha256}*")) else "not cached"


def _local_state(located: Located, origin: PathOrigin) -> str:
    try:
        found = list(find_files(origin, located.folder, confined=located.via == "module", place=located.place))
    except TeapotError:
        return "missing"
    return f"{len(found)} file{'s' if len(found) != 1 else ''}"


@dataclass(slots=True)
class Peek:
    """What ``teapot peek`` shows: a few lines as they would be written, and what was refused or filtered."""

    module: str
    lines: list[str] = field(default_factory=list)
    findings: list[Found] = field(default_factory=list)
    records: int = 0
    candidates: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    licenses: Mapping[str, int] = field(default_factory=dict)


def peek(project: Project, name: str, options: Options, *, rows: int = 3, limit: int | None = 1000, report: Report | None = None) -> Peek:
    """Read up to ``limit`` records of each source of a module and show what becomes of them.

    Raises:
        TeapotError: the module or its data cannot be had.
    """
    module = Registry(project).load(name)
    made = single_plan(project, module, options, report)
    if limit is None:
        return _whole(name, made)
    seen = look(made.modules[0], rows, limit)
    return Peek(
        name,
        seen.lines,
        seen.findings,
        seen.records,
        seen.candidates,
        dict(sorted(seen.dropped.items())),
        dict(sorted(seen.licenses.items())),
    )


def _whole(name: str, made: Plan) -> Peek:
    """Everything there is of a module, however much of it is bad."""
    tolerant = replace(made, config=replace(made.config, bad_rows=BadRows(share=Fraction(1))))
    with scratch_folder() as folder, Run(tolerant, Engine(), folder / "run") as run:
        scanned = run.scan()
    dropped = dict(sorted(scanned.drops[0].items()))
    return Peek(name, [], scanned.findings, sum(scanned.records[0]), scanned.candidates(0), dropped, scanned.licenses(0))


def single_plan(project: Project, module: Module, options: Options, report: Report | None = None) -> Plan:
    """A plan that reads one module alone, with no config and no lock."""
    use = ModuleUse(module.name, place=module.place)
    config = Config(name="peek", path=project.root / "peek.config", modules=(use,))
    registry = Registry(project)
    pinner = Pinner(offline=options.offline, timeout=options.timeout, report=report)
    pinned = pin_all(config, [module], Locations(registry, options.sources, options.environ), None, pinner, frozenset())
    lock, planned = lock_of(config, [module], pinned, None, options)
    return Plan(project, config, one_kind([module]), planned, lock, None, lock_path_of(config.path), ())


@dataclass(frozen=True, slots=True)
class Checked:
    """A module that ``validate module`` found in order; ``records`` is absent where its data was not read."""

    name: str
    records: int | None
    rows: int | None
    notes: tuple[str, ...] = ()


def check_modules(project: Project, names: Sequence[str], paths: Sequence[Path], *, data: bool, options: Options) -> list[Checked]:
    """Check declarations, and the data of modules that lie here entirely (``data``: of all).

    Raises:
        TeapotError: something is wrong; everything that is wrong with a declaration, or with any module's data, is listed.
    """
    registry = Registry(project)
    tried = Several()
    modules = _load_all(registry, names)
    files: dict[Path, Path] = {}
    for path in paths:
        with tried.trying():
            file = _module_file(path)
            files.setdefault(file.resolve(), file)
    for file in files.values():
        with tried.trying():
            modules.append(load_module_file(file))
    tried.raise_gravest()
    Locations(registry, options.sources, options.environ).locate(modules)
    checked = []
    for module in modules:
        with tried.trying():
            checked.append(check_module(project, module, data=data, options=options))
    tried.raise_gravest()
    return checked


def _module_file(path: Path) -> Path:
    file = path / "module.yaml" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(f"there is no module at '{shown(path)}'", hint="give a module's folder or its module.yaml")
    return file


def check_module(project: Project, module: Module, *, data: bool, options: Options) -> Checked:
    for source in module.sources:
        build_mapper(source.format or module.format, source.roles if source.roles is not None else module.roles)
        compile_filters((*module.filters, *source.filters))
    local = all(isinstance(source.origin, PathOrigin) for source in module.sources if source.use == "train")
    if not (data or local):
        return Checked(module.name, None, None, ("its data was not read (--data reads it)",))
    with scratch_folder() as folder, Run(single_plan(project, module, options), Engine(), folder / "run") as run:
        scanned = run.scan()
    records, rows = sum(scanned.records[0]), scanned.candidates(0)
    if not rows:
        raise DataError(f"module '{module.name}' has no rows", module.place, f"see 'teapot peek {module.name} --rejected'")
    expected = expected_records(module)
    notes = () if expected in (None, records) else (f"{records} records were read, but {expected} were expected ('examples:')",)
    return Checked(module.name, records, rows, notes)


def check_config(path: Path, options: Options) -> Config:
    """Check a config, the modules that it enables and where their sources live; nothing is fetched or read.

    Raises:
        ConfigError: everything that is wrong.
    """
    project = find_project(path, options.project)
    config = with_template(read_config(path, options.overrides), project)
    registry = Registry(project)
    modules = load_modules(config, registry)
    one_kind(modules)
    Locations(registry, options.sources, options.environ).locate(modules)
    return config
