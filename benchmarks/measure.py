"""Run a command and say what it took: wall time, CPU time, the peak of any of its processes, and the peak of all together."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.05
"""Seconds between two looks at the processes' memory."""

SHARE = 0.1
"""The looking takes at most this share of the time: a look walks the pages of every process, which is not free for one of many gigabytes."""

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds and MiB. ``peak`` is the resident set of the largest process, ``together`` the proportional set of all of them at the worst look."""

    wall: float
    cpu: float
    peak: float
    together: float
    processes: int
    looks: int


class Failed(RuntimeError):
    """The command did not end with 0; the text is the end of what it said."""


def run(command: list[str], folder: Path, log: Path, environment: dict[str, str] | None = None) -> Taken:
    """Run ``command`` in ``folder``; what it prints goes to ``log`` (standard output) and to ``log`` with ``.err`` appended.

    Raises:
        Failed: it did not end with 0.
    """
    errors = log.with_name(log.name + ".err")
    with log.open("wb") as out, errors.open("wb") as err:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        watch = Watch(child.pid)
        watch.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        watch.stop()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        said = "".join(path.read_text(encoding="utf-8", errors="replace")[-600:] for path in (errors, log))
        raise Failed(f"{' '.join(command[:6])} ended with {child.returncode}: {said}")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child starts out with its parent's: no answer if it is not larger
    peak = max(watch.peak, usage.ru_maxrss / 1024 if usage.ru_maxrss > own else 0.0)
    return Taken(wall, usage.ru_utime + usage.ru_stime, peak, watch.together, watch.most, watch.looks)


class Watch(threading.Thread):
    """Looks at a process and its descendants until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.ended = threading.Event()
        self.peak = self.together = 0.0
        self.most = self.looks = 0

    def run(self) -> None:
        pause = 0.0
        while not self.ended.wait(pause):
            start = time.perf_counter()
            self.look()
            took = time.perf_counter() - start
            pause = max(EVERY, took / SHARE)

    def look(self) -> None:
        found = [memory for pid in family(self.pid) if (memory := memory_of(pid)) is not None]
        self.looks += 1
        self.most = max(self.most, len(found))
        self.peak = max([self.peak, *(resident for resident, _ in found)])
        self.together = max(self.together, sum(shared for _, shared in found))

    def stop(self) -> None:
        self.ended.set()
        self.join()


def family(pid: int) -> list[int]:
    """A process and all of its descendants that run now."""
    found = [pid]
    for one in found:
        try:
            for task in (PROC / str(one) / "task").iterdir():
                found.extend(int(child) for child in (task / "children").read_text().split())
        except OSError:  # it has just ended
            continue
    return found


def memory_of(pid: int) -> tuple[float, float] | None:
    """The resident and the proportional set of a process in MiB; None if it has just ended."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    values = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    if "Pss:" not in values:
        return None
    return values["Rss:"] / 1024, values["Pss:"] / 1024
