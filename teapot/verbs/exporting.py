"""What an export begins with: a model that was trained to its end, and the training folder and the manifest that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teapot.errors import CheckFailed, ConfigError, Place
from teapot.hashing import sha256_hex, sha256_stream
from teapot.jsondoc import Field
from teapot.jsontext import JsonError, decode
from teapot.manifest import Manifest, parse_manifest
from teapot.project import read_bytes, shown
from teapot.templates.render import MAX_TEMPLATE, ChatTemplate
from teapot.verbs.files import Files
from teapot.verbs.trainfolder import MAX_RECIPE, RECIPE

RECORD = "teapot.json"
TEMPLATE = "chat_template.jinja"
MAX_MANIFEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model. ``record`` is ``teapot.json``, ``recipe`` is ``recipe.json``; the digest is that of the manifest's file."""

    output: Path
    training: Path
    record: Mapping[str, Any]
    recipe: Mapping[str, Any]
    manifest: Manifest
    manifest_digest: str
    template: ChatTemplate

    @property
    def name(self) -> str:
        return str(self.recipe["name"])

    @property
    def end(self) -> str:
        """The token with which an answer ends."""
        return str(self.recipe["template"]["end"])


def find_trained(output: Path, training: Path | None = None, manifest: Path | None = None) -> Trained:
    """Read and check what belongs to ``output``, where the launcher put a model. The training folder and the manifest lie beside it, or where they are given.

    Raises:
        ConfigError: a folder or a file is not there.
        CheckFailed: the training has not ended, or a file is not the one that the model was trained with.
    """
    record = _record(output)
    training = training or output.parent / f"train-{output.name.removeprefix('output-')}"
    recipe = _recipe(training, record, output)
    _check_rows(training, recipe)
    found, digest = _manifest(output, manifest, record, recipe)
    return Trained(output, training, record.mapping(), recipe.mapping(), found, digest, _template(training, recipe))


def _document(path: Path, noun: str, hint: str) -> Field:
    try:
        return Field(decode(read_bytes(path, limit=MAX_RECIPE)), "", shown(path), noun, hint)
    except JsonError as error:
        raise CheckFailed(f"the {noun} is not JSON: {error.message}", Place(shown(path)), hint) from None


def _record(output: Path) -> Field:
    path = output / RECORD
    if not path.is_file():
        raise ConfigError(
            f"'{shown(output)}' holds no model that a launcher of Teapot trained: it has no {RECORD}",
            hint="give the folder output-NAME that 'bash train-NAME.sh' has made",
        )
    record = _document(path, "record of the training", "restore it, or train again")
    for key in ("manifest", "recipe"):
        record[key].sha256()
    state = record["state"].text()
    if state != "done":
        raise CheckFailed(
            f"the training has not ended: its state is '{state}'", Place(shown(path)), "go on with it: bash train-NAME.sh --resume"
        )
    return record


def _recipe(training: Path, record: Field, output: Path) -> Field:
    path = training / RECIPE
    if not path.is_file():
        hint = "give the folder train-NAME that the launcher came with by --training"
        raise ConfigError(f"there is no training folder '{shown(training)}' for '{shown(output)}'", hint=hint)
    if sha256_hex(read_bytes(path, limit=MAX_RECIPE)) != record["recipe"].value:
        raise CheckFailed(
            f"the recipe is not the one with which '{shown(output)}' was trained",
            Place(shown(path)),
            "restore the training folder, or give it with --training",
        )
    recipe = _document(path, "recipe", "run 'teapot train' again, and train")
    if recipe["recipe_version"].value != 1:
        recipe["recipe_version"].fail("is one that this Teapot does not know")
    return recipe


def _check_rows(training: Path, recipe: Field) -> None:
    """The rows are those of the recipe, so that the checks after the merge are made with what was trained on."""
    path = training / recipe["data"]["file"].text()
    try:
        with path.open("rb") as stream:
            digest = sha256_stream(stream)[1]
    except OSError as error:
        raise ConfigError(f"cannot read '{shown(path)}': {error.strerror}", hint="restore the training folder") from None
    if digest != recipe["data"]["sha256"].value:
        raise CheckFailed("the rows are not the ones that were trained on", Place(shown(path)), "restore the training folder")


def _manifest(output: Path, given: Path | None, record: Field, recipe: Field) -> tuple[Manifest, str]:
    path = given or Files(output.parent / recipe["data"]["source"].text()).manifest
    if not path.is_file():
        raise ConfigError(f"there is no manifest '{shown(path)}'", hint="give the manifest of the data that was trained on with --manifest")
    data = read_bytes(path, limit=MAX_MANIFEST)
    digest = sha256_hex(data)
    if digest != record["manifest"].value:
        raise CheckFailed(
            f"the manifest is not the one of the data that was trained on (sha256 {digest[:12]}, not {record['manifest'].value[:12]})",
            Place(shown(path)),
            "give that one with --manifest",
        )
    return parse_manifest(data, shown(path)), digest


def _template(training: Path, recipe: Field) -> ChatTemplate:
    path, told = training / TEMPLATE, recipe["template"]
    data = read_bytes(path, limit=MAX_TEMPLATE)
    if sha256_hex(data) != told["sha256"].value:
        raise CheckFailed("the chat template is not the one of the recipe", Place(shown(path)), "restore the training folder")
    return ChatTemplate(told["name"].text(), data, **{key: token.text() for key, token in told["tokens"].items()})
