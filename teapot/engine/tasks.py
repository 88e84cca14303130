"""What there is to read, cut into tasks: a range of lines of a large JSONL file, or a whole file. Tasks are numbered in source order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from teapot.engine.planning import Plan, PlannedSource
from teapot.model import PinnedFile
from teapot.sources.local import OpenFile
from teapot.sources.readers import can_be_cut
from teapot.sources.readers.streams import lines_before

RANGE = 32 * 1024 * 1024
"""The size in bytes of a range. A task must be small enough that all workers end at about the same time."""


class Task(NamedTuple):
    """A piece of one source: numbers into the plan, and the range of bytes (``None``: the whole file)."""

    number: int
    module: int
    source: int
    file: int
    start: int | None
    end: int | None
    size: int


class LineBases:
    """In which line of its file a task begins. Found by counting, and only for the tasks that something is said of."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._known: dict[tuple[int, int, int], list[tuple[int, int]]] = {}

    def before(self, task: Task) -> int:
        """How many lines of the file come before the task's first."""
        if not task.start:
            return 0
        file = self.plan.modules[task.module].sources[task.source].files[task.file]
        known = self._known.setdefault((task.module, task.source, task.file), [(0, 0)])
        place = max(one for one in known if one[0] <= task.start)
        if place[0] < task.start:
            place = (task.start, lines_before(file.path, file.name, task.start, place))
            known.append(place)
        return place[1]


def cut(plan: Plan, size: int = RANGE) -> list[Task]:
    """The tasks of a plan, in source order: modules by name, sources as declared, files by path, ranges from the start."""
    tasks: list[Task] = []
    for m, module in enumerate(plan.modules):
        for s, source in enumerate(module.sources):
            for f, file in enumerate(source.files):
                for start, end in _ranges(source, file, size):
                    tasks.append(Task(len(tasks), m, s, f, start, end, (end or file.pinned.size) - (start or 0)))
    return tasks


def _ranges(source: PlannedSource, file: OpenFile, size: int) -> Iterator[tuple[int | None, int | None]]:
    pinned: PinnedFile = file.pinned
    if pinned.size <= size * 3 // 2 or not can_be_cut(file.path, file.name, source.source.file_type):
        yield None, None
        return
    pieces = -(-pinned.size // size)
    for piece in range(pieces):
        yield piece * pinned.size // pieces, (piece + 1) * pinned.size // pieces
