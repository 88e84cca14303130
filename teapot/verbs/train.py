"""``teapot train``: a launcher, and a folder with everything that it needs, for the rows of one output."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from teapot.checking import nearest
from teapot.checks.output import Effort
from teapot.engine.planning import Options, read_config
from teapot.errors import CheckFailed, ConfigError, Place, Problem, Problems
from teapot.hashing import sha256_hex
from teapot.jsontext import JsonError, decode
from teapot.manifest import Manifest
from teapot.model import Config, Json
from teapot.progress import Progress, quiet
from teapot.project import Project, find_project, read_bytes, shown
from teapot.settings import config_settings
from teapot.templatefile import project_template, with_template
from teapot.templates.names import AUTO
from teapot.templates.render import ChatTemplate
from teapot.training.backends import BACKENDS
from teapot.training.backends.base import NO_ADAPTER, Backend
from teapot.training.estimate import Estimate, estimate
from teapot.training.launcher import launcher
from teapot.training.recipe import Data, Distributed, Method, Recipe, Template, recipe_of
from teapot.verbs.basemodel import BaseModel, base_model, own_template, with_tokens
from teapot.verbs.files import Files
from teapot.verbs.places import mark_of, output_path, refuse_bytes
from teapot.verbs.rendering import RenderedRows, end_token, reading, render_rows
from teapot.verbs.trainfolder import MAX_RECIPE, RECIPE, ROWS, TrainPlaces, nowhere, room, write_folder
from teapot.verbs.validate import Report, content_of, read_manifest, validate

RECORD = "teapot.json"
"""What the scripts write beside the model."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. ``train_data`` is where compose puts the config's output, unless it is said. ``tokenizer`` is a folder with the
    base model's tokenizer, for a machine that has it elsewhere.
    """

    train_data: Path | None
    backend: str
    tokenizer: Path | None = None
    devices: int = 1
    distributed: Distributed = "none"
    no_validate: bool = False
    lock: Path | None = None
    resume: bool = False
    force: bool = False
    dry_run: bool = False

    @property
    def data(self) -> Path:
        assert self.train_data is not None
        return self.train_data


@dataclass(frozen=True, slots=True)
class Launch:
    """What was written, or with ``dry_run`` would be."""

    recipe: Recipe
    estimate: Estimate
    script: Path
    folder: Path
    files: tuple[str, ...]
    report: Report | None
    notes: tuple[str, ...] = field(default=())


def train(config_path: Path, options: Options, wanted: Wanted, effort: Effort | None = None, progress: Progress = quiet) -> Launch:
    """Check the data, render its rows, and write the launcher into the current folder.

    Raises:
        ConfigError: the backend is unknown or cannot do what the config says, or the config is not the one of the data.
        CheckFailed: the data does not validate, or a run that is to be gone on with was begun with other data.
        DataError: rows cannot be rendered with proved spans.
        SourceUnavailable: the base model's template is asked for and cannot be had.
        OutputError: the folder cannot be written, or holds what somebody edited.
        BusyError: another run is writing it.
    """
    project = find_project(config_path, options.project)
    config = with_template(read_config(config_path, options.overrides), project)
    backend = _backend(wanted.backend)
    method = _settle(config, backend, wanted)
    name = config.name + mark_of(config)
    refuse_bytes(name)
    places = TrainPlaces.of(name)
    if wanted.train_data is None:
        wanted = replace(wanted, train_data=Files.of(output_path(replace(config, overrides=()), None)).manifest)
    manifest, report = _manifest(config, backend, wanted, options, effort or Effort(), progress)
    begun = _begun(places, manifest) if wanted.resume else None
    base = base_model(config, project, wanted.tokenizer, options)
    template = _template(config, project, base)
    recipe = _recipe(name, config, base, _data(manifest, wanted), template, wanted, method)
    _refuse(config, backend.problems(recipe))
    of_model = base.config()
    with reading(shown(wanted.data)):
        content = content_of(Files.of(wanted.data), manifest.outputs[0])
    with room(places, dry_run=wanted.dry_run, force=wanted.force) as staging:
        with staging.open(places.folder / ROWS) if staging else nowhere() as out:
            rendered = render_rows(content, manifest, template, out, progress)
        recipe = replace(recipe, data=_data(manifest, wanted, rendered))
        made = _files(recipe, backend, template)
        digest = sha256_hex(made[RECIPE])
        if begun is not None:
            _refuse_other_recipe(places, begun, digest)
        if staging:
            text = launcher(recipe, backend.steps(recipe), digest)
            inputs = (config.path, wanted.data)
            write_folder(staging, places, made, rendered.sha256, text, inputs, force=wanted.force)
    notes = tuple(_notes(recipe, config, rendered, base, places, wanted))
    return Launch(recipe, estimate(recipe, of_model), places.script, places.folder, tuple(sorted([*made, ROWS])), report, notes)


# ---------------------------------------------------------------- what is asked


def _backend(name: str) -> Backend:
    if name not in BACKENDS:
        near = nearest(name, tuple(BACKENDS))
        guess = f"; did you mean '{near}'?" if near else ""
        raise ConfigError(f"there is no backend '{name}'{guess}", Place("--backend"), f"write one of: {', '.join(BACKENDS)}")
    return BACKENDS[name]


def _settle(config: Config, backend: Backend, wanted: Wanted) -> Method:
    """The method, once every key that the config sets is one that the backend honours."""
    traits, place = backend.traits, Place(shown(config.path))
    problems = Problems()
    if config.base.model is None:
        problems.add("the config names no base model", place, "write base: {model: ORG/NAME}")
    method = cast("Method", config.base.method or traits.methods[0])
    refuses = {**(NO_ADAPTER if method == "full" else {}), **traits.refuses}
    for key in config.training.settings:
        if key in refuses:
            problems.add(f"the backend '{traits.name}' cannot honour 'training.{key}': {refuses[key]}", place, "remove the key")
    if method not in traits.methods:
        able = [name for name, other in BACKENDS.items() if method in other.traits.methods and other.traits.kind == traits.kind]
        hint = f"write base: {{method: {traits.methods[0]}}}" + (f", or use --backend {able[0]}" if able else "")
        problems.add(f"the backend '{traits.name}' cannot train with the method '{method}'", place, hint)
    if wanted.distributed not in traits.distributed:
        problems.add(
            f"the backend '{traits.name}' has no --distributed {wanted.distributed}", Place("--distributed"), "use --backend full-hf"
        )
    problems.raise_as(ConfigError)
    return method


def _refuse(config: Config, messages: tuple[str, ...]) -> None:
    problems = Problems()
    for message in messages:
        problems.add(message, Place(shown(config.path)))
    problems.raise_as(ConfigError)


def _manifest(
    config: Config, backend: Backend, wanted: Wanted, options: Options, effort: Effort, progress: Progress
) -> tuple[Manifest, Report | None]:
    """The manifest of the data, once it is shown that config and backend are for it; and how it was validated."""
    files = Files.of(wanted.data)

    def fits(manifest: Manifest) -> Manifest:
        _refuse_other_config(config, manifest, files)
        _refuse_kind(manifest, backend, wanted)
        return manifest

    manifest = fits(read_manifest(wanted.data, files))
    if wanted.no_validate:
        return manifest, None
    report = validate(wanted.data, lock=wanted.lock, project=options.project, effort=effort, progress=progress)
    if not report.ok or report.manifest is None:
        hint = "nothing was written; compose again, or look at it with 'teapot validate compose'"
        raise CheckFailed([*report.all_problems(), Problem("the data does not validate", Place(shown(wanted.data)), hint)])
    return fits(report.manifest), report


def _refuse_other_config(config: Config, manifest: Manifest, files: Files) -> None:
    """The data must have been composed from this config, as it is now."""
    now = config_settings(config)
    if now == manifest.settings:
        return
    differ = sorted(key for key in {*now, *manifest.settings} if now.get(key) != manifest.settings.get(key))
    raise CheckFailed(
        f"the data was composed with another {' and another '.join(differ)} than the config says now",
        Place(shown(config.path)),
        f"compose again, or give the config that '{shown(files.manifest)}' names",
    )


def _refuse_kind(manifest: Manifest, backend: Backend, wanted: Wanted) -> None:
    if manifest.kind != backend.traits.kind:
        able = [name for name, other in BACKENDS.items() if other.traits.kind == manifest.kind]
        hint = f"use --backend {able[0]}" if able else "chat and preference rows can be trained on"
        message = f"the backend '{backend.traits.name}' trains on {backend.traits.kind} rows, and these are {manifest.kind} rows"
        raise ConfigError(message, Place(shown(wanted.data)), hint)


def _template(config: Config, project: Project, base: BaseModel) -> ChatTemplate:
    """The template of the config; ``auto`` is the base model's own."""
    name = config.training.chat_template
    if name == AUTO:
        return own_template(base)
    template = project_template(name, project, Place(shown(config.path)))
    return with_tokens(template, base) if template.missing else template


# ---------------------------------------------------------------- what is written


def _recipe(name: str, config: Config, base: BaseModel, data: Data, template: ChatTemplate, wanted: Wanted, method: Method) -> Recipe:
    return recipe_of(
        name,
        wanted.backend,
        replace(config.base, model=base.model, revision=base.revision),
        config.training,
        data,
        Template(config.training.chat_template, template.sha256, end_token(template), template.tokens),
        method=method,
        devices=wanted.devices,
        distributed=wanted.distributed,
    )


NOTHING_YET = RenderedRows("", 0, 0, 0, 0)


def _data(manifest: Manifest, wanted: Wanted, rendered: RenderedRows = NOTHING_YET) -> Data:
    entry = manifest.outputs[0]
    return Data(
        file=ROWS,
        sha256=rendered.sha256,
        rows=rendered.rows or entry.rows,
        kind="preference" if manifest.kind == "preference" else "chat",
        chars=rendered.chars,
        trained_chars=rendered.trained_chars,
        source=entry.file,
        source_sha256=entry.sha256,
        manifest=manifest.digest(),
        validated=not wanted.no_validate,
    )


def _files(recipe: Recipe, backend: Backend, template: ChatTemplate) -> dict[str, bytes]:
    """Everything in the folder but the rows. The recipe names the SHA-256 of each, so that an edit is noticed before it is lost."""
    made = dict(backend.files(recipe))
    made["chat_template.jinja"] = template.source.encode()
    made["requirements.txt"] = "".join(f"{one}\n" for one in _requirements(recipe, backend)).encode()
    for name in backend.traits.scripts:
        text = pkgutil.get_data("teapot", f"scripts/{name}")
        assert text is not None
        made[name] = text
    value = recipe.value() | {"files": {name: sha256_hex(data) for name, data in sorted(made.items())}}
    made[RECIPE] = (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return made


def _requirements(recipe: Recipe, backend: Backend) -> tuple[str, ...]:
    from teapot.training.backends.hf import DEEPSPEED

    return (*backend.traits.requirements, *((DEEPSPEED,) if recipe.distributed == "zero3" else ()))


# ---------------------------------------------------------------- the run that was begun


def _begun(places: TrainPlaces, manifest: Manifest) -> Mapping[str, Json]:
    """The record of the run that is to be gone on with, which must be of the same manifest."""
    record = places.output / RECORD
    if not record.is_file():
        raise CheckFailed(f"there is no run to go on with in '{shown(places.output)}'", hint="train without --resume")
    begun = _record(record)
    if begun.get("manifest") != manifest.digest():
        hint = "train into another folder, or restore the data that it was begun with"
        raise CheckFailed("the run was begun with another manifest", Place(shown(record)), hint)
    return begun


def _record(path: Path) -> Mapping[str, Json]:
    hint = "restore it, or train into another folder"
    try:
        found = decode(read_bytes(path, limit=MAX_RECIPE))
    except JsonError as error:
        raise CheckFailed(f"the record of the run cannot be read: {error.message}", Place(shown(path)), hint) from None
    if not isinstance(found, Mapping):
        raise CheckFailed("the record of the run is not an object", Place(shown(path)), hint)
    return found


def _refuse_other_recipe(places: TrainPlaces, begun: Mapping[str, Json], digest: str) -> None:
    if begun.get("recipe") != digest:
        hint = "restore the config and the versions that it was begun with, or go on with the launcher as it is"
        raise CheckFailed("the run was begun with another recipe", Place(shown(places.output / RECORD)), hint)


def _notes(recipe: Recipe, config: Config, rendered: RenderedRows, base: BaseModel, places: TrainPlaces, wanted: Wanted) -> Iterator[str]:
    if not recipe.data.validated:
        yield "the data was not validated (--no-validate); the launcher says so"
    if rendered.forgetful:
        yield f"the template leaves out reasoning of {rendered.forgetful} rows, as it does when the model answers"
    if recipe.max_steps is not None and "epochs" in config.training.settings:
        yield "'training.max_steps' decides how long is trained; 'training.epochs' is not used"
    if not base.is_fixed:
        said = f"the revision '{base.revision}' of the base model may move" if base.revision else "the base model has no revision"
        yield f"{said}: write a commit as base.revision, so that the same weights are trained next time"
    if not wanted.resume and (places.output / RECORD).is_file():
        yield f"'{shown(places.output)}' holds a run already; the launcher goes on with it only with --resume, and never writes over it"
