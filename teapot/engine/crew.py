"""What a worker of the local engine can do: the calls of the three passes, in the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from teapot.engine.passa import Job, Outcome, Scanner
from teapot.engine.passb import Rule, SameId, Settler, same_ids
from teapot.engine.passc import Emitter, Mover, Shape, TaskInfo, Written
from teapot.engine.pool import Report
from teapot.engine.splitting import Splitter
from teapot.engine.tasks import Task
from teapot.engine.totals import Totals, count_bucket


class LocalCrew:
    """A worker. Each of its public methods is a call: it takes one argument and a report of progress."""

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.number = number
        self._scanner: Scanner | None = Scanner(job, number)
        self._settler: Settler | None = None
        self._rules: tuple[list[Rule], list[TaskInfo], list[Totals]] | None = None
        self._mover: Mover | None = None
        self._emitter: Emitter | None = None

    def call(self, name: str, argument: Any, report: Report) -> Any:
        return getattr(self, name)(argument, report)

    # A

    def scan(self, task: Task, report: Report) -> Outcome:
        assert self._scanner is not None
        return self._scanner.run(task, report)

    def scanned(self, _: None, __: Report) -> None:
        assert self._scanner is not None
        self._scanner.finish()
        self._scanner = None

    def same_ids(self, argument: tuple[int, int], _: Report) -> tuple[int, list[SameId]]:
        part, workers = argument
        return same_ids(self.job, workers, part)

    # between A and B

    def splitting(self, bits: int, _: Report) -> None:
        self.job = replace(self.job, bits=bits)

    def split(self, argument: tuple[int, int], _: Report) -> int:
        bucket, workers = argument
        return Splitter(self.job, workers, self.number).split(bucket)

    # B

    def settling(self, about: tuple[int, list[int], list[int], dict[int, list[int]]], _: Report) -> None:
        self._settler = Settler(self.job, *about, worker=self.number)

    def settle(self, bucket: int, _: Report) -> None:
        assert self._settler is not None
        self._settler.settle(bucket)

    def settled(self, _: None, __: Report) -> Any:
        assert self._settler is not None
        return self._settler.found()

    def counting(self, argument: tuple[list[Rule], list[TaskInfo]], _: Report) -> None:
        self._rules = (*argument, [Totals(len(module.sources)) for module in self.job.modules])

    def count(self, bucket: int, _: Report) -> None:
        assert self._settler is not None and self._rules is not None
        count_bucket(self._settler, bucket, *self._rules)

    def counted(self, _: None, __: Report) -> list[Totals]:
        assert self._rules is not None
        self._settler = None
        self._mover = Mover(self.job, self.number)
        return self._rules[-1]

    # C

    def move(self, argument: tuple[int, tuple[int, ...]], _: Report) -> None:
        assert self._mover is not None
        self._mover.move(*argument)

    def moved(self, shape: Shape, _: Report) -> None:
        assert self._mover is not None
        self._mover.finish()
        self._mover = None
        self._emitter = Emitter(shape)

    def measure(self, bucket: int, _: Report) -> tuple[int, int, int]:
        assert self._emitter is not None
        return self._emitter.measure(bucket)

    def emit(self, argument: tuple[int, int, int], _: Report) -> Written:
        assert self._emitter is not None
        return self._emitter.emit(*argument)


@dataclass(frozen=True, slots=True)
class MakeCrew:
    job: Job

    def __call__(self, number: int) -> LocalCrew:
        return LocalCrew(self.job, number)
