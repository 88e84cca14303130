"""Run a command in a memory control group of its own: its processes and the files that they have in the page cache together get so much and no more.

    python -m benchmarks.limited MIB COMMAND...

Ends with the command's code, or with 77 where no group can be made. Linux, cgroup v1 or v2; it needs the right to make a group (as root, or delegated).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CANNOT = 77
ROOT = Path("/sys/fs/cgroup")


class NoGroup(Exception):
    """No group can be made here; the text says why."""


@contextmanager
def group(mebibytes: int) -> Iterator[Path]:
    """A new group below this process's own; removed at the end.

    Raises:
        NoGroup: the system has none, or does not let us.
    """
    parent, limit = _own()
    made = parent / f"teapot-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        raise NoGroup(f"cannot make a control group: {error.strerror}") from None
    try:
        try:
            (made / limit).write_text(str(mebibytes << 20))
        except OSError as error:
            raise NoGroup(f"cannot limit the memory of a control group: {error.strerror}") from None
        yield made
    finally:
        made.rmdir()


def _own() -> tuple[Path, str]:
    """The group of this process, and the name of its limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        raise NoGroup("the system has no control groups") from None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return ROOT / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            return ROOT / path.lstrip("/"), "memory.max"
    raise NoGroup("the system has no control group for memory")


def run(mebibytes: int, command: list[str]) -> int:
    """Run ``command`` within a limit; the answer is how it ended."""
    with group(mebibytes) as place:
        code = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execvp(sys.argv[2], sys.argv[2:])"
        return subprocess.call([sys.executable, "-c", code, str(place / "cgroup.procs"), *command])


if __name__ == "__main__":
    try:
        sys.exit(run(int(sys.argv[1]), sys.argv[2:]))
    except NoGroup as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT)
