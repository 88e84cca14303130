"""What there is to read, cut into tasks: a range of lines of a large JSONL file, or a whole file. Tasks are numbered in source order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from teapot.engine.planning import Plan, PlannedSource
from teapot.model import PinnedFile
from teapot.sources.local import OpenFile
from teapot.sources.readers import can_be_cut

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
