"""Copies of a checkout, and tests run in them. The checkout itself is only read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutants import guard

ONE_DAY = 86_400

COMPILER = (*(sysconfig.get_config_var("CC") or "cc").split(), "-DPy_LIMITED_API=0x030A0000")


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


def build(checkout: Path) -> None:
    """Build the compiled part of a copy, which has none otherwise.

    Raises:
        RuntimeError: there is none then.
    """
    include = sysconfig.get_path("include")
    command = [*COMPILER, "-shared", "-fPIC", "-O1", f"-I{include}", "teapot/engine/native/native.c", "-o", "teapot/engine/_native.abi3.so"]
    done = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout.decode("utf-8", "replace"))


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
