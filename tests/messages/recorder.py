"""Remembers, while it is on, every message that is made, and at which of the sites."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest

from teapot import errors, frames, jcs, sampling, usage
from teapot.checks.findings import Findings
from teapot.errors import Problem
from teapot.mapping.row import RowError
from teapot.model import Finding
from teapot.sources import box
from teapot.sources.readers import arrowvalues, limits
from teapot.templates import render, turns
from tests.messages.sites import ROOT, Site

PREFIX = str(ROOT.parent) + "/"


class Spot(NamedTuple):
    """A call that was running: a file, and its first and last line with the columns there (0 where Python does not say)."""

    file: str
    span: tuple[int, int, int, int]


@dataclass(frozen=True)
class Made:
    """A message that was made, and the calls that were running. ``problem`` is it as a problem, where it is one."""

    text: str
    spots: frozenset[Spot]
    problem: Problem | None = None

    def at(self, site: Site) -> bool:
        if sys.version_info >= (3, 11):
            return Spot(site.file, site.span) in self.spots
        return any(spot.file == site.file and site.span[0] <= spot.span[0] <= site.span[1] for spot in self.spots)


def _running(frame: FrameType | None) -> Iterator[Spot]:
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PREFIX) and "/tests/" not in name:
            yield Spot(name.removeprefix(PREFIX), _span(frame))
        frame = frame.f_back


def _span(frame: FrameType) -> tuple[int, int, int, int]:
    return _position(frame.f_code, frame.f_lasti) if sys.version_info >= (3, 11) else (frame.f_lineno, frame.f_lineno, 0, 0)


@cache
def _position(code: CodeType, at: int) -> tuple[int, int, int, int]:
    first, last, column, end = next(islice(code.co_positions(), at // 2, None))
    return first or 0, last or 0, column or 0, end or 0


class Recorder:
    """What was made so far."""

    def __init__(self) -> None:
        self.made: list[Made] = []

    def keep(self, text: object, problem: Problem | None = None) -> None:
        self.made.append(Made(str(text), frozenset(_running(sys._getframe(2))), problem))


@contextmanager
def recording(patch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Listen to everything that is given words."""
    recorder = Recorder()

    def listen(owner: Any, name: str, text_of: Callable[..., object]) -> None:
        before = getattr(owner, name)

        def instead(self: Any, *args: Any, **more: Any) -> Any:
            result = before(self, *args, **more)
            recorder.keep(text_of(self, *args, **more), self if isinstance(self, Problem) else None)
            return result

        patch.setattr(owner, name, instead)

    def first(_self: object, *args: Any, **_more: Any) -> object:
        return args[0] if args else ""

    listen(Problem, "__init__", lambda self, *_, **__: self.message)
    listen(RowError, "__init__", lambda self, *_, **__: self.detail)
    listen(Findings, "add", lambda _self, _line, _step, message: message)
    listen(Finding, "__new__", lambda _kind, *args, **more: args[3] if len(args) > 3 else more["detail"])
    listen(limits.LimitError, "__init__", lambda self, *_, **__: self.problems[0].message)
    listen(sampling.WeightError, "__init__", lambda self, *_, **__: self)
    for kind in (jcs.JsonError, usage._Unknown, errors.TeapotError, box.BoxError, frames.FrameError):
        listen(kind, "__init__", first)
    listen(arrowvalues.Unusable, "__init__", lambda _self, _code, detail: detail)
    for kind in (render.TemplateError, turns.Reasonless):
        listen(kind, "__init__", lambda self, *_, **__: self.problems[0].message)
    yield recorder
