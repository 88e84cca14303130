"""The Ray engine: the local engine's run, with its passes carried out as tasks of a cluster (docs/decisions/013-ray.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from teapot.engine.local import BUCKET, Engine, Run
from teapot.engine.planning import Plan
from teapot.engine.raycluster import Cluster
from teapot.engine.raypool import RayPool
from teapot.engine.raysources import REACH, Reach, fetchable
from teapot.engine.raytasks import Tasks
from teapot.engine.scanned import Scanned
from teapot.interrupts import undisturbed
from teapot.progress import Progress, quiet
from teapot.writer import writing

if TYPE_CHECKING:
    from typing_extensions import Self

Start = Callable[[Engine, Path], Tasks]
"""From the engine and a folder of the run to where its tasks run."""


def start_ray(engine: Engine, home: Path) -> Tasks:
    return Cluster(engine.address, engine.workers, engine.memory, home)


class RayRun(Run):
    """One run over a plan on Ray. Use as a context manager, as the local engine's."""

    def __init__(
        self, plan: Plan, engine: Engine, folder: Path, progress: Progress = quiet, *, reach: Reach = REACH, start: Start = start_ray
    ) -> None:
        super().__init__(plan, replace(engine, bucket=engine.bucket or BUCKET), folder, progress)
        self.reach = reach
        self._start = start

    def _split(self, scanned: Scanned) -> None:
        """Buckets travel between nodes as they are."""

    def __enter__(self) -> Self:
        with writing(self.home):
            self._check_space()
        try:
            with writing(self.home), undisturbed():
                self.home.mkdir()
                self.folder.mkdir()
            cluster = self._start(self.engine, self.home)
            files = fetchable(self.plan)
            self._pool = RayPool(cluster, self.job, files, total=self.total, batch=self.engine.range, reach=self.reach)
        except BaseException:
            self.__exit__()
            raise
        return self
