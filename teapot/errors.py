"""What can go wrong, with its place, its hint and its exit code.

Every expected error is a :class:`TeapotError`. It carries one or more :class:`Problem` values, so that a command can report everything that is
wrong at once, and the exit code that the command line ends with. ``teapot.cli`` is the only place that turns one into an exit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of the command line; they are part of its interface."""

    OK = 0
    INVALID = 1  # a check failed, or data is invalid
    USAGE = 2  # the command line or a config is wrong
    UNAVAILABLE = 3  # a source cannot be had
    UNWRITABLE = 4  # the output cannot be written
    BUSY = 5  # another run holds the output
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: a file as the user would name it, and 1-based line and column where they are known."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        text = self.file
        if self.line is not None:
            text += f":{self.line}"
            if self.column is not None:
                text += f":{self.column}"
        return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what, where, and what to do about it."""

    message: str
    place: Place | None = None
    hint: str | None = None


class TeapotError(Exception):
    """An expected error. ``problems`` is never empty."""

    exit = Exit.INVALID

    def __init__(self, message: str | Problem | Iterable[Problem], place: Place | None = None, hint: str | None = None) -> None:
        if isinstance(message, str):
            problems: tuple[Problem, ...] = (Problem(message, place, hint),)
        elif isinstance(message, Problem):
            problems = (message,)
        else:
            problems = tuple(message)
        if not problems:
            raise ValueError("an error needs a problem")
        self.problems = problems
        super().__init__("\n".join(problem.message for problem in problems))

    def __reduce__(self) -> tuple[type[TeapotError], tuple[tuple[Problem, ...]]]:
        """Errors come back from worker processes."""
        return type(self), (self.problems,)


class ConfigError(TeapotError):
    """A config, a module, a sources file or the command line is wrong."""

    exit = Exit.USAGE


class DataError(TeapotError):
    """Data is invalid: a record, a file that cannot be read, or bytes that differ from the pinned ones."""


class CheckFailed(TeapotError):
    """A check failed: an output, a manifest or a lock is not what it says it is."""


class SourceUnavailable(TeapotError):
    """A source cannot be reached, or is not there."""

    exit = Exit.UNAVAILABLE


class OutputError(TeapotError):
    """The output cannot be written."""

    exit = Exit.UNWRITABLE


class BusyError(TeapotError):
    """Another run holds the output or the lock."""

    exit = Exit.BUSY


class Problems:
    """Collects problems so that all of them are reported at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, message: str, place: Place | None = None, hint: str | None = None) -> None:
        self.found.append(Problem(message, place, hint))

    def raise_as(self, kind: type[TeapotError]) -> None:
        """Raise what was collected, if anything was."""
        if self.found:
            raise kind(self.found)
