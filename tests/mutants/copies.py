"""Copies of a checkout, and tests run in them. The checkout itself is only read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutants import guard

ONE_DAY = 86_400


class Ran(NamedTuple):
    """How pytest ended: its exit code, or ``guard.HANG``, and what it printed."""

    code: int
    said: str


def copy_checkout(root: Path, target: Path) -> Path:
    """What git knows of a checkout, or would: with changes and new files, without what it ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, stdout=subprocess.PIPE, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


def write(path: Path, text: str) -> None:
    """Write a source file so that no bytecode of another text is ever taken for it: bytecode goes by times in whole seconds, and by sizes."""
    before = path.stat().st_mtime
    path.write_text(text, encoding="utf-8")
    os.utime(path, (before + ONE_DAY, before + ONE_DAY))


def run_tests(checkout: Path, tests: Sequence[str], folder: Path, seconds: float, *options: str) -> Ran:
    """Run tests in a copy; temporary files go into ``folder``. What they start takes its modules from the copy too."""
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEAPOT_", "COV", "PYTEST_", "HF_"))}
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 't'}", *options, *tests]
    done = subprocess.run(
        [sys.executable, str(Path(guard.__file__)), str(seconds), *pytest],
        cwd=checkout,
        env={**kept, "PYTHONPATH": str(checkout), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))
