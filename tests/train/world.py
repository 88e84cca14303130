"""A project with a composed file and a tiny base model, and launchers that are really run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from teapot.cli import group

REPOSITORY = Path(__file__).resolve().parents[2]
TOPICS = ("tea", "coffee", "the kettle", "a chasen", "Größe", "茶", "чай", "🍵 cups")
IGNORED = -100


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: make test-train")


def chats() -> Iterator[dict[str, Any]]:
    for number in range(24):
        topic = TOPICS[number % len(TOPICS)]
        yield {
            "messages": [
                *([{"role": "system", "content": "Answer briefly."}] if number % 3 == 0 else []),
                {"role": "user", "content": f"What of {topic}, part {number}?"},
                {"role": "assistant", "content": f"Of {topic} this:\n\n\tpart {number}."},
                {"role": "user", "content": "More?"},
                {"role": "assistant", "content": "No more."},
            ]
        }


def thoughts() -> Iterator[dict[str, Any]]:
    for number, row in enumerate(chats()):
        if number % 2:
            row["messages"][-1]["reasoning_content"] = f"They ask again; {number} is enough."
        yield row


def pairs() -> Iterator[dict[str, Any]]:
    for number in range(16):
        topic = TOPICS[number % len(TOPICS)]
        yield {
            "prompt": [{"role": "user", "content": f"What of {topic}, part {number}?"}],
            "chosen": [{"role": "assistant", "content": f"Of {topic}: part {number}."}],
            "rejected": [{"role": "assistant", "content": "I would rather not say."}],
        }


def teapot(*words: str) -> None:
    done = CliRunner().invoke(group, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@dataclass(frozen=True)
class World:
    """``root`` is the project and the current folder."""

    root: Path
    template: str

    def config(self, name: str, base: str, training: str) -> Path:
        path = self.root / "configs" / f"{name}.config"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"base: {{model: tiny, {base}}}\nmodules: {{local/data: true}}\n"
            f"training: {{chat_template: {self.template}, precision: fp32, batch_size: 4, gradient_accumulation: 1, logging_steps: 1, max_length: 512, {training}}}\n"
        )
        return path

    def data(self, rows: Iterator[dict[str, Any]], form: str = "messages") -> None:
        folder = self.root / "modules/local/data"
        folder.mkdir(parents=True)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        (folder / "module.yaml").write_text(
            "name: local/data\nversion: '1'\ndescription: Made up.\nlicense: CC0-1.0\nmaintainer: nobody\n"
            f"data: {{sources: [{{id: made-up, path: rows.jsonl}}], format: {form}}}\n"
        )

    def train(self, name: str, backend: str, *more: str) -> None:
        teapot("compose", f"configs/{name}.config")
        teapot("train", f"configs/{name}.config", "--train-data", f"train-{name}.jsonl", "--backend", backend, *more)

    def launch(self, name: str, *arguments: str, python: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the launcher, with every batch written down."""
        wrapper = self.root / "python"
        wrapper.write_text(f'#!/bin/sh\nexec "{python or sys.executable}" "{REPOSITORY}/tests/train/watch.py" "$@"\n')
        wrapper.chmod(0o755)
        environment = os.environ | {
            "PYTHON": str(wrapper),
            "WATCHED": str(self.watched(name)),
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        done = subprocess.run(
            ["bash", f"train-{name}.sh", *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode == 0 and (report := os.environ.get("TRAINED")):
            self._tell(name, Path(report))
        return done

    def _tell(self, name: str, report: Path) -> None:
        """A line for :mod:`tests.train.table`."""
        recipe = json.loads((self.root / f"train-{name}/recipe.json").read_text(encoding="utf-8"))
        kept = {key: recipe[key] for key in ("backend", "method", "quantization", "precision", "packing", "long_rows")}
        with report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(kept | {"record": self.record(name)}) + "\n")

    def watched(self, name: str) -> Path:
        return self.root / f"watched-{name}.jsonl"

    def batches(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.watched(name).read_text().splitlines()]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / f"train-{name}/rows.jsonl").read_text(encoding="utf-8").splitlines()]

    def record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / f"output-{name}/teapot.json").read_text())
        return found

    def decode(self, ids: list[int]) -> str:
        from tokenizers import Tokenizer

        text: str = Tokenizer.from_file(str(self.root / "tiny/tokenizer.json")).decode(ids, skip_special_tokens=False)
        return text

    def learned(self, labels: list[list[int]]) -> list[str]:
        """What a batch of labels says, row by row."""
        return [self.decode([one for one in row if one != IGNORED]) for row in labels]


def make_world(root: Path, template: str, monkeypatch: pytest.MonkeyPatch) -> World:
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.tiny", str(root / "tiny"), template],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(root)
    return World(root, template)
