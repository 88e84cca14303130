"""Small projects in a temporary folder, and the command line run as its users run it: in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

CARD = """\
base:
  model: meta-llama/Llama-3.1-8B-Instruct
  method: qlora
  quantization: nf4
modules:
  safety/consequence: true            # 3,196 secular conversational examples
  capability/reward-evaluator: true   # 503 examples, weighted 0.3 -> 150
training:
  epochs: 3
  learning_rate: 2e-4
  lora_r: 64
  lora_alpha: 128
  chat_template: auto
  include_reasoning: true
  seed: 42
  weights:
    safety/consequence: 1.0
    capability/reward-evaluator: 0.3
"""
"""The published card's config, as it stands there."""
"""The checkout."""

Done = subprocess.CompletedProcess[str]
"""A finished run: ``returncode``, ``stdout`` and ``stderr``."""


def run_cli(args: Iterable[str | Path], cwd: Path, env: Mapping[str, str | None] | None = None) -> Done:
    """Run ``python -m teapot ARGS`` in ``cwd``. ``env`` goes over this process's environment; ``None`` there removes a name."""
    environ: dict[str, str | None] = {**os.environ, **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "teapot", *map(str, args)],
        cwd=cwd,
        env={name: value for name, value in environ.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def succeeds(done: Done) -> Done:
    """The run itself, which must have ended well; a failure shows what it said."""
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def fails(done: Done, code: int) -> str:
    """What a run said on stderr that must have failed with ``code``, and without a traceback."""
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr and "a bug in Teapot" not in done.stderr
    return done.stderr


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of an output, parsed. Split at newlines alone: other line separators occur inside text."""
    return [json.loads(line) for line in path.read_bytes().removesuffix(b"\n").split(b"\n")]


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below ``folder``, with the SHA-256 of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def use_datasets_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let ``datasets`` keep what it loads in ``folder``. It reads the environment only once, when it is imported, so that alone would not do."""
    import datasets

    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)


class Project:
    """A project folder that a test fills as it goes. ``root`` is also where its commands run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(parents=True, exist_ok=True)

    def write(self, path: str, data: str | bytes) -> Path:
        """A file of the project, with the folders that it needs."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def module(self, name: str, yaml_text: str, files: Mapping[str, str | bytes] | None = None) -> Path:
        """``modules/NAME/module.yaml`` with this text, and ``files`` beside it; the answer is the module's folder.

        A text that does not begin with ``name:`` gets the name, and ``license: MIT`` unless it states one.
        """
        if not yaml_text.startswith("name:"):
            stated = any(line.startswith("license:") for line in yaml_text.splitlines())
            yaml_text = f"name: {name}\n" + ("" if stated else "license: MIT\n") + yaml_text
        for path, data in (files or {}).items():
            self.write(f"modules/{name}/{path}", data)
        return self.write(f"modules/{name}/module.yaml", yaml_text).parent

    def config(self, name: str, text: str) -> Path:
        """``configs/NAME.config`` with this text."""
        return self.write(f"configs/{name}.config", text)

    def jsonl(self, path: str, rows: Iterable[Any]) -> Path:
        """A file of JSON lines."""
        return self.write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def cli(self, *args: str | Path, env: Mapping[str, str | None] | None = None) -> Done:
        """Run the command line in the project's folder."""
        return run_cli(args, self.root, env)

    def output(self, config: str) -> Path:
        """Where ``configs/NAME.config`` is composed to by default."""
        return self.root / f"train-{config}.jsonl"

    def manifest(self, config: str) -> dict[str, Any]:
        """The manifest of that output, parsed."""
        value: dict[str, Any] = json.loads((self.root / f"train-{config}.manifest.json").read_bytes())
        return value
