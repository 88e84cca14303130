"""Runs a command for so many seconds at most, and leaves none of its processes behind: ``python guard.py SECONDS COMMAND…``.

A mutant may be that children are left behind, so orphans become this program's own (prctl(2), PR_SET_CHILD_SUBREAPER), which ends them. It ends with the
code of the command, or with 124 where the time ran out.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

HANG = 124
_PR_SET_CHILD_SUBREAPER = 36


def main(seconds: float, command: Sequence[str]) -> int:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):  # elsewhere what leaves its session is left behind
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGHUP):  # a shell's background job is told to ignore these, and what it starts would be too
        signal.signal(number, signal.SIG_DFL)
    process = subprocess.Popen(command)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return HANG
    finally:
        while found := list(_children()):  # what one of them leaves behind is a child of ours in the next turn
            for child in found:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(child, 0)


def _children() -> Iterator[int]:
    """By /proc/PID/stat, proc(5): behind the name, which stands in parentheses, come the state and the parent."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                yield int(stat.parent.name)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
