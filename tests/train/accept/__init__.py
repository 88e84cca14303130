"""Trainers with configuration files of their own: what they say of a file, and runs of their launchers in their environments."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from teapot.training.backends.base import Backend
from teapot.training.recipe import Recipe
from tests.train.world import REPOSITORY, World

HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parent / "goldens"
ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "apertus-think": "<|assistant_end|>"}


def python_of(backend: str) -> Path:
    """Where ``make test-train`` puts the trainer's environment."""
    return REPOSITORY / "build" / f"{backend}-venv" / "bin" / "python"


def needs_env(backend: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not python_of(backend).exists(), reason=f"needs build/{backend}-venv: make test-train")


def golden(backend: Backend, case: str, recipe: Recipe) -> None:
    """The files and the commands, as text. TEAPOT_UPDATE_SNAPSHOTS=1 writes them."""
    assert backend.problems(recipe) == ()
    parts = [f"==> {name}\n{data.decode()}" for name, data in backend.files(recipe).items()]
    text = "".join(parts) + "==> commands\n" + "".join(" ".join(step) + "\n" for step in backend.steps(recipe))
    path = GOLDENS / f"{backend.traits.name}-{case}.txt"
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def seen(backend: Backend, recipes: dict[str, Recipe], folder: Path) -> dict[str, dict[str, Any]]:
    """What the trainer itself makes of the files, by the names of the recipes."""
    paths = []
    for case, recipe in recipes.items():
        assert backend.problems(recipe) == ()
        ((name, data),) = backend.files(recipe).items()
        paths.append(folder / f"{case}-{name}")
        paths[-1].write_bytes(data)
    done = subprocess.run(
        [python_of(backend.traits.name), HERE / f"see_{backend.traits.name}.py", *paths],
        cwd=folder,
        env=os.environ | {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return dict(zip(recipes, found, strict=True))


def launch(world: World, backend: str, *arguments: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run the launcher of the config ``mix`` with the trainer's own Python, every batch written down."""
    wrapper = world.root / "python"
    wrapper.write_text(f'#!/bin/sh\nexec "{python_of(backend)}" "{HERE}/watched.py" "$@"\n')
    wrapper.chmod(0o755)
    told = {"PYTHON": str(wrapper), "WATCHED": str(world.watched("mix")), "MORE": more, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        ["bash", "train-mix.sh", *arguments],
        cwd=world.root,
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode == 0 and (report := os.environ.get("TRAINED")):
        world._tell("mix", Path(report))
    return done


def finish(world: World, backend: str) -> subprocess.CompletedProcess[str]:
    """The launcher's last command alone."""
    return subprocess.run(
        [python_of(backend), "train-mix/tokens.py", "--done"], cwd=world.root, capture_output=True, text=True, timeout=600, check=False
    )


def expected(world: World) -> list[str]:
    """What is trained on in one epoch, a row each."""
    return sorted("".join(row["text"][start:stop] for start, stop in row["spans"]) for row in world.rows("mix"))


def said(world: World, first: int = 0) -> list[str]:
    """What the labels say that reached the model, from a batch on."""
    return sorted(text for batch in world.batches("mix")[first:] for text in world.learned(batch["labels"]))


def trained_well(world: World, epochs: int) -> None:
    """The labels of every epoch are what the assistant says, with its end token, and nothing else; the loss falls; the model has what serving needs."""
    assert said(world) == sorted(expected(world) * epochs)
    assert all(text.endswith(ENDS[world.template]) for text in said(world))
    record = world.record("mix")
    assert record["state"] == "done" and record["loss"]["last"] < record["loss"]["first"]
    out = world.root / "output-mix"
    assert (out / "chat_template.jinja").read_bytes() == (world.root / "train-mix/chat_template.jinja").read_bytes()
    ends = json.loads((out / "generation_config.json").read_text())["eos_token_id"]
    assert world.decode([ends[0] if isinstance(ends, list) else ends]) == ENDS[world.template]
