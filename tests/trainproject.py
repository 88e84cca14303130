"""A small project with a composed file and a tokenizer's folder: what the tests of ``teapot train`` start from."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from teapot.cli import run
from teapot.templates.names import template_bytes
from teapot.training.recipe import Data, Lora, Recipe, Template
from tests.helpers import Project

NAME = "mix"
MODULE = "data:\n  sources: [{id: rows, path: rows.jsonl}]\n  format: messages\n"
PAIRS = "data:\n  sources: [{id: rows, path: rows.jsonl}]\n  format: preference\n"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def say(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def chats(count: int = 20) -> list[dict[str, Any]]:
    return [{"messages": [say("user", f"What of {number}?"), say("assistant", f"This of {number}: 茶.")]} for number in range(count)]


def pairs(count: int = 8) -> list[dict[str, Any]]:
    return [
        {"prompt": [say("user", f"What of {number}?")], "chosen": [say("assistant", "So.")], "rejected": [say("assistant", "No.")]}
        for number in range(count)
    ]


class TrainProject(Project):
    """``base`` and ``training`` are lines of the config inside braces. Commands run in this process, which must stand in the project."""

    def fill(self, rows: Iterable[Any], module: str = MODULE) -> None:
        self.module("local/data", module)
        self.jsonl("modules/local/data/rows.jsonl", rows)

    def set(self, base: str = "model: tiny", training: str = "", name: str = NAME, more: str = "") -> Path:
        return self.config(name, f"base: {{{base}}}\nmodules: {{local/data: true}}\ntraining: {{{training}}}\n{more}")

    def tokenizer(self, folder: str = "tiny", **config: Any) -> Path:
        said = {"chat_template": CHATML, "bos_token": None, "eos_token": "<|im_end|>", **config}
        return self.write(f"{folder}/tokenizer_config.json", json.dumps(said)).parent

    def compose(self, name: str = NAME, *more: str) -> None:
        assert run(["compose", f"configs/{name}.config", "--workers", "1", "--quiet", *more]) == 0

    def train(self, *more: str, name: str = NAME, backend: str = "qlora-hf", data: str | None = None) -> int:
        return run(["train", f"configs/{name}.config", "--train-data", data or f"train-{name}.jsonl", "--backend", backend, *more])

    @property
    def folder(self) -> Path:
        return self.root / f"train-{NAME}"

    @property
    def script(self) -> Path:
        return self.root / f"train-{NAME}.sh"

    def recipe(self, name: str = NAME) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / f"train-{name}/recipe.json").read_bytes())
        return found

    def rendered(self, name: str = NAME) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / f"train-{name}/rows.jsonl").read_bytes().splitlines()]


def rows_script(folder: Path) -> ModuleType:
    """The folder's ``rows.py``, as a module. What it does at the top needs no library."""
    spec = importlib.util.spec_from_file_location("rows_of_a_folder", folder / "rows.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def recipe(**changed: Any) -> Recipe:
    """A recipe, whole; ``changed`` replaces values."""
    name = changed.get("name", NAME)
    values: dict[str, Any] = {
        "name": name,
        "backend": "qlora-hf",
        "model": "org/model-8B",
        "revision": "0" * 40,
        "method": "qlora",
        "quantization": "nf4",
        "epochs": 3,
        "max_steps": None,
        "learning_rate": 2e-4,
        "lora": Lora(64, 128, 0.05, "all-linear"),
        "batch_size": 2,
        "gradient_accumulation": 8,
        "devices": 1,
        "distributed": "none",
        "max_length": 4096,
        "long_rows": "error",
        "warmup_ratio": 0.05,
        "weight_decay": 0.0,
        "lr_scheduler": "cosine",
        "optimizer": "adamw_torch",
        "precision": "bf16",
        "packing": False,
        "save_steps": None,
        "logging_steps": 10,
        "beta": None,
        "seed": 42,
        "include_reasoning": True,
        "data": Data("rows.jsonl", "1" * 64, 3346, "chat", 1000, 400, f"train-{name}.jsonl", "2" * 64, "3" * 64, True),
        "template": Template("chatml", "4" * 64, "<|im_end|>", {}),
    }
    return Recipe(**(values | changed))


def template_of(name: str) -> str:
    return template_bytes(name).decode()


Values = Mapping[str, Any]
