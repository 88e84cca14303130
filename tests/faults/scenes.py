"""The states and commands in which things go wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.faults.harness import Scene, Stem, scene
from tests.faults.tiny import chat, greetings, made_of

EDITED = "modules: {a/greet: true, b/count: 0.7}\nlicense: {allowed: [MIT, CC0-1.0]}\ntraining: {seed: 1}\n"
"""Another mix than the one that ``greetings`` makes."""

COMPOSE = ["compose", "configs/tiny.config"]
LOCK = "configs/tiny.lock"


def fresh(stem: Stem, root: Path) -> Scene:
    """Nothing was composed so far."""
    return scene(stem, greetings(root), COMPOSE, "train-tiny.jsonl", LOCK)


def replaced(stem: Stem, root: Path) -> Scene:
    """There is a set, and the config was edited since: output, ledger, lock and manifest all change."""
    made = made_of(greetings(root), "tiny")
    made.files.run.unlink()
    made.config.write_text(EDITED)
    return scene(stem, made.project, COMPOSE, "train-tiny.jsonl", LOCK)


def again(stem: Stem, root: Path) -> Scene:
    """There is a set, and it is composed again: the same bytes."""
    made = made_of(greetings(root), "tiny")
    made.files.run.unlink()
    return scene(stem, made.project, COMPOSE, "train-tiny.jsonl", LOCK)


def overridden(stem: Stem, root: Path) -> Scene:
    """A run with an override, whose own lock lies beside its output, in another folder than the project's set."""
    made = made_of(greetings(root), "tiny")
    (root / "out").mkdir()
    arguments = [*COMPOSE, "--set", "training.seed=7", "-o", "out/mine.jsonl"]
    return scene(stem, made.project, arguments, "out/mine.jsonl", "out/mine.lock")


def upgraded(stem: Stem, root: Path) -> Scene:
    """A source changed, and its pin is moved."""
    made = made_of(greetings(root), "tiny")
    made.project.jsonl("modules/b/count/n/2.jsonl", [chat("after 2?", "three", id="n2")])
    for path in (made.output, made.ledger, made.manifest, made.files.run):
        path.unlink()
    return scene(stem, made.project, ["lock", "configs/tiny.config", "--upgrade"], None, LOCK)


def packed(stem: Stem, root: Path, before: str, after: str) -> Scene:
    """There is a set, and its output is to be in other files now: ``before`` and ``after`` are what the config says of ``output``."""
    project = greetings(root)
    project.config("tiny", f"{EDITED}output: {before}\n")
    made_of(project, "tiny").files.run.unlink()
    project.config("tiny", f"{EDITED.replace('seed: 1', 'seed: 2')}output: {after}\n")
    names = ["train-tiny.ledger.parquet", "train-tiny.manifest.json", LOCK]
    return Scene(stem, project, [*COMPOSE, "-q"], root / "train-tiny.jsonl", ["train-tiny*.jsonl*", *names])


def apart(stem: Stem, root: Path) -> Scene:
    """Temporary files go to a folder of their own; the config was edited since there was a set."""
    made = made_of(greetings(root), "tiny")
    (root / "tmp").mkdir()
    made.files.run.unlink()
    made.config.write_text(EDITED)
    return scene(stem, made.project, [*COMPOSE, "--tmp-dir", "tmp"], "train-tiny.jsonl", LOCK)


def elsewhere(stem: Stem, root: Path) -> Scene:
    """The set lies in a folder of its own, and the config was edited since."""
    made = made_of(greetings(root), "tiny")
    out = root / "out"
    out.mkdir()
    for path in (made.output, made.ledger, made.manifest):
        shutil.move(path, out / path.name)
    made.files.run.unlink()
    made.config.write_text(EDITED)
    return scene(stem, made.project, [*COMPOSE, "-o", "out/train-tiny.jsonl"], "out/train-tiny.jsonl", LOCK)
