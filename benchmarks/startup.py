"""What it takes until a command says something, against ``python -c pass``."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from pathlib import Path

from benchmarks.measure import run
from benchmarks.variants import PYTHON, ROOT, module

ROUNDS = 7


def demo(folder: Path) -> Path:
    """A copy of the bundled mix, so that its lock is not written into the checkout."""
    project = folder / "demo"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(ROOT / "modules/examples", project / "modules/examples")
    (project / "configs").mkdir()
    shutil.copy(ROOT / "configs/quickstart.config", project / "configs")
    return project


def commands(project: Path) -> dict[str, list[str]]:
    config = str(project / "configs/quickstart.config")
    return {
        "python -c pass": [PYTHON, "-c", "pass"],
        "teapot --help": module("teapot", "--help"),
        "teapot validate --help": module("teapot", "validate", "--help"),
        "teapot plan, the bundled mix": module("teapot", "plan", config),
        "teapot compose, the bundled mix": module("teapot", "compose", config, "-o", str(project / "train.jsonl")),
    }


def imports(project: Path) -> float:
    """Seconds that composing the bundled mix spends on imports, as ``-X importtime`` counts them."""
    command = [PYTHON, "-X", "importtime", *commands(project)["teapot compose, the bundled mix"][1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sum(int(found) for found in re.findall(r"^import time: +(\d+) \|", done.stderr, re.MULTILINE)) / 1e6


def measure(folder: Path, rounds: int = ROUNDS) -> dict[str, float]:
    """The median wall seconds of each command, in turns; and of the imports of composing the bundled mix."""
    project = demo(folder)
    walls: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, command in commands(project).items():
            walls.setdefault(name, []).append(run(command, ROOT, folder / "startup.log").wall)
    medians = {name: statistics.median(found) for name, found in walls.items()}
    return medians | {"imports": statistics.median(imports(project) for _ in range(min(3, rounds)))}
