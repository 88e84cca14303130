"""Problems of lines, in an order that does not depend on who found them."""

from __future__ import annotations

from enum import IntEnum
from heapq import merge
from typing import NamedTuple

MAX_PROBLEMS = 50
"""How many problems of rows are listed; the rest are counted."""


class Step(IntEnum):
    """The order in which one line is checked."""

    WRITTEN = 0
    FORM = 1
    LICENSE = 2
    ID = 3
    ROW = 4
    ENTRY = 5
    ORDER = 6


class Found(NamedTuple):
    """One problem of a line. Sorts by the line's number and the step; only one problem of a step is found in a line, but for ``ENTRY``'s."""

    line: int
    step: Step
    message: str


class Findings:
    """The first :data:`MAX_PROBLEMS` problems in their order, and how many there are in all."""

    def __init__(self) -> None:
        self.listed: list[Found] = []
        self.count = 0

    def add(self, line: int, step: Step, message: str) -> None:
        """Add a problem that stands after those so far."""
        if self.count < MAX_PROBLEMS:
            self.listed.append(Found(line, step, message))
        self.count += 1

    def join(self, other: Findings) -> None:
        """Take in the problems of another part, in whatever order."""
        self.listed = list(merge(self.listed, other.listed))[:MAX_PROBLEMS]
        self.count += other.count
