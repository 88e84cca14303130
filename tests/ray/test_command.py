"""``--engine ray`` on the command line, with a Ray of its own: what it says, and that nothing is left of it, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.engine.local import Engine
from teapot.errors import Exit
from tests.engine.tools import large, session, start
from tests.helpers import Project
from tests.ray.tools import SLOW, after, left_on_nodes, made, on, processes

WAIT = 180.0
ARGUMENTS = ["--engine", "ray", "--workers", "2", "--memory", "200M"]


def until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def sessions() -> list[Path]:
    """The folders of every Ray that Teapot started, in one of the two places that it takes."""
    return sorted({path for folder in (tempfile.gettempdir(), "/tmp") for path in Path(folder).glob("teapot-ray-*")})


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Iterator[None]:
    monkeypatch.delenv("RAY_AUTH_MODE")
    before = sessions()
    yield
    until(lambda: sessions() == before)
    assert left_on_nodes() == [path for path in before if path in left_on_nodes()]
    assert not (own_home / ".ray").exists()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_compose(tmp_path: Path, elsewhere: bool) -> None:
    project = large(tmp_path / "project")
    expected = made(project, "large", Engine())
    (tmp_path / "scratch").mkdir()
    more = ["--tmp-dir", str(tmp_path / "scratch")] if elsewhere else []
    done = project.cli("compose", "configs/large.config", "-o", "other.jsonl", "--locked", *ARGUMENTS, *more)
    assert (done.returncode, done.stderr.count("\n")) == (0, done.stderr.count("note:")), done.stderr
    assert (project.root / "other.jsonl").read_bytes() == expected["output"]
    assert not [path for path in project.root.iterdir() if path.name.startswith(".")]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_plan(tmp_path: Path) -> None:
    project = large(tmp_path / "project")
    local = project.cli("plan", "configs/large.config", "--json")
    done = project.cli("plan", "configs/large.config", "--json", *ARGUMENTS)
    assert (done.returncode, done.stdout) == (0, local.stdout)


def running(project: Project, happens: Callable[[], object]) -> Iterator[subprocess.Popen[str]]:
    pieces = ", ".join(f"{name}={value}" for name, value in SLOW.items())
    process = start(project, ["compose", "configs/slow.config", *ARGUMENTS], pieces)
    until(lambda: happens() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    yield process
    out, err = process.communicate(timeout=WAIT)
    assert out == ""
    assert "Traceback" not in err and "a bug in Teapot" not in err, err
    until(lambda: not session(process.pid))
    assert sorted(path.name for path in project.root.iterdir()) == ["configs", "modules"]


@pytest.mark.parametrize(
    ("number", "everyone", "code"),
    [
        (signal.SIGINT, False, Exit.INTERRUPTED),
        (signal.SIGINT, True, Exit.INTERRUPTED),
        (signal.SIGTERM, False, Exit.TERMINATED),
        (signal.SIGHUP, False, Exit.HUNG_UP),
    ],
)
def test_an_interrupt(slow: Project, number: signal.Signals, everyone: bool, code: Exit) -> None:
    runs = running(slow, lambda: processes("ray::teapot:scan"))
    process = next(runs)
    if everyone:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert next(runs, None) is None
    assert process.returncode == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)])
@pytest.mark.parametrize("program", ["gcs_server", "raylet/raylet"])
def test_an_interrupt_while_ray_starts(slow: Project, number: signal.Signals, code: Exit, program: str) -> None:
    runs = running(slow, lambda: [one for one in processes(f"/{program} ") if processes("teapot-ray-")])
    process = next(runs)
    process.send_signal(number)
    assert next(runs, None) is None
    assert process.returncode == code


def test_a_killed_run_leaves_no_process(slow: Project) -> None:
    """Ray's own processes notice that their parent is gone. Folders are left: the next run removes the one beside the output."""
    before = sessions()
    process = start(slow, ["compose", "configs/slow.config", *ARGUMENTS], ", ".join(f"{name}={value}" for name, value in SLOW.items()))
    until(lambda: processes("ray::teapot:scan") or process.poll() is not None)
    process.kill()
    process.communicate(timeout=WAIT)
    until(lambda: not session(process.pid))
    for path in [path for path in sessions() if path not in before]:
        shutil.rmtree(path)
    shutil.rmtree(slow.root / ".train-slow.teapot-tmp.d")
    for path in slow.root.glob(".*"):
        path.unlink()


def test_an_interrupt_on_a_cluster_that_stays(one: Any, slow: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks are cancelled, and their folders removed; the next run finds it as it was."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    before = left_on_nodes()

    def interrupt() -> None:
        until(lambda: processes("ray::teapot:"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(slow, "slow", on(one, **SLOW), after("read", interrupt))
    assert left_on_nodes() == before
    assert not processes("ray::teapot:")
    assert made(slow, "slow", on(one, **SLOW))["output"]
    for path in slow.root.glob("out.*"):
        path.unlink()
    (slow.root / "configs/slow.lock").unlink()
