"""G16: an interrupt at any moment. Real processes with two workers are sent SIGINT, SIGTERM and SIGHUP at moments drawn by a fixed seed: the exit code is the
signal's, nothing is left running or lying about, and the earlier output is as it was, or the new one is complete."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.errors import Exit
from tests.engine.tools import chat, session, text_of
from tests.faults.report import Tally, proves, sample
from tests.helpers import Project, snapshot, succeeds

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc: INTERRUPTS WERE NOT TESTED")

PROVES = "G16"

CODES = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED, signal.SIGHUP: Exit.HUNG_UP}
MOMENTS = 12
"""For each signal."""

WAIT = 120.0
"""Seconds after which something that should happen is given up. Nothing is said about how soon it does."""

SCRIPT = """\
import json, sys, time
inputs = json.load(open(sys.argv[1]))
with open(sys.argv[2], "w") as out:
    for line in open(inputs["made"][0]):
        out.write(line)
time.sleep(0.3)
"""

HEED = """\
import signal
heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
for number in heeded:
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, heeded)
from teapot.cli import main
main()
"""
"""The program, in which interrupts are heeded even if this test's own process was started with them ignored. Until it says otherwise, they end it. What comes
while Python itself still starts, which can fall over an interrupt with any message, waits for the first line."""

OWN = ("train-mix.jsonl", "train-mix.manifest.json", "train-mix.ledger.parquet", "configs/mix.lock")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An output that was composed, and a config that was edited since; one module has a script."""
    project = Project(tmp_path_factory.mktemp("interrupts") / "project")
    project.module("a/big", "data: {sources: [{id: big, path: big.jsonl}], format: messages, id: digest}\n")
    project.write("modules/a/big/big.jsonl", text_of(iter([chat("q" * 1000, "a" * 1000)])) * 15_000)
    made = "data: {sources: [{id: made, path: made.jsonl}], format: messages, prepare: {script: p.py}}\n"
    project.module("a/made", made, {"p.py": SCRIPT})
    project.jsonl("modules/a/made/made.jsonl", [chat("a", "b")])
    project.config("mix", "modules: {a/big: 1, a/made: true}\n")
    succeeds(project.cli("compose", "configs/mix.config", "--allow-code", "a/made", env=environ(project)))
    project.config("mix", "modules: {a/big: 1.5, a/made: true}\ntraining: {seed: 5}\n")
    return project


def environ(project: Project) -> dict[str, str]:
    """A home, a cache and a folder for temporary files that only this test uses."""
    around = project.root.parent
    (around / "tmp").mkdir(exist_ok=True)
    cache = {"TEAPOT_CACHE": str(around / "cache"), "TEAPOT_CONFIG": str(around / "home")}
    return {**os.environ, **cache, "TMPDIR": str(around / "tmp"), "PYTHONUNBUFFERED": "1"}


def start(project: Project, arguments: list[str]) -> subprocess.Popen[str]:
    """A run in a session of its own, which inherits that interrupts wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, CODES)
    try:
        return subprocess.Popen(
            [sys.executable, "-c", HEED, *arguments],
            cwd=project.root, env=environ(project), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=WAIT)
    until(lambda: not session(process.pid))
    return out + err


@pytest.fixture(scope="module")
def lasts(project: Project) -> float:
    """How many seconds a run takes here, so that the moments fall into it."""
    begun = time.monotonic()
    done = start(project, ["compose", "configs/mix.config", "--workers", "2", "-o", "measured.jsonl", "--set", "training.seed=9"])
    until(lambda: len(session(done.pid)) >= 3 or done.poll() is not None)
    assert done.poll() is None, "so much should need workers"
    said = ended(done)
    assert done.returncode == 0, said
    for path in project.root.glob("measured*"):
        path.unlink()
    return time.monotonic() - begun


def moments(lasts: float, number: int) -> Iterator[float]:
    """Spread over the run, and no two of them the same."""
    chance = random.Random(number)
    for turn in sample(MOMENTS, 6):
        yield lasts * (turn - chance.random()) / MOMENTS


def wrong_after(project: Project, process: subprocess.Popen[str], said: str, number: int, before: dict[str, str]) -> str | None:
    """What is wrong after a run that was interrupted."""
    early = process.returncode == -number  # before the program had its first word; a shell tells the same code
    if process.returncode not in (0, CODES[signal.Signals(number)]) and not early:
        return f"exit code {process.returncode}: {said}"
    if not early and ("Traceback" in said or "a bug in Teapot" in said):
        return said
    left = [path for path in (project.root.parent / "tmp").iterdir()]
    if left:
        return f"left behind: {left}"
    now = snapshot(project.root)
    if strange := {name for name in now.keys() - before.keys() if not name.endswith(".run.json")}:
        return f"left behind: {strange}"
    if running := [path.name for path in (project.root.parent / "cache").rglob(".run-*")]:
        return f"left behind in the cache: {running}"
    same = {name: now.get(name) == before.get(name) for name in OWN}
    if process.returncode == 0:
        return None if not same["train-mix.jsonl"] else "it ended well, and nothing is new"
    return None if all(same.values()) else f"changed: {same}" if not torn_or_new(project) else None


def restore(project: Project, kept: dict[str, bytes]) -> None:
    for path in project.root.glob("*.run.json"):
        path.unlink()
    for name, data in kept.items():
        (project.root / name).write_bytes(data)


def torn_or_new(project: Project) -> bool:
    """An interrupt that came while the files were put in place: the set is the new one, or validation says that it is none."""
    done = project.cli("validate", "compose", "train-mix.jsonl")
    return done.returncode in (0, 1) and "Traceback" not in done.stderr


@pytest.mark.parametrize("everyone", [False, True], ids=["the process", "all processes of the terminal"])
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@proves("G16", "an interrupt at a moment drawn by chance")
def test_an_interrupt_at_any_moment(project: Project, lasts: float, tally: Tally, number: signal.Signals, everyone: bool) -> None:
    kept = {name: (project.root / name).read_bytes() for name in OWN}
    for moment in moments(lasts, number + 100 * everyone):
        before = snapshot(project.root)
        process = start(project, ["compose", "configs/mix.config", "--workers", "2", "--allow-code", "a/made"])
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, number) if everyone else process.send_signal(number)
        said = ended(process)
        wrong = wrong_after(project, process, said, number, before)
        tally.case(wrong and f"{number.name} after {moment:.3f} of {lasts:.3f} seconds: {wrong}")
        restore(project, kept)
    tally.check()


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@proves("G16", "two interrupts, one after the other")
def test_an_impatient_user(project: Project, lasts: float, tally: Tally, number: signal.Signals) -> None:
    """The second and the third one come while the run cleans up."""
    kept = {name: (project.root / name).read_bytes() for name in OWN}
    for moment in list(moments(lasts, number + 50))[::3]:
        before = snapshot(project.root)
        process = start(project, ["compose", "configs/mix.config", "--workers", "2", "--allow-code", "a/made"])
        time.sleep(moment)
        for _ in range(3):
            if process.poll() is None:
                process.send_signal(number)
            time.sleep(0.002)
        said = ended(process)
        wrong = wrong_after(project, process, said, number, before)
        tally.case(wrong and f"{number.name} after {moment:.3f} of {lasts:.3f} seconds: {wrong}")
        restore(project, kept)
    again = ["compose", "configs/mix.config", "--allow-code", "a/made", "-o", "again.jsonl", "--set", "training.seed=3"]
    succeeds(project.cli(*again, env=environ(project)))
    for path in project.root.glob("again*"):
        path.unlink()
    tally.check()


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize(
    "arguments",
    [["validate", "compose", "train-mix.jsonl", "--workers", "2"], ["lock", "configs/mix.config"], ["plan", "configs/mix.config"]],
    ids=lambda words: words[0],
)
@proves("G16", "an interrupt of a command that is not compose")
def test_other_commands(project: Project, lasts: float, tally: Tally, number: signal.Signals, arguments: list[str]) -> None:
    kept = {name: (project.root / name).read_bytes() for name in OWN}
    for moment in list(moments(lasts / 2, number))[::4]:
        before = snapshot(project.root)
        process = start(project, arguments)
        time.sleep(moment)
        if process.poll() is None:
            process.send_signal(number)
        said = ended(process)
        fine = process.returncode in (0, CODES[number], -number) and not (process.returncode > 0 and "Traceback" in said)
        tally.case(None if fine else f"{process.returncode}: {said}")
        now = snapshot(project.root)
        tally.case(None if now == before or arguments[0] == "lock" else f"it changed {set(now.items()) ^ set(before.items())}")
        tally.case(
            f"left behind: {list((project.root.parent / 'tmp').iterdir())}" if list((project.root.parent / "tmp").iterdir()) else None
        )
        restore(project, kept)
    tally.check()
