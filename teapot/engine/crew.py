"""What a worker of the local engine can do: the calls of passes A and C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from teapot.engine.passa import Job, Scanner
from teapot.engine.passc import Emitter, Mover
from teapot.engine.pool import Report


class LocalCrew:
    """What a worker of the local engine can do."""

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.scanner: Scanner | None = Scanner(job, number)
        self.mover: Mover | None = None
        self.number = number
        self.emitter: Emitter | None = None

    def call(self, name: str, argument: Any, report: Report) -> Any:
        if name == "scan":
            assert self.scanner is not None
            return self.scanner.run(argument, report)
        if name == "scanned":
            assert self.scanner is not None
            self.scanner.finish()
            self.scanner = None
            self.mover = Mover(self.job, self.number)
            return None
        if name == "move":
            assert self.mover is not None
            self.mover.move(*argument)
            return None
        if name == "moved":
            assert self.mover is not None
            self.mover.finish()
            self.mover = None
            self.emitter = Emitter(argument)
            return None
        assert self.emitter is not None
        if name == "measure":
            return self.emitter.measure(argument)
        assert name == "emit"
        return self.emitter.emit(*argument)


@dataclass(frozen=True, slots=True)
class MakeCrew:
    job: Job

    def __call__(self, number: int) -> LocalCrew:
        return LocalCrew(self.job, number)
