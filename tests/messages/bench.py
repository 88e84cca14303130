"""Where messages are provoked: a project and the command line, run in this process."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from teapot import cli
from teapot.errors import Problem, TeapotError
from teapot.ui import Ui, clean
from tests.helpers import Project
from tests.messages.recorder import Made, recording
from tests.messages.sites import Site

PROBE = "data:\n  sources: [{id: probe, path: rows.jsonl}]\n"
"""A module with one source."""


class Stream(io.StringIO):
    """A standard stream that is no terminal."""

    encoding = "utf-8"  # type: ignore[assignment]


@dataclass(frozen=True)
class Shown:
    """A message that reached the user: its problem, and the exit code of its run."""

    problem: Problem
    code: int


@dataclass
class Bench:
    """Runs commands in ``project`` and keeps which message of which site was shown first. Every command begins with what the case makes of it."""

    project: Project
    sites: Iterable[Site]
    shown: dict[tuple[str, str, str], Shown] = field(default_factory=dict)
    """By file, function and template."""
    spans: set[tuple[str, tuple[int, int, int, int], str]] = field(default_factory=set)
    """The sites that were reached: their files, their spans and the templates."""

    def __post_init__(self) -> None:
        self.by_file: dict[str, list[Site]] = {}
        for site in self.sites:
            self.by_file.setdefault(site.file, []).append(site)

    def clear(self) -> None:
        """An empty project."""
        shutil.rmtree(self.project.root)
        self.project.root.mkdir()
        self.enter()

    def enter(self) -> None:
        """Stand in the project, whose folder was made anew."""
        os.chdir(self.project.root)

    def run(self, *arguments: str, code: int | None = None, environ: Mapping[str, str] | None = None, quiet: bool = False) -> str:
        """Run a command, which must fail (with ``code``, if it is given), without being called a bug. ``quiet`` leaves the standard output as it is."""
        out, err = Stream(), Stream()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environ or {}).items():
                patch.setenv(name, value)
            with recording(patch) as recorder, redirect_stdout(sys.stdout if quiet else out), redirect_stderr(err):
                ended = cli.run(list(arguments))
        said = out.getvalue() + err.getvalue()
        assert ended == code if code is not None else ended not in (0, 70), f"{arguments} ended with {ended}: {said}"
        self.take(recorder.made, said, ended)
        return said

    def call(self, function: Callable[[], object]) -> TeapotError:
        """Call a part of Teapot, which must raise an error, and tell that as the command line would."""
        err = Stream()
        with pytest.MonkeyPatch.context() as patch, recording(patch) as recorder:
            try:
                function()
                raise AssertionError("that should have failed")
            except TeapotError as caught:
                error = caught.with_traceback(None)  # which would keep what was open
                error.__context__ = None
            with redirect_stderr(err):
                Ui().errors(error.problems, error.exit)
        self.take(recorder.made, err.getvalue(), error.exit)
        return error

    def take(self, made: list[Made], said: str, code: int) -> None:
        """Remember of every message that was shown at which site it was made."""
        problems = [one.problem for one in made if one.problem is not None and clean(one.problem.message) in said]
        for one in made:
            whole = one.problem if one.problem in problems else next((some for some in problems if one.text in some.message), None)
            if whole is None or not one.text:
                continue
            for file in {spot.file for spot in one.spots}:
                for site in self.by_file.get(file, ()):
                    if one.at(site):
                        self.match(site, one.text, Shown(whole, code))

    def match(self, site: Site, text: str, shown: Shown) -> None:
        for template, pattern in zip(site.templates, site.patterns, strict=True):
            if re.search(pattern, text) or re.search(pattern, shown.problem.message):
                self.spans.add((site.file, site.span, template))
                self.shown.setdefault((site.file, site.function, template), shown)


def no_room(_path: object) -> tuple[int, int, int]:
    """What the system would say of a full disk."""
    return Usage(1, 1, 0)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def neutral(text: str) -> str:
    """Without what differs from machine to machine, and from run to run."""
    text = text.replace(socket.gethostname(), "HOST")
    text = re.sub(r"(?<=localhost:)\d+|(?<=127\.0\.0\.1:)\d+", "PORT", text)
    text = re.sub(r"(/[\w.@+-]+)*/pytest-of-[\w-]+(/[\w.@+-]+?)*?(?=/(project|hf-home|cache|home))", "/…", text)
    return re.sub(r"\b(?=[0-9]*[a-f])[0-9a-f]{12,64}\b", "…", text)
