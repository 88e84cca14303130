"""Runs every target under the coverage-guided fuzzer: ``python -m tests.fuzz.all RUNS JOBS [TARGET…]``, as ``make fuzz`` does.

What is found to be new ground is kept below ``build/fuzz/corpus`` for the next run; an input that shows a defect lies in ``build/fuzz`` and is named at the
end.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.targets import TARGETS

KEPT = Path(__file__).with_name("corpus")
BUILD = Path("build/fuzz")
LIMITS = ("-timeout=30", "-rss_limit_mb=1024", "-max_len=3000")
"""Of one input: seconds, and memory in MiB; and its length."""


class Ran(NamedTuple):
    """What came of one target. ``failed`` is the end of what the fuzzer said, if it found something."""

    name: str
    runs: int
    seconds: float
    corpus: int
    failed: str | None


def fuzz(name: str, runs: int) -> Ran:
    """Run a target until so many executions are done, or one shows a defect."""
    found = BUILD / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", name, f"-runs={runs}", *LIMITS, "-print_final_stats=1", "-verbosity=0",
         f"-artifact_prefix={BUILD}/{name}-", str(found), str(KEPT / name)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    said = done.stdout.decode("utf-8", "replace")
    count = re.search(r"number_of_executed_units: (\d+)", said)
    failed = None if done.returncode == 0 else f"exit code {done.returncode}\n{said[-3000:]}"
    return Ran(name, int(count[1]) if count else 0, time.monotonic() - started, len(list(found.iterdir())), failed)


def main(runs: int, jobs: int, names: Sequence[str]) -> int:
    """How many targets failed, as an exit code."""
    whole = sum(TARGETS[name].share for name in names)
    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(lambda name: fuzz(name, max(runs * TARGETS[name].share // whole, 1)), names))
    lines = [f"{'target':<14}{'executions':>12}{'a second':>10}{'corpus':>8}"]
    lines += [f"{one.name:<14}{one.runs:>12,}{one.runs / one.seconds:>10,.0f}{one.corpus:>8,}" for one in done]
    lines.append(f"{'all':<14}{sum(one.runs for one in done):>12,}")
    lines += [f"\n{one.name}: {one.failed}" for one in done if one.failed]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if any(one.failed for one in done) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or list(TARGETS)))
