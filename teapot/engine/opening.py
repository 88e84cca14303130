"""Which engine carries out a plan."""

from __future__ import annotations

from pathlib import Path

from teapot.engine.local import Engine, Run
from teapot.engine.planning import Options, Plan
from teapot.progress import Progress, quiet

USUAL = Options()


def open_run(plan: Plan, engine: Engine, folder: Path, progress: Progress = quiet, options: Options = USUAL) -> Run:
    """A run over a plan, to be used as a context manager. What it writes does not depend on the engine.

    ``options`` say how far a worker on another machine may go for a source.
    """
    if engine.kind == "ray":
        from teapot.engine.rayrun import RayRun
        from teapot.engine.raysources import Reach

        return RayRun(plan, engine, folder, progress, reach=Reach(options.offline, options.timeout))
    return Run(plan, engine, folder, progress)
