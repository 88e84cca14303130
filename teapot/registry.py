"""The modules of a project: finding them, loading them, and where their sources live."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from teapot.errors import ConfigError, Place, Problem
from teapot.model import NAME_PATTERN, HubOrigin, Module, Origin, PathOrigin, Source
from teapot.modules import parse_module
from teapot.project import SOURCES_FILE, Project, inside, read_bytes, read_text, shown
from teapot.sourcesfile import parse_sources

MODULE_FILE = "module.yaml"
ENV_PREFIX = "TEAPOT_SOURCE_"
MAX_GUESSES = 20
"""For how many unknown modules the nearest name is looked for: among ten thousand that takes a moment."""
Via = Literal["module", "--source", "environment", "teapot.sources.yaml"]


@dataclass(frozen=True, slots=True)
class Located:
    """A source and where it lives. ``folder`` is what a relative path starts from; ``via`` is who said so."""

    module: str
    source: Source
    origin: Origin
    via: Via
    folder: Path
    place: Place | None

    @property
    def id(self) -> str:
        return self.source.id

    @property
    def asked(self) -> Origin:
        """What the lock calls ``original``: a local stand-in for a source does not change what the module asks for."""
        if self.via == "module" or isinstance(self.origin, HubOrigin):
            return self.origin
        return self.source.origin


class Registry:
    """The modules of one project, loaded when asked for."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = project.root / "modules"
        self._loaded: dict[str, Module] = {}
        self._guesses = 0

    def names(self) -> list[str]:
        """The names of all modules of the project, sorted."""
        if not self.folder.is_dir():
            return []
        found = (path.parent.relative_to(self.folder).as_posix() for path in self.folder.glob(f"*/*/{MODULE_FILE}"))
        return sorted(found, key=str.encode)

    def load(self, name: str, place: Place | None = None) -> Module:
        """The declaration of a module.

        Raises:
            ConfigError: there is no such module, or its declaration is wrong.
        """
        if name not in self._loaded:
            self._loaded[name] = self._read(name, place)
        return self._loaded[name]

    def _read(self, name: str, place: Place | None) -> Module:
        folder = self.folder / name
        if not re.fullmatch(f"{NAME_PATTERN}/{NAME_PATTERN}", name) or not (folder / MODULE_FILE).exists():
            self._guesses += 1
            near = difflib.get_close_matches(name, self.names(), n=1) if self._guesses <= MAX_GUESSES else []
            hint = f"did you mean '{near[0]}'?" if near else f"modules live in '{shown(self.folder)}'; 'teapot modules' lists them"
            raise ConfigError(f"there is no module '{name}'", place, hint)
        path = inside(self.project.root, f"modules/{name}/{MODULE_FILE}", place)
        return load_module_file(path)

    def all(self) -> list[Module]:
        return [self.load(name) for name in self.names()]


def load_module_file(path: Path) -> Module:
    """The declaration in a ``module.yaml``; its folder is where it lies."""
    folder = path.parent.resolve()

    def read_file(name: str, place: Place) -> bytes:
        return read_bytes(inside(folder, name, place), place)

    return parse_module(read_text(path), shown(path), folder=folder, read_file=read_file)


class Locations:
    """Where sources live: ``--source`` > the environment > ``teapot.sources.yaml`` > the module's own word."""

    def __init__(self, registry: Registry, given: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        self.registry = registry
        self.given = _given(given)
        values = os.environ if environ is None else environ
        self.environ = {key[len(ENV_PREFIX) :]: value for key, value in values.items() if key.startswith(ENV_PREFIX)}
        path = registry.project.root / SOURCES_FILE
        self.file = parse_sources(read_text(path), shown(path)) if path.exists() else {}

    def locate(self, modules: Iterable[Module]) -> list[Located]:
        """Every source of these modules, evaluation sources too, with where it lives.

        Raises:
            ConfigError: an id means two places, or a location is given for an id that no module of the project has.
        """
        listed = list(modules)
        self._check_ids(listed)
        self._check_unique(listed)
        return [self._locate(module, source) for module in listed for source in module.sources]

    def _locate(self, module: Module, source: Source) -> Located:
        root = self.registry.project.root
        if source.id in self.given:
            place = Place(f"--source {source.id}")
            return Located(module.name, source, local_or_hub(self.given[source.id]), "--source", Path.cwd(), place)
        if (variable := env_name(source.id)) in self.environ:
            place = Place(ENV_PREFIX + variable)
            return Located(module.name, source, local_or_hub(self.environ[variable]), "environment", Path.cwd(), place)
        if source.id in self.file:
            location = self.file[source.id]
            origin = location.origin
            if isinstance(origin, PathOrigin):
                origin = replace(origin, path=str(Path(origin.path).expanduser()))
            return Located(module.name, source, origin, "teapot.sources.yaml", root, location.place)
        return Located(module.name, source, source.origin, "module", module.folder or root, source.place)

    def _check_ids(self, modules: Sequence[Module]) -> None:
        """A location for an unknown id is a misspelling, and would otherwise do nothing."""
        known = {source.id for module in modules for source in module.sources}
        wanted: list[tuple[str, Place]] = [(name, Place(f"--source {name}")) for name in self.given if name not in known]
        wanted += [(name, Place(SOURCES_FILE)) for name in self.file if name not in known]
        variables = {env_name(name): name for name in known}
        strange = [name for name in self.environ if name not in variables]
        if not wanted and not strange:
            return
        everywhere = known | {source.id for module in self.registry.all() for source in module.sources}
        problems = []
        for name, place in wanted:
            if name not in everywhere:
                problems.append(unknown_source(name, self.file[name].place if place.file == SOURCES_FILE else place, everywhere))
            elif place.file.startswith("--source"):
                hint = "enable its module in the config, or leave the option out"
                problems.append(Problem(f"source '{name}' belongs to no module that is enabled", place, hint))
        names = {env_name(name) for name in everywhere}
        problems += [unknown_source(name, Place(ENV_PREFIX + name), names) for name in strange if name not in names]
        if problems:
            raise ConfigError(problems)

    def _check_unique(self, modules: Sequence[Module]) -> None:
        seen: dict[str, Source] = {}
        variables: dict[str, str] = {}
        for module in modules:
            for source in module.sources:
                other = seen.setdefault(source.id, source)
                if other is not source and (other.origin != source.origin or isinstance(source.origin, PathOrigin)):
                    raise ConfigError(
                        f"the source id '{source.id}' means two places: here, and at {other.place}",
                        source.place,
                        "give one of them another id: an id means one place in the whole project",
                    )
                owner = variables.setdefault(env_name(source.id), source.id)
                if owner != source.id and env_name(source.id) in self.environ:
                    raise ConfigError(
                        f"{ENV_PREFIX}{env_name(source.id)} could mean '{owner}' or '{source.id}'",
                        hint="use --source, or teapot.sources.yaml",
                    )


def unknown_source(name: str, place: Place | None, known: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return Problem(f"no module here has a source '{name}'", place, f"did you mean '{near[0]}'?" if near else "'teapot sources' lists them")


def _given(assignments: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, path in map(split_assignment, assignments):
        if found.setdefault(name, path) != path:
            raise ConfigError(f"the source '{name}' is given twice: '{found[name]}' and '{path}'", Place("--source"), "keep one of the two")
    return found


def split_assignment(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ConfigError(f"'{text}' is not ID=PATH", Place("--source"), "for example --source gsm8k-train=data/gsm8k.jsonl")
    return name, path


def env_name(name: str) -> str:
    """The part of the environment variable behind the prefix: upper case, with ``_`` for ``-`` and ``.``."""
    return re.sub("[-.]", "_", name.upper())


def local_or_hub(text: str) -> Origin:
    """A location from the command line or the environment is a path, whatever it holds."""
    return PathOrigin(str(Path(text).expanduser()))
