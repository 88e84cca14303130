"""What can go wrong, with its place, its hint and its exit code.

Every expected error is a :class:`TeapotError`. It carries one or more :class:`Problem` values, so that a command can report everything that is
wrong at once, and the exit code that the command line ends with. ``teapot.cli`` is the only place that turns one into an exit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    HUNG_UP = 129  # 128 and the number of the signal, as shells have it
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


_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/{1,3})([^\s'\"]*@)?([^\s'\"?#]*)([?#][^\s'\"]*)?")
"""An address in a text, also with the slashes that are left of it in a path: its scheme, a user part, host and path, a query or fragment."""


def redacted(text: str) -> str:
    """The text with ``…`` in place of what may be a secret in its addresses: user parts, queries, fragments."""
    if ":/" not in text:
        return text
    return _ADDRESS.sub(lambda found: f"{found[1]}{'…@' if found[2] else ''}{found[3]}{'?…' if found[4] else ''}", text)


MAX_TEXT = 4000
"""How many characters of a message are kept: names that it quotes come from data, and may have any length."""

MAX_PROBLEMS = 1000
"""How many problems an error lists."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what, where, and what to do about it. Wherever it is told, it holds no secret of an address, and it is not endless."""

    message: str
    place: Place | None = None
    hint: str | None = None

    def __post_init__(self) -> None:
        if len(self.message) > MAX_TEXT:
            object.__setattr__(self, "message", self.message[:MAX_TEXT] + "…")
        if self.hint is not None and len(self.hint) > MAX_TEXT:
            object.__setattr__(self, "hint", self.hint[:MAX_TEXT] + "…")
        if ":/" in self.message:
            object.__setattr__(self, "message", redacted(self.message))
        if self.place is not None and ":/" in self.place.file:
            object.__setattr__(self, "place", replace(self.place, file=redacted(self.place.file)))
        if self.hint is not None and ":/" in self.hint:
            object.__setattr__(self, "hint", redacted(self.hint))


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
        if len(problems) > MAX_PROBLEMS + 1:  # one more than that may say already that these are the first of them
            problems = (*problems[:MAX_PROBLEMS], Problem(f"and {len(problems) - MAX_PROBLEMS} more"))
        self.problems = problems
        super().__init__("\n".join(problem.message for problem in problems))

    def of(self, problems: Iterable[Problem]) -> TeapotError:
        """An error of the same kind with these problems. A class that is made in a way of its own gives one of the kind above it."""
        kinds = (kind for kind in type(self).__mro__ if issubclass(kind, TeapotError))
        return next(kind for kind in kinds if "__init__" not in vars(kind) or kind is TeapotError)(problems)

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
