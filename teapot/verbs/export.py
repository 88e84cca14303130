"""``teapot export``: a trained model as one, in the forms that servers take, with what says where it comes from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teapot.errors import OutputError
from teapot.export.card import card
from teapot.export.ollama import Pieces, is_said, modelfile, pieces_of, probes_of
from teapot.export.serving import serve_script
from teapot.hashing import sha256_stream
from teapot.jsondoc import document_bytes
from teapot.progress import Progress, Tick, quiet
from teapot.project import followed, shown
from teapot.verbs.exporting import TEMPLATE, Trained, find_trained
from teapot.verbs.exporting_place import EXPORT, new_folder
from teapot.verbs.exporting_tools import (
    RESULT,
    Tools,
    check_quantization,
    find_converter,
    find_python,
    find_quantizer,
)
from teapot.writer import scratch_folder, writing

MERGED = "merged"
KINDS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
"""The converter's names for the types in which models are stored: nothing is lost."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. ``gguf`` is a path or ``auto``; a quantization asks for GGUF too."""

    output: Path
    target: Path | None = None
    training: Path | None = None
    manifest: Path | None = None
    gguf: str | None = None
    quantize: str | None = None
    python: str | None = None
    force: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made. ``logits`` are the figures of the comparison: largest difference, tolerance, and how far an adapter moves them."""

    folder: Path
    trained: Trained
    model: str
    files: Mapping[str, Mapping[str, Any]]
    checks: tuple[tuple[str, str], ...]
    logits: Mapping[str, float | None]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be run, found before anything runs."""

    tools: Tools
    converter: Path | None
    quantize: str | None
    quantizer: str | None


def export(wanted: Wanted, progress: Progress = quiet, environ: Mapping[str, str] | None = None) -> Exported:
    """Merge, convert and describe a trained model, into a folder that is there as a whole or not at all.

    Raises:
        ConfigError: something that is needed is not there, or the command line is wrong.
        CheckFailed: the model was not trained to its end, something is not what it was trained with, or what was made does not do what was trained.
        OutputError: the folder is there, or cannot be written.
        BusyError: another run writes it.
    """
    environ = os.environ if environ is None else environ
    trained = find_trained(wanted.output, wanted.training, wanted.manifest)
    target = wanted.target or Path(f"export-{trained.name}")
    _refuse_inside(target, trained)
    plan = _plan(wanted, trained, environ)
    with new_folder(target.absolute(), force=wanted.force) as folder, scratch_folder() as scratch:
        progress(Tick("merge", 0, 0, 0.0))
        merged = plan.tools.script("merge.py", scratch, *_absolute(trained.training, trained.output), folder / MERGED, RESULT)
        checks = list(_merge_checks(trained, merged))
        model, first, notes = MERGED, merged["first"], list[str]()
        if plan.converter is not None:
            progress(Tick("convert", 0, 0, 0.4))
            names = _convert(plan, trained, folder, merged["dtype"])
            progress(Tick("check", 0, 0, 0.7))
            chats = scratch / "chats.json"
            chats.write_text(json.dumps(probes_of(trained.template)), encoding="utf-8")
            made = [folder / name for name in names]
            training = trained.training.absolute()
            found = plan.tools.script("check_gguf.py", scratch, training, folder / MERGED, RESULT, chats, plan.converter.parent, *made)
            checks += _gguf_checks(trained, found)
            model = names[-1]
            first = found["first"]
            notes += _rendering_notes(trained, found["rendered"])
        notes += _describe(folder, trained, model, first)
        progress(Tick("hash", 0, 0, 0.9))
        files = _hash(folder)
        with writing(folder / EXPORT):
            (folder / EXPORT).write_bytes(document_bytes(_record(trained, model, files, checks)))
    logits = {key: merged[key] for key in ("difference", "tolerance", "effect")}
    return Exported(target, trained, model, files, tuple(checks), logits, tuple(notes))


def _absolute(*paths: Path) -> tuple[Path, ...]:
    return tuple(path.absolute() for path in paths)


def _refuse_inside(target: Path, trained: Trained) -> None:
    """Nothing is written into what is read."""
    for folder in (trained.output, trained.training):
        if followed(target).is_relative_to(followed(folder)):
            raise OutputError(f"'{shown(target)}' lies in '{shown(folder)}', which is read", hint="write elsewhere with -o")


def _plan(wanted: Wanted, trained: Trained, environ: Mapping[str, str]) -> _Plan:
    quantize = check_quantization(wanted.quantize) if wanted.quantize is not None else None
    gguf = wanted.gguf if wanted.gguf is not None or quantize is None else "auto"
    converter = None if gguf is None else find_converter(gguf, environ)
    quantizer = find_quantizer(converter, environ) if converter is not None and quantize not in (None, "Q8_0") else None
    given = dict(environ) | ({"HF_HUB_OFFLINE": "1"} if wanted.offline else {})
    tools = Tools(
        find_python(wanted.python, sys.executable, environ),
        trained.training.absolute().parent,
        given | {"TOKENIZERS_PARALLELISM": "false"},
        shown(trained.training / "requirements.txt"),
    )
    return _Plan(tools, converter, quantize, quantizer)


def _convert(plan: _Plan, trained: Trained, folder: Path, dtype: str) -> list[str]:
    """The names of the GGUF files: the model as it is, and where that is asked for the quantised one."""
    assert plan.converter is not None
    names = ["model.gguf"]
    plan.tools.convert(plan.converter, folder / MERGED, folder / names[0], KINDS[dtype], trained.name)
    if plan.quantize is not None:
        names.append(f"model-{plan.quantize}.gguf")
        if plan.quantizer is None:
            plan.tools.convert(plan.converter, folder / MERGED, folder / names[1], plan.quantize.lower(), trained.name)
        else:
            plan.tools.quantize(plan.quantizer, folder / names[0], folder / names[1], plan.quantize)
    return names


def _merge_checks(trained: Trained, merged: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "tokens", f"the saved tokenizer gives the {merged['tokens']:,} tokens of {merged['rows']:,} rows that were trained on"
    what = "the trained weights" if trained.recipe["lora"] is None else "the base model with its adapter"
    yield "logits", f"the saved model gives those of {what}, for {merged['probe_tokens']} tokens, as exactly as {merged['dtype']} can"
    yield "template", "the saved chat template is the one of the training, byte for byte"
    yield "end", f"the saved model stops at '{trained.end}'"


def _gguf_checks(trained: Trained, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, counts in found["files"].items():
        yield (
            f"{name} tokens",
            f"llama.cpp gives the tokenizer's {counts['tokens']:,} tokens for {counts['texts']:,} rendered prompts and rows",
        )
        yield f"{name} template", "the chat template is the one of the training, byte for byte"
        yield f"{name} end", f"an answer ends with '{trained.end}'"


def _rendering_notes(trained: Trained, rendered: int) -> Iterator[str]:
    """llama.cpp reads the template with a Jinja of its own."""
    chats = len(probes_of(trained.template))
    if rendered < chats:
        yield f"llama.cpp makes another prompt than the training of {chats - rendered} of {chats} plain chats with this template"
    if not chats:
        yield "the template writes today's date, or refuses plain chats, so that llama.cpp's prompts are not compared with the training's"


def _describe(folder: Path, trained: Trained, model: str, first: str | None) -> list[str]:
    """Write what servers and readers need; what is worth knowing about it."""
    context = int(trained.recipe["max_length"])
    pieces: Pieces | None = pieces_of(trained.template)
    if pieces is not None and first:
        pieces = pieces.without(first)
    ollama = modelfile(model, pieces, trained.end, context)
    texts = {
        "Modelfile": ollama,
        "MODEL_CARD.md": card(trained.manifest, trained.manifest_digest, trained.recipe, trained.record),
        TEMPLATE: trained.template.source.encode(),
    }
    if model != MERGED:
        texts["serve.sh"] = serve_script(model, trained.name, context)
    for name, data in texts.items():
        with writing(folder / name):
            (folder / name).write_bytes(data)
    return [] if is_said(ollama) else ["the chat template cannot be said in Ollama's language, and the Modelfile says so"]


def _hash(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file, by its path in the folder."""
    found = {}
    for path in sorted((one for one in folder.rglob("*") if one.is_file()), key=lambda one: one.relative_to(folder).as_posix().encode()):
        with writing(path), path.open("rb") as stream:
            size, digest = sha256_stream(stream)
        found[path.relative_to(folder).as_posix()] = {"size": size, "sha256": digest}
    return found


def _record(trained: Trained, model: str, files: Mapping[str, Any], checks: list[tuple[str, str]]) -> dict[str, Any]:
    """What ``export.json`` holds: nothing of it changes with the day, the machine or the folder."""
    recipe = trained.recipe
    return {
        "export_version": 1,
        "name": trained.name,
        "model": model,
        "manifest": trained.manifest_digest,
        "recipe": trained.record["recipe"],
        "base": {"model": recipe["model"], "revision": recipe["revision"]},
        "template": {"sha256": trained.template.sha256, "end": trained.end},
        "checks": [{"name": name, "covered": covered} for name, covered in checks],
        "files": dict(files),
    }
