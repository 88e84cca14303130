"""Ray's part in the Ray engine, played in this process: values are pickled on every way, and tasks run at once, and once more where a test says so."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from teapot.engine import opening, rayrun
from teapot.engine.local import Engine, Run
from teapot.engine.opening import USUAL
from teapot.engine.planning import Options, Plan
from teapot.engine.raysources import Reach
from teapot.engine.raytasks import Failed, carry_out, carry_out_one, sweep
from teapot.progress import Progress, quiet


def here() -> str:
    return "here"


def elsewhere() -> str:
    """A name that differs each time: no task runs where the sources were pinned."""
    elsewhere.calls += 1  # type: ignore[attr-defined]
    return f"node {elsewhere.calls}"  # type: ignore[attr-defined]


elsewhere.calls = 0  # type: ignore[attr-defined]


class Ref(int):
    """A value's number."""


class Inline:
    """See :class:`teapot.engine.raypool.Tasks`. ``order`` picks which of several values is there first, ``ran`` lists what ran."""

    cpus = 2

    def __init__(self, home: Path, here: Callable[[], str] = here, order: Callable[[list[Ref]], Ref] = min) -> None:
        self.scratch: Path | None = home
        self.here = here
        self.order = order
        self.values: list[bytes] = []
        self.ran: list[str] = []
        self.cancelled: list[Ref] = []
        self.closed = False

    def share(self, value: Any) -> Ref:
        self.values.append(pickle.dumps(value))
        return Ref(len(self.values) - 1)

    def load(self, ref: Ref) -> Any:
        return pickle.loads(self.values[ref])

    def submit(self, function: Callable[..., Iterator[Any]], returns: int, *arguments: Any) -> list[Ref]:
        self.ran.append(function.__name__)
        given = [self.load(one) if isinstance(one, Ref) else pickle.loads(pickle.dumps(one)) for one in arguments]
        if returns == 1:
            return [self.share(carry_out_one(function, *given))]
        refs = [self.share(value) for value in carry_out(function, returns, *given)]
        assert len(refs) == returns
        return refs

    def get(self, ref: Ref) -> Any:
        value = self.load(ref)
        if isinstance(value, Failed):
            raise value.error
        return value

    def first(self, refs: list[Ref]) -> Ref:
        return self.order(refs)

    def cancel(self, ref: Ref) -> None:
        self.cancelled.append(ref)

    def clear(self, token: str) -> None:
        sweep(self.scratch, token)

    def close(self) -> None:
        self.closed = True


Make = Callable[[Path], Inline]


def open_inline(make: Make) -> Callable[..., Run]:
    """In place of ``open_run``: a run of the Ray engine over what ``make`` makes."""

    def open_run(plan: Plan, engine: Engine, folder: Path, progress: Progress = quiet, options: Options = USUAL) -> Run:
        if engine.kind == "local":
            return opening.open_run(plan, engine, folder, progress)
        return rayrun.RayRun(
            plan, engine, folder, progress, reach=Reach(options.offline, options.timeout), start=lambda engine, home: make(home)
        )

    return open_run
