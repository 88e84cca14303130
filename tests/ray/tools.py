"""Composing on a cluster, and finding what it left."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teapot.engine.local import Engine
from teapot.engine.planning import Options
from teapot.progress import Tick
from teapot.verbs.compose import Watch, compose
from tests.helpers import Project

SLOW: dict[str, Any] = {"bucket": 1 << 19, "range": 1 << 20}
"""Many pieces of what ``slow`` has."""


def on(cluster: Any, **more: Any) -> Engine:
    return Engine(kind="ray", address=cluster.address, **more)


def made(project: Project, name: str, engine: Engine, progress: Callable[[Tick], None] | None = None) -> dict[str, Any]:
    """The bytes of output, manifest and lock, and the digest of the ledger's content."""
    path = project.root / "out.jsonl"
    config = project.root / "configs" / f"{name}.config"
    lock = config.with_suffix(".lock")
    lock.unlink(missing_ok=True)
    watch = Watch(progress) if progress else None
    done = compose(config, Options(environ={}), path, watch, engine)
    return {
        "output": path.read_bytes(),
        "manifest": done.files.manifest.read_bytes(),
        "lock": lock.read_bytes(),
        "ledger": done.manifest.ledger.content_sha256,
    }


def processes(said: str) -> list[int]:
    """The processes with this in their command line or title."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if said in line:
                found.append(int(path.name))
    return found


def kill(said: str) -> list[int]:
    """Kill one worker process of Ray that carries out this function now, if there is one."""
    victims = processes(f"ray::teapot:{said}")[:1]
    for one in victims:
        os.kill(one, signal.SIGKILL)
    return victims


def left_on_nodes() -> list[Path]:
    """The folders of runs that a node still has."""
    return sorted(Path(tempfile.gettempdir()).glob("teapot-ray-*"))


def after(phase: str, then: Callable[[], None]) -> Callable[[Tick], None]:
    """Progress that does this once, at the first tick of a phase."""
    done: list[bool] = []

    def tick(one: Tick) -> None:
        if one.phase == phase and not done:
            done.append(True)
            then()

    return tick
