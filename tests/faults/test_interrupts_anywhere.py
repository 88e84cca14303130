"""G16: an interrupt before any of Python's instructions between making something and removing it leaves nothing of it, and the earlier output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.anywhere import ALL
from tests.faults.report import EVERYTHING, Tally, proves
from tests.helpers import ROOT

PROVES = "G16"

STEP = 7
"""Of so many moments one is tried, unless all are asked for."""


@pytest.mark.parametrize(
    ("what", "number"), [*((what, signal.SIGINT) for what in ALL), ("staged", signal.SIGTERM), ("staged", signal.SIGHUP)]
)
@proves("G16", "an interrupt before every instruction of Python's")
def test_before_any_instruction(tmp_path: Path, tally: Tally, what: str, number: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    every = os.environ.get(EVERYTHING) == "all" and number == signal.SIGINT
    command = [sys.executable, "-m", "tests.faults.anywhere", what, str(home), str(int(number)), "1" if every else str(STEP)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["tried"] > 100
    for wrong in said["wrong"]:
        tally.case(wrong)
    tally.add(said["tried"] - len(said["wrong"]))
    tally.check()
