"""A process that has everything imported and forks a copy of itself for each case: ``python -m tests.faults.stem``. With ``--plain`` it forks none.

It reads a JSON list of cases a line (:func:`child` says what a case may hold) and answers with a list: of each the exit code or ``-signal``, how many
calls were counted, what it said, and the trace. Interpreters would take half a second to start; a fork takes milliseconds.
"""

from __future__ import annotations

import base64
import gc
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.faults.shim import Fault, Shim, install

HANG = 120
"""Seconds after which a case is ended: it hangs."""


def warm() -> None:
    """Import what a compose imports, and compose once, so that no case has to."""
    from teapot.cli import run
    from tests.faults.tiny import greetings

    with tempfile.TemporaryDirectory() as folder:
        project = greetings(Path(folder) / "warm")
        os.chdir(project.root)
        for arguments in (["compose", "configs/tiny.config", "-q"], ["lock", "configs/tiny.config", "-q", "--upgrade"]):
            assert run(arguments) == 0
        assert run(["validate", "compose", "train-tiny.jsonl", "-q"]) == 0
        assert run(["compose", "nothing"]) == 2  # what tells of errors is imported for the first of them
        os.chdir("/")


def child(job: dict[str, Any], files: Files) -> NoReturn:
    """One case: the command with its fault, and the end of this process.

    ``limit`` is the size in bytes beyond which no file can grow, ``handles`` how many can be open, ``user`` whose rights it has; ``delay`` waits so many
    seconds, and ``kill`` sends it ``signal`` (SIGKILL) after so many.
    """
    from teapot.cli import run

    signal.alarm(HANG)
    gc.disable()
    os.dup2(files.out.fileno(), 1)
    os.dup2(files.said.fileno(), 2)
    os.chdir(job["root"])
    events: list[Any] = []
    fault = Fault(**job["fault"]) if job.get("fault") else None
    _restrict(job)
    time.sleep(job.get("delay", 0))
    if "kill" in job:
        threading.Thread(target=_kill_after, args=(job["kill"], job.get("signal", signal.SIGKILL)), daemon=True).start()
    shim = Shim(job["root"], fault, files.shared, _noter(events) if job.get("trace") else None)
    install(shim)
    code = run(job["arguments"])
    shim.root = "/dev/null"
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if job.get("trace"):
        files.trace.write(json.dumps(events).encode())
        files.trace.flush()
    os._exit(code)


def _restrict(job: dict[str, Any]) -> None:
    if "limit" in job:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    if "handles" in job:
        resource.setrlimit(resource.RLIMIT_NOFILE, (job["handles"], job["handles"]))
    if "user" in job:
        os.setgroups([])
        os.setgid(job["user"])
        os.setuid(job["user"])


def _kill_after(seconds: float, number: int) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), number)


def _noter(events: list[Any]) -> Callable[[str, str], None]:
    """Keeps each call with what is in its file, or for a folder sync with the names and inodes of the folder's files."""

    def note(kind: str, path: str) -> None:
        what: Any = None
        place = Path(path)
        if kind == "fsync" and place.is_dir():
            what = {entry.name: entry.inode() for entry in os.scandir(place) if entry.is_file()}
        elif kind in ("fsync", "rename") and place.is_file():
            what = [place.stat().st_ino, base64.b64encode(place.read_bytes()).decode()]
        events.append([kind, path, what])

    return note


class Files:
    """Where a case leaves what it has to say; it outlives the case's process."""

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, 8)
        self.out, self.said, self.trace = (tempfile.TemporaryFile() for _ in range(3))  # noqa: SIM115

    def answer(self, status: int) -> dict[str, Any]:
        for stream in (self.out, self.said, self.trace):
            stream.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "count": struct.unpack("<q", self.shared[:8])[0],
            "out": self.out.read().decode("utf-8", "replace"),
            "said": self.said.read().decode("utf-8", "replace"),
            "trace": json.loads(self.trace.read() or b"[]"),
        }

    def close(self) -> None:
        for stream in (self.out, self.said, self.trace):
            stream.close()


def run_cases(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fork a process for each, which all begin when the last is there."""
    ready, go = os.pipe()
    running = []
    for job in jobs:
        files = Files()
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.read(ready, 1)  # until the last writer closes it
            os.close(ready)
            child(job, files)
        running.append((pid, files))
    os.close(go)
    os.close(ready)
    answers = []
    for pid, files in running:
        answers.append(files.answer(os.waitpid(pid, 0)[1]))
        files.close()
    return answers


def run_here(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same without a fork, one after the other, and without any fault."""
    from teapot.cli import run

    answers = []
    before = os.dup(1), os.dup(2)
    for job in jobs:
        files = Files()
        os.dup2(files.out.fileno(), 1)
        os.dup2(files.said.fileno(), 2)
        os.chdir(job["root"])
        signal.alarm(HANG)
        code = run(job["arguments"])
        signal.alarm(0)
        for number, stream in enumerate((sys.stdout, sys.stderr), 1):
            stream.flush()
            os.dup2(before[number - 1], number)
        os.chdir("/")
        answers.append(files.answer(code << 8))
        files.close()
    for handle in before:
        os.close(handle)
    return answers


def serve(plain: bool = False) -> None:
    answers = os.fdopen(os.dup(1), "w")
    warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks where a library has threads of its own
    os.dup2(2, 1)  # nothing else may reach the answers
    warm()
    if not plain:
        gc.collect()
        gc.freeze()  # what is not looked at need not be copied
    for line in sys.stdin:
        jobs = json.loads(line)
        answers.write(json.dumps(run_here(jobs) if plain else run_cases(jobs)) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve("--plain" in sys.argv)
