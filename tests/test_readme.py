"""The README's console blocks are run, in order, in one copy of the project, and must print what stands there.

TEAPOT_UPDATE_SNAPSHOTS=1 writes what they print into the README.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("configs", "modules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.lock"))
    return tmp_path


def environment(tmp_path: Path) -> dict[str, str]:
    shim = tmp_path / "bin"
    shim.mkdir()
    command = shim / "teapot"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m teapot "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def run_block(block: str, folder: Path, env: dict[str, str]) -> str:
    shown = []
    for line in block.splitlines():
        if line.startswith("$ "):
            done = subprocess.run(
                line[2:], shell=True, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            shown.append(line)
            shown += [text.rstrip() for text in done.stdout.splitlines()]
    return "\n".join(shown) + "\n"


def test_console_blocks_print_what_they_say(copy: Path) -> None:
    text = README.read_text()
    env = environment(copy)
    blocks = CONSOLE.findall(text)
    assert len(blocks) >= 3
    for block in blocks:
        now = run_block(block, copy, env)
        if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
            text = text.replace(f"```console\n{block}```", f"```console\n{now}```")
        else:
            assert now == block
    if os.environ.get("TEAPOT_UPDATE_SNAPSHOTS"):
        README.write_text(text)


def test_the_python_example_runs(copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = PYTHON.findall(README.read_text())
    monkeypatch.chdir(copy)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(copy / "cache"))
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=copy, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("262 ")
    assert done.stdout.splitlines()[1] == "assistant"


def test_the_shown_config_is_the_shipped_one() -> None:
    shown = re.search(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    shipped = (ROOT / "configs" / "quickstart.config").read_text()
    bare = [re.sub(r"\s+#.*$", "", line) for line in shipped.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert shown is not None
    assert shown[1].splitlines() == bare
