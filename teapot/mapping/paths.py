"""Dotted paths into a record: ``question``, ``answers.text[0]``, ``['odd name'].x``.

A field that is written exactly like the whole path wins over the descent, so that a column ``a.b`` can be named as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, TypeAlias

from teapot.model import Json


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING
"""No such field; unlike ``None``, which is a null that is there."""

Found: TypeAlias = "Json | Literal[_Missing.MISSING]"
Path: TypeAlias = tuple[str | int, ...]
Getter: TypeAlias = "Callable[[dict[str, Json]], Found]"

PATH_STEP: Final = re.compile(
    r"""\[(?:(?P<index>[0-9]{1,9})|'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]|(?P<dot>\.)?(?P<name>[^\s.,\[\]|{}()'"]+)"""
)
"""One step of a path; :func:`scan_path` checks that a name after the first has its dot."""


def scan_path(text: str, start: int = 0) -> tuple[Path, int]:
    """The longest path in ``text`` from ``start``, and where it ends; an empty one where none begins."""
    steps: list[str | int] = []
    at = start
    while match := PATH_STEP.match(text, at):
        index, name = match["index"], match["name"]
        if name is not None and (match["dot"] is not None) != bool(steps):
            break
        steps.append(
            int(index) if index is not None else next(part for part in (name, match["single"], match["double"]) if part is not None)
        )
        at = match.end()
    if steps and isinstance(steps[0], int):
        return (), start
    return tuple(steps), at


def parse_path(text: str) -> Path:
    """The steps of ``text``; a text that is no path is the name of one field."""
    steps, end = scan_path(text)
    return steps if steps and end == len(text) else (text,)


def columns_of(text: str) -> frozenset[str]:
    """The top-level fields that the path ``text`` may read."""
    return frozenset((text, str(parse_path(text)[0])))


def getter(text: str) -> Getter:
    """A function from a record to what the path ``text`` finds there."""
    path = parse_path(text)
    if path == (text,):
        return lambda record: record.get(text, MISSING)

    def get(record: dict[str, Json]) -> Found:
        if text in record:
            return record[text]
        here: Json = record
        for step in path:
            if not (isinstance(here, dict) and step in here if isinstance(step, str) else isinstance(here, list) and step < len(here)):
                return MISSING
            here = here[step]  # type: ignore[index]
        return here

    return get
