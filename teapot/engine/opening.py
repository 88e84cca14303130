"""Which engine carries out a plan."""

from __future__ import annotations

from pathlib import Path

from teapot.engine.local import Engine, Run
from teapot.engine.planning import Plan
from teapot.progress import Progress, quiet


def open_run(plan: Plan, engine: Engine, folder: Path, progress: Progress = quiet, *, offline: bool = False) -> Run:
    """A run over a plan, to be used as a context manager. What it writes does not depend on the engine."""
    if engine.kind == "ray":
        from teapot.engine.rayrun import RayRun

        return RayRun(plan, engine, folder, progress, offline=offline)
    return Run(plan, engine, folder, progress)
