"""Runs the command line in a process of its own and says how much memory that took: ``python -m tests.faults.measured ARGUMENTS``."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.helpers import ROOT

MIB = 2**20


class Measured(NamedTuple):
    """``peak`` is in bytes, of this process alone."""

    code: int
    out: str
    said: str
    peak: int


def measured(arguments: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300) -> Measured:
    """``teapot ARGUMENTS`` in ``cwd``; after ``timeout`` seconds it hangs, and is ended."""
    import os

    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.measured", *arguments],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **(env or {})}, stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", timeout=timeout, check=False,
    )  # fmt: skip
    said, _, peak = done.stderr.rpartition("\npeak ")
    return Measured(done.returncode, done.stdout, said, int(peak))


def main() -> int:
    from teapot.cli import run

    code = run(sys.argv[1:])
    status = Path("/proc/self/status").read_text()
    # not what getrusage says: that counts what was there before this program began
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    sys.stderr.write(f"\npeak {int(found[1]) * 1024}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
