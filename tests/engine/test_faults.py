"""Workers that are killed, interrupts, and too little space: an error that says so, nothing left on the disk, and no process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teapot.engine import local
from teapot.engine.local import Engine
from teapot.engine.passc import LEDGER, save_for_ledger, take_for_ledger
from teapot.engine.pool import Alone, Report, Workers
from teapot.errors import ConfigError, DataError, Exit, OutputError, Place
from teapot.sources.readers import LimitError
from tests.engine.tools import chat, composed, large, session, start, text_of
from tests.helpers import ROOT, Project, snapshot

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc: WORKERS WERE NOT TESTED")

WAIT = 60.0
"""Seconds after which something that should happen is given up. Nothing is said about how soon it does."""


def until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@pytest.fixture
def slow(tmp_path: Path) -> Project:
    """Rows enough for seconds of work in many tasks."""
    project = Project(tmp_path / "slow")
    project.module("a/big", "data: {sources: [{id: big, path: big.jsonl}], format: messages, id: digest}\n")
    project.write("modules/a/big/big.jsonl", text_of(iter([chat("q" * 200, "a" * 200)])) * 60_000)
    project.config("big", "modules: {a/big: 2}\n")
    return project


def left(project: Project) -> list[str]:
    return sorted(path.name for path in project.root.iterdir())


def temporary(project: Project) -> list[Path]:
    return list(project.root.glob(".*.d/*/data-*"))


def running(project: Project, workers: int = 2) -> Iterator[subprocess.Popen[str]]:
    process = start(project, ["compose", "configs/big.config"], f"workers={workers}, small=0, range=1 << 18")
    until(lambda: temporary(project) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    yield process
    out, err = process.communicate(timeout=WAIT)
    assert out == ""
    assert "Traceback" not in err and "a bug in Teapot" not in err, err
    until(lambda: not session(process.pid))
    assert left(project) == ["configs", "modules"]
    assert not (project.root / "configs/big.lock").exists()
    process.said = err  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_is_killed(slow: Project, number: signal.Signals) -> None:
    runs = running(slow)
    process = next(runs)
    victim = next(one for one in session(process.pid) if one != process.pid)
    os.kill(victim, number)
    assert next(runs, None) is None
    assert process.returncode == Exit.UNWRITABLE
    said: str = process.said  # type: ignore[attr-defined]
    assert f"was killed ({number.name})" in said and "--workers" in said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED), (signal.SIGHUP, Exit.HUNG_UP)]
)
@pytest.mark.parametrize("everyone", [False, True], ids=["parent", "everyone"])
def test_an_interrupt(slow: Project, number: signal.Signals, code: Exit, everyone: bool) -> None:
    """Sent to the parent, or as a terminal does it: to all its processes."""
    runs = running(slow)
    process = next(runs)
    assert len(session(process.pid)) == 3
    if everyone:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert next(runs, None) is None
    assert process.returncode == code


def test_an_interrupt_while_workers_start(slow: Project) -> None:
    process = start(slow, ["compose", "configs/big.config"], "workers=6, small=0")
    until(lambda: len(session(process.pid)) > 1 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=WAIT)
    assert (process.returncode, out) == (Exit.INTERRUPTED, "")
    assert "Traceback" not in err
    until(lambda: not session(process.pid))
    assert left(slow) == ["configs", "modules"]


def test_a_killed_run_is_cleared_away(slow: Project) -> None:
    """Its workers end by themselves, and the next run removes its files."""
    process = start(slow, ["compose", "configs/big.config"], "workers=2, small=0, range=1 << 18")
    until(lambda: temporary(slow) or process.poll() is not None)
    process.kill()
    process.communicate(timeout=WAIT)
    assert process.returncode == -signal.SIGKILL
    until(lambda: not session(process.pid))
    assert ".train-big.teapot-tmp.d" in left(slow)
    slow.write("modules/a/big/big.jsonl", text_of(chat(f"{n}") for n in range(100)))
    again = start(slow, ["compose", "configs/big.config"], "workers=1")
    assert again.wait(WAIT) == 0, again.communicate()
    again.communicate()
    assert left(slow) == ["configs", "modules", *(f"train-big.{end}" for end in ("jsonl", "ledger.parquet", "manifest.json", "run.json"))]


def test_files_of_a_killed_run_are_never_those_of_this_one(tmp_path: Path) -> None:
    """A worker that has yet to notice that its parent is gone appends to files by name."""
    project = large(tmp_path / "project", 20)
    folders = []
    enter = local.Run.__enter__

    def note(run: local.Run) -> local.Run:
        folders.append(run.folder)
        return enter(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local.Run, "__enter__", note)
        first = composed(project, "large", Engine())
        stale = folders[0]
        stale.mkdir(parents=True)
        (stale / "data-00000-000").write_bytes(b"left")
        assert composed(project, "large", Engine()) == first
    assert folders[0] != folders[1]
    assert not stale.parent.exists()


# ---------------------------------------------------------------- the pool


class Odd:
    """A crew that goes wrong in every way."""

    def __init__(self, number: int) -> None:
        self.number = number

    def call(self, name: str, argument: Any, report: Report) -> Any:
        if name == "error" and argument >= 3:
            raise DataError(f"argument {argument}", Place("f", argument), "a hint")
        if name == "limit":
            raise LimitError("max_depth", "too deep", Place("f", 3))
        if name == "full":
            raise OSError(28, "No space left on device")
        if name == "bug":
            raise ZeroDivisionError("oh")
        if name == "die" and argument == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "exit":
            os._exit(7)
        report(1)
        return argument, self.number


@pytest.fixture(params=["alone", "workers"])
def pool(request: pytest.FixtureRequest) -> Iterator[Alone | Workers]:
    made = Alone(Odd) if request.param == "alone" else Workers(3, Odd)
    yield made
    made.close()


@pytest.mark.parametrize("at_once", [1, 2, 50])
def test_each_and_all(pool: Alone | Workers, at_once: int) -> None:
    ticks: list[int] = []
    assert sorted(value for value, _ in pool.each("add", range(20), ticks.append, at_once)) == list(range(20))
    assert ticks == [1] * 20
    assert pool.all("add", "x") == [("x", number) for number in range(pool.workers)]


def test_long_calls_and_long_answers(pool: Alone | Workers) -> None:
    """Longer than a pipe has room for, both ways at the same time."""
    arguments = [bytes([number]) * 1_000_000 for number in range(12)]
    assert sorted(value for value, _ in pool.each("add", arguments, lambda _: None, at_once=3)) == arguments


def test_a_worker_has_its_next_call_before_its_value_is_used() -> None:
    pool = Workers(1, Odd)
    asked = pool.each("add", (number for number in range(3)), lambda _: None)
    assert next(asked) == (0, 0)
    assert pool._workers[0].answers.poll(WAIT)
    assert [value for value, _ in asked] == [1, 2]
    pool.close()


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("again", range(3))
def test_the_earliest_error(pool: Alone | Workers, again: int, at_once: int) -> None:
    done = []
    with pytest.raises(DataError, match="argument 3") as caught:
        for value, _ in pool.each("error", range(20), lambda _: None, at_once):
            done.append(value)
    assert sorted(done) == [0, 1, 2]
    assert caught.value.problems[0].place == Place("f", 3)
    with pytest.raises(DataError):
        pool.all("error", 5)


def test_errors_arrive_as_they_are(pool: Alone | Workers) -> None:
    with pytest.raises(LimitError) as caught:
        list(pool.each("limit", [1], lambda _: None))
    assert caught.value.limit == "max_depth"
    assert caught.value.problems[0].hint == LimitError("max_depth", "", Place("")).problems[0].hint
    with pytest.raises(OSError, match="No space left") as full:
        list(pool.each("full", [1], lambda _: None))
    assert full.value.errno == 28


IDLE = """\
import time
from teapot.engine.pool import Workers
from tests.engine.test_faults import Odd
pool = Workers(2, Odd)
print(pool.all("add", 1), flush=True)
time.sleep(1000)
"""


def test_idle_workers_end_with_a_killed_run() -> None:
    """They are told nothing; nobody reads what they could say."""
    process = subprocess.Popen([sys.executable, "-c", IDLE], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None and process.stdout.readline() == "[(1, 0), (1, 1)]\n"
    assert len(session(process.pid)) == 3
    process.kill()
    process.communicate(timeout=WAIT)
    try:
        until(lambda: not session(process.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Unreadable:
    """A request that a worker cannot take."""

    def __reduce__(self) -> tuple[Any, ...]:
        return divmod, (1, 0)


def test_a_request_that_cannot_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    pool = Workers(2, Odd)
    with pytest.raises(OutputError, match=r"^worker 1 ended with code 1$"):
        pool.all("add", Unreadable())
    pool.close()
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_bugs_and_deaths() -> None:
    pool = Workers(2, Odd)
    with pytest.raises(RuntimeError, match="in a worker: ZeroDivisionError: oh"):
        list(pool.each("bug", [1], lambda _: None))
    pool.close()
    pool = Workers(2, Odd)
    with pytest.raises(OutputError, match=r"^worker [12] was killed \(SIGKILL\)$") as caught:
        list(pool.each("die", range(5), lambda _: None))
    assert caught.value.problems[0].hint
    pool.close()
    pool = Workers(2, Odd)
    with pytest.raises(OutputError, match=r"^worker 1 ended with code 7$"):
        pool.all("exit", None)
    with pytest.raises(OutputError, match=r"^worker 1 ended with code 7$"):  # asked again, its pipe is gone
        pool.all("add", None)
    pool.close()
    pool.close()


def test_a_worker_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        Workers(2, Odd)
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0  # noqa: PTH208
    project = large(tmp_path / "project", 5)
    seen = snapshot(project.root)
    with pytest.raises(FileNotFoundError):
        composed(project, "large", Engine(workers=2, small=0))
    assert snapshot(project.root) == seen
    assert not list(project.root.glob(".*"))


# ---------------------------------------------------------------- space


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = large(tmp_path / "project", 20)
    before = snapshot(project.root)
    monkeypatch.setattr(local.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(OutputError, match=r"has 0\.0 GB left; temporary files will take about 0\.0 GB$") as caught:
        composed(project, "large", Engine())
    assert caught.value.exit == Exit.UNWRITABLE
    assert "--tmp-dir" in (caught.value.problems[0].hint or "")
    assert snapshot(project.root) == before


def test_no_folder_for_temporary_files(tmp_path: Path) -> None:
    with pytest.raises((OutputError, ConfigError)) as caught:
        composed(large(tmp_path / "project", 20), "large", Engine(tmp_dir=tmp_path / "none"))
    assert "none" in caught.value.problems[0].message


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """256 KiB, where this user may mount."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here: A FULL DISK WAS NOT TESTED")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("rows", [150, 600, 3000])
@pytest.mark.parametrize("engine", ["workers=1", "workers=2, small=0"])
def test_a_full_disk(tmp_path: Path, tiny_disk: Path, rows: int, engine: str) -> None:
    """Refused at the start, or when it is full in the middle: in either case an error that says so, and nothing left."""
    project = Project(tmp_path / "project")
    project.module("a/b", "data: {sources: [{id: s, path: s.jsonl}], format: messages}\n")
    project.write("modules/a/b/s.jsonl", text_of(chat(f"{n}", "a" * 200) for n in range(rows)))
    project.config("mix", "modules: {a/b: 3}\n")
    process = start(project, ["compose", "configs/mix.config", "--tmp-dir", str(tiny_disk)], engine)
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == Exit.UNWRITABLE, err
    assert ("No space left" in err or "no space is left" in err) or "MB left" in err or "GB left" in err
    assert "a bug" not in err
    assert list(tiny_disk.iterdir()) == []
    assert left(project) == ["configs", "modules"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("_same_ids", "ids"), ("choose", "index"), ("choose", "data"), ("write", "drops"), ("write", "data"), ("write", "merged"),
        ("write", "copies"), ("_places", "mindex"), ("_places", "mdata"),
    ],
)  # fmt: skip
def test_a_temporary_file_that_is_gone_is_no_empty_one(
    step: str, kind: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = large(tmp_path / "project")
    before = composed(project, "large", Engine())
    usual = getattr(local.Run, step)

    def after_a_loss(run: local.Run, *given: object) -> object:
        victim = min(path for path in run.folder.iterdir() if path.name.startswith(f"{kind}-") and path.stat().st_size)
        victim.unlink()
        return usual(run, *given)

    monkeypatch.setattr(local.Run, step, after_a_loss)
    with pytest.raises(OutputError, match=r"are gone|No such file"):
        composed(project, "large", Engine(workers=workers, small=0, bucket=1 << 14))
    monkeypatch.undo()
    assert composed(project, "large", Engine()) == before


def test_what_waits_for_the_ledger_is_whole_or_gone(tmp_path: Path) -> None:
    rows = np.zeros(3, dtype=LEDGER)
    rows["record"] = [7, 8, 9]
    path = tmp_path / "lines-00000"
    save_for_ledger(path, rows, b"what is hashed")
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(OutputError, match="are gone"):
            take_for_ledger(path)
    path.write_bytes(data)
    found, content = take_for_ledger(path)
    assert (found.tobytes(), content, path.exists()) == (rows.tobytes(), b"what is hashed", False)
