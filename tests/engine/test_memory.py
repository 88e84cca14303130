"""Under a limit of the memory that is smaller than the data, the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import corpus, limited
from tests.helpers import ROOT

ROWS = 60_000
MEBIBYTES = 256
"""All processes together, and the files in the page cache: less than the input, the temporary files and the output take."""


def test_less_memory_than_data(tmp_path: Path) -> None:
    about = corpus.generate(ROWS, tmp_path / "corpus")
    assert 3 * about["size"] > MEBIBYTES << 20

    def sha256(name: str, *before: str) -> str:
        (tmp_path / "corpus/configs/mix.lock").unlink(missing_ok=True)
        out = tmp_path / name / "out.jsonl"
        out.parent.mkdir()
        words = ["compose", str(tmp_path / "corpus/configs/mix.config"), "-o", str(out), "--workers", "2", "--json"]
        done = subprocess.run([*before, sys.executable, "-m", "teapot", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == limited.CANNOT:
            pytest.skip(f"no memory limit was tried: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["sha256"])

    held = sha256("held", sys.executable, "-m", "benchmarks.limited", str(MEBIBYTES))
    assert held == sha256("free")
