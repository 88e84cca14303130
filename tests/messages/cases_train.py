"""``teapot train``: what the config, the data, the base model and the folder can be that it is not for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from teapot.cli import run
from teapot.errors import MAX_PROBLEMS, ConfigError, Problem
from teapot.verbs import rendering
from tests.hub.server import LocalHub
from tests.messages.bench import Bench
from tests.trainproject import CHATML, PAIRS, TrainProject, chats, pairs, say

ALLOWED = "license: {allowed: all}\n"


class Trainer:
    """The bench's project, composed, and ``teapot train`` in it."""

    def __init__(self, bench: Bench) -> None:
        bench.clear()
        self.bench = bench
        self.project = TrainProject(bench.project.root)
        self.project.tokenizer()

    def compose(self, rows: list[dict[str, Any]], *more: str, base: str = "model: tiny", training: str = "") -> None:
        self.project.fill(rows, *more)
        self.project.set(base, training, more=ALLOWED)
        (self.project.root / "configs/mix.lock").unlink(missing_ok=True)
        self.project.compose()

    def fails(self, code: int, *more: str, backend: str = "qlora-hf", data: str = "train-mix.jsonl") -> None:
        self.bench.run("train", "configs/mix.config", "--train-data", data, "--backend", backend, *more, code=code)

    def fine(self, *more: str) -> None:
        arguments = ["--train-data", "train-mix.jsonl", "--backend", "qlora-hf", "--quiet", *more]
        assert run(["train", "configs/mix.config", *arguments]) == 0


def asked(bench: Bench) -> None:
    """Backends, methods and keys."""
    trainer = Trainer(bench)
    trainer.compose(chats(3))
    trainer.fails(2, backend="qlora")
    trainer.fails(2, "--tokenizer", "none")
    trainer.fails(2, backend="dpo-hf")
    for base, training, more, backend in (
        ("", "", (), "qlora-hf"),
        ("model: tiny", "eval_steps: 3", (), "qlora-hf"),
        ("model: tiny, method: full", "", (), "qlora-hf"),
        ("model: tiny", "", ("--distributed", "fsdp"), "qlora-hf"),
        ("model: tiny, quantization: none", "", (), "qlora-hf"),
        ("model: tiny, revision: main", "", (), "qlora-hf"),
        ("model: ..", "", (), "qlora-hf"),
    ):
        trainer.project.set(base, training, more=ALLOWED)
        trainer.fails(2, *more, backend=backend)
    trainer.project.set(training="seed: 7", more=ALLOWED)
    trainer.fails(1)


def models(bench: Bench) -> None:
    """What ``auto`` finds."""
    trainer = Trainer(bench)
    trainer.compose(chats(3))
    write = trainer.project.write
    for text in ("{", "[1]", "{}"):
        write("tiny/tokenizer_config.json", text)
        trainer.fails(2)
    (trainer.project.root / "tiny/tokenizer_config.json").unlink()
    write("tiny/chat_template.jinja", "{{ bos_token }}" + CHATML)
    trainer.fails(2)


def hub(bench: Bench, server: LocalHub) -> None:
    trainer = Trainer(bench)
    trainer.compose(chats(3), base="model: org/big")
    trainer.fails(3, "--offline")
    trainer.fails(3, "--timeout", "0.3")
    server.create("models/org/big", gated=True)
    server.commit("models/org/big", {"tokenizer_config.json": "{}"})
    trainer.fails(3, "--timeout", "0.3")


def data(bench: Bench) -> None:
    """Lines that are not those of the manifest, or no rows to train on."""
    trainer = Trainer(bench)
    trainer.compose(chats(3))
    path = trainer.project.output("mix")
    right = path.read_bytes()
    path.write_bytes(right[:-1])
    trainer.fails(1)
    trainer.fails(1, "--no-validate")
    lines = (
        b"{",
        b"[1]",
        json.dumps({"id": "a", "messages": [say("user", "q"), say("assistant", "a", train=False)]}).encode(),
        json.dumps({"id": "a", **{side: [say("user", side), say("assistant", "a")] for side in ("chosen", "rejected")}}).encode(),
    )
    for line in lines:
        path.write_bytes((line + b"\n") * 30)
        trainer.fails(1, "--no-validate")
    path.write_bytes(b"x" * 3_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "MAX_LINE", 1_000_000)
        trainer.fails(1, "--no-validate")
    path.unlink()
    trainer.fails(1, "--no-validate", data="train-mix.manifest.json")
    (row,) = pairs(1)
    row["chosen"] = [say("assistant", "a"), say("user", "and?"), say("assistant", "b")]
    trainer.compose([row], PAIRS, base="model: tiny, method: lora")
    trainer.fails(1, backend="dpo-hf")


def runs(bench: Bench) -> None:
    """What is to be gone on with."""
    trainer = Trainer(bench)
    trainer.compose(chats(3))
    trainer.fails(1, "--resume")
    manifest = json.loads(_ran(trainer))["data"]["manifest"]
    for text in ("{", "[1]", "{}", json.dumps({"manifest": manifest, "recipe": ""})):
        trainer.project.write("output-mix/teapot.json", text)
        trainer.fails(1, "--resume")


def _ran(trainer: Trainer) -> bytes:
    trainer.fine()
    return (trainer.project.folder / "recipe.json").read_bytes()


def folders(bench: Bench) -> None:
    trainer = Trainer(bench)
    trainer.compose(chats(3))
    project = trainer.project
    project.write("train-mix/notes.txt", "mine")
    trainer.fails(4)
    Path("train-mix/notes.txt").unlink()
    project.write("train-mix.sh", "mine")
    trainer.fails(4)
    project.script.unlink()
    trainer.fine()
    project.write("train-mix/rows.py", "mine")
    trainer.fails(4)


def compressed(bench: Bench) -> None:
    """``render`` of a compressed file, which only its manifest knows."""
    trainer = Trainer(bench)
    trainer.compose(chats(3))
    trainer.project.set(more=ALLOWED + "output: {compression: zstd}\n")
    trainer.project.compose()
    bench.run("render", "train-mix.jsonl.zst", "--template", "chatml", "--row", "4", code=2)
    Path("train-mix.jsonl.zst").rename("train-mix-00000-of-00001.jsonl.zst")
    trainer.project.write("train-mix.jsonl.zst", "x")
    bench.run("render", "train-mix-00000-of-00001.jsonl.zst", "--template", "chatml", code=2)


def many(bench: Bench) -> None:
    """More problems than an error lists."""

    def fail() -> None:
        raise ConfigError([Problem("a key is wrong")] * (MAX_PROBLEMS + 2))

    bench.call(fail)


ALL = [asked, models, data, runs, folders, compressed, many]
