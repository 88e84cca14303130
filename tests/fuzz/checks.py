"""What every target asks: how a reader may fail, and that it fails the same way twice."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from teapot.errors import Problem, TeapotError
from teapot.jsontext import JsonError

MAX_MESSAGE = 2000
"""The most characters of a message: it is a sentence, not a copy of the input."""


class Defect(AssertionError):
    """What a target found."""


def demand(holds: bool, what: str) -> None:
    """Like an assertion, but it stays under ``python -O``, and says what is wrong without a debugger."""
    if not holds:
        raise Defect(what)


def outcome(run: Callable[[], Any], lines: int | None = None, most: int = MAX_MESSAGE, quotes: bool = False) -> tuple[str, Any]:
    """What came of it: ``("value", …)``, or ``("error", …)`` where the error is an expected one. Everything else is raised.

    ``lines`` is how many lines the text has: no error may stand beyond them. ``most`` bounds the characters of a message. ``quotes`` says
    that a message may quote the text as it stands: whoever shows it escapes what is no printable character.
    """
    try:
        return "value", run()
    except JsonError as error:
        return "error", (error.code, error.offset, error.message)
    except TeapotError as error:
        for problem in error.problems:
            _check_problem(problem, lines, most, quotes)
        return "error", (type(error).__name__, error.problems)


def coin(data: bytes, sides: int) -> int:
    """A number below ``sides`` that follows from the input: which of several checks is made of it, so that each run takes less time."""
    return zlib.crc32(data) % sides


def twice(data: bytes, run: Callable[[], Any], lines: int | None = None, most: int | None = None) -> tuple[str, Any]:
    """:func:`outcome`; of every eighth input it must be the same when it is run again. With ``most`` it may quote the input."""
    how = (lines, most or MAX_MESSAGE, most is not None)
    first = outcome(run, *how)
    if coin(data, 8) == 0:
        demand(_same(first, outcome(run, *how)), "another answer the second time")
    return first


def _same(one: Any, other: Any) -> bool:
    return one == other or repr(one) == repr(other)  # a NaN is not equal to itself


def _check_problem(problem: Problem, lines: int | None, most: int, quotes: bool) -> None:
    message = problem.message
    demand(0 < len(message) <= most, f"a message of {len(message)} characters")
    demand(quotes or "\n" not in message, f"a message of several lines: {message!r}")
    place = problem.place
    if place is None:
        return
    demand(place.line is None or place.line >= 1, f"line {place.line}")
    demand(place.column is None or place.column >= 1, f"column {place.column}")
    if lines is not None and place.line is not None:
        demand(place.line <= lines, f"line {place.line} of {lines}: {message!r}")
