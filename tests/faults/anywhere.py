"""A program that does one thing over and over, and is interrupted at another of Python's instructions each time: ``anywhere.py WHAT FOLDER SIGNAL STEP``.

It prints how many moments it tried and what was wrong after which of them, as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from teapot import interrupts, writer
from teapot.cli import Ending, Terminated
from teapot.sources import prepare
from teapot.verbs import exporting_place

TRACED = {module.__file__ for module in (interrupts, writer, contextlib, tempfile, prepare, exporting_place)}
"""Elsewhere nothing is made; and in shutil every interrupt has to wait."""


WAIT = 3000
"""Milliseconds after which an interrupt is taken to be lost."""


ENOUGH = 5
"""After so many wrong moments no more are tried."""


class Interrupter:
    """Traces Python's instructions, and sends ``number`` to this process before the k-th of them."""

    def __init__(self, moment: int, number: int) -> None:
        self.moment = moment
        self.number = number
        self.seen = 0

    def __call__(self, frame: FrameType, _event: str, _arg: Any) -> Interrupter | None:
        if frame.f_code.co_filename not in TRACED:
            return None
        frame.f_trace_opcodes = True
        self.seen += 1
        if self.seen == self.moment:
            os.kill(os.getpid(), self.number)
            time.sleep(0)  # here at the latest it is raised, if it does not have to wait
        return self


def scratch(home: Path) -> None:
    tempfile.tempdir = None  # so that it is looked for anew
    with writer.scratch_folder() as folder:
        (folder / "file").write_bytes(b"")
    assert home == folder.parent


def scratch_file(home: Path) -> None:
    with writer.scratch_file(home, "new-") as file:
        file.write(b"new")
        file.close()
        Path(file.name).replace(home / "output")


def staged(home: Path) -> None:
    place = home / "output"
    with writer.held(place), writer.staged("x", [place]) as staging:
        with staging.folder(place) as folder:
            folder.mkdir()
            (folder / "file").write_bytes(b"")
        staging.write(place, b"new")
        staging.commit()


def prepared(home: Path) -> None:
    with prepare._working_folder(home) as folder:
        (folder / "file").write_bytes(b"")


def exported(home: Path) -> None:
    with exporting_place.new_folder(home / "export", force=True) as folder:
        (folder / "export.json").write_bytes(b"new")


ALL: dict[str, Callable[[Path], None]] = {one.__name__: one for one in (scratch, scratch_file, staged, prepared, exported)}


def wrong_in(home: Path) -> str | None:
    """What should not be there, or is there no longer."""
    output, export = home / "output", home / "export"
    names = {path.name for path in home.iterdir()}
    if names != {"output", "export"}:
        return f"{names}"
    if output.read_bytes() not in (b"old", b"new") or (export / "export.json").read_bytes() not in (b"old", b"new"):
        return "the earlier output is not what it was"
    return None


def interrupted(work: Callable[[Path], None], home: Path, moment: int, number: int) -> tuple[bool, str | None]:
    """Whether the moment came at all, and what was wrong after it."""
    (home / "output").write_bytes(b"old")
    (home / "export").mkdir(exist_ok=True)
    (home / "export" / "export.json").write_bytes(b"old")
    ending = Ending()
    ending.install()
    interrupter = Interrupter(moment, number)
    was = False
    try:
        sys.settrace(interrupter)
        work(home)
        sys.settrace(None)
        for _ in range(WAIT if interrupter.seen >= moment else 0):  # the other thread has it, or nobody could catch it, and it comes again
            time.sleep(0.001)
    except (KeyboardInterrupt, Terminated):
        was = True
    finally:
        sys.settrace(None)
    ending.over()
    interrupts.remove_left()
    if interrupter.seen < moment:
        return False, None if not was else "an interrupt out of nowhere"
    return True, wrong_in(home) if was else "the interrupt was lost"


def main() -> None:
    work, home, number = ALL[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3])
    os.environ["TMPDIR"] = str(home)
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # the system gives it what the main thread makes wait
    wrong: list[str] = []
    tried = 0
    for moment in itertools.count(1, int(sys.argv[4])):
        hit, problem = interrupted(work, home, moment, number)
        if problem:
            wrong.append(f"{sys.argv[1]}, before instruction {moment}: {problem}")
            for path in home.iterdir():
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not hit or len(wrong) == ENOUGH:
            break
        tried += 1
    sys.stdout.write(json.dumps({"tried": tried, "wrong": wrong}))


if __name__ == "__main__":
    main()
