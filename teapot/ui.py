"""The face: results on stdout, everything else on stderr. The only place that prints.

Nothing that came from a file reaches the terminal with its control bytes, its bidirectional marks or as markup.
"""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from teapot.errors import Problem
from teapot.progress import Progress, Report, Tick, quiet

if TYPE_CHECKING:
    from rich.console import Console
    from typing_extensions import Self

Mode = Literal["human", "json", "quiet"]


HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The Unicode categories of what a terminal acts on, or shows as nothing: controls, formats, surrogates, line and paragraph separators."""

WIDE = 10_000
"""Columns of what is no terminal: a table is never folded there."""


class NoStandardOutput(Exception):
    """The standard output takes no more: its disk is full (``reason``), or its reader went away."""

    def __init__(self, reason: str | None) -> None:
        self.reason = reason
        super().__init__(reason)


def clean(text: str) -> str:
    """Text for a terminal: control and format characters, newlines and tabs too, as the ``\\u`` escapes of JSON."""
    if text.isprintable():
        return text
    return "".join(_escape(sign) if unicodedata.category(sign) in HIDDEN else sign for sign in text)


def _escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[start : start + 2], 'big'):04x}" for start in range(0, len(units), 2))


@dataclass(slots=True)
class Column:
    """A column of a table: its heading, and whether its cells stand at the right."""

    name: str
    right: bool = False
    whole: bool = False
    """Never folded, however narrow the terminal is."""


class Ui:
    """How one command speaks: as tables, as one JSON document, or (``quiet``) only through its exit code and its errors."""

    def __init__(self, mode: Mode = "human") -> None:
        self.mode: Mode = mode
        self._out: Console | None = None
        self._err: Console | None = None

    @property
    def out(self) -> Console:
        if self._out is None:
            self._out = _console(stderr=False)
        return self._out

    @property
    def err(self) -> Console:
        if self._err is None:
            self._err = _console(stderr=True)
        return self._err

    def document(self, value: Mapping[str, Any], exit_code: int = 0) -> None:
        """The one JSON document of ``--json``: ``ok`` and ``exit``, then what the command has to say."""
        text = json.dumps({"ok": exit_code == 0, "exit": int(exit_code), **value}, ensure_ascii=not _is_utf8(), indent=2)
        with standard_output():
            sys.stdout.write("\n".join(clean(line) for line in text.split("\n")) + "\n")

    def line(self, text: str, style: str = "") -> None:
        """A line of the result."""
        if self.mode == "human":
            with standard_output():
                self.out.print(_text(text, style), soft_wrap=True)

    def raw(self, text: str) -> None:
        """A line of JSON, as it is but for what a terminal would act on or cannot show; it is the same value."""
        if self.mode == "human":
            text = clean(text) if _is_utf8() else "".join(sign if sign.isascii() else _escape(sign) for sign in clean(text))
            with standard_output():
                sys.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """Something worth knowing that is no error."""
        if self.mode == "human":
            self.err.print(_text("note: ", "cyan") + _text(text), soft_wrap=True)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None) -> None:
        """A table of the result."""
        if self.mode != "human":
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, show_footer=total is not None, pad_edge=False)
        for number, column in enumerate(columns):
            footer = _text(total[number], "bold") if total else ""
            table.add_column(
                _text(column.name),
                footer,
                justify="right" if column.right else "left",
                overflow="fold",
                no_wrap=column.right or column.whole,
            )
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
        with standard_output():
            self.out.print(table)

    def errors(self, problems: Sequence[Problem], exit_code: int) -> None:
        """Every problem: place, what is wrong, what to do. In ``json`` mode as the document."""
        if self.mode == "json":
            self.document({"problems": [problem_value(problem) for problem in problems]}, exit_code)
            return
        for problem in problems:
            place = _text(f"{problem.place}: ", "bold") if problem.place else _text("")
            self.err.print(_text("error: ", "bold red") + place + _text(problem.message), soft_wrap=True)
            if problem.hint:
                self.err.print(_text(f"  hint: {problem.hint}", "cyan"), soft_wrap=True)

    @contextmanager
    def watching(self) -> Iterator[tuple[Progress, Report | None]]:
        """Progress on stderr while the block runs, where that is a terminal."""
        if self.mode != "human" or not sys.stderr.isatty() or self.err.is_dumb_terminal:
            yield quiet, None
            return
        with _Bars(self.err) as bars:
            yield bars.tick, bars.download


def problem_value(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "message": problem.message,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "hint": problem.hint,
    }


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


@contextmanager
def standard_output() -> Iterator[None]:
    """Raise NoStandardOutput where the system refuses to write; click and rich would each end the program in a way of their own."""
    try:
        yield
    except BrokenPipeError:
        raise NoStandardOutput(None) from None
    except OSError as error:
        raise NoStandardOutput((error.strerror or str(error)).lower()) from None


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """As every other error of the system, rather than an exit."""
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    return Plain(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if stream.isatty() else WIDE,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(clean(text), style=style, end="")


class _Bars:
    """A bar per phase and per download: rows, megabytes a second, time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def tick(self, tick: Tick) -> None:
        speed = tick.bytes / 1e6 / max(time.monotonic() - self._start(tick.phase), 1e-3)
        self._show(tick.phase, tick.part, f"{tick.rows:,} rows  {speed:.0f} MB/s")

    def download(self, name: str, done: int, total: int) -> None:
        self._start(name)
        self._show(name, done / total if total else 0.0, f"{done / 1e6:.1f} of {total / 1e6:.1f} MB")

    def _start(self, name: str) -> float:
        if name not in self._began:
            self._began[name] = time.monotonic()
            self._tasks[name] = self._bars.add_task(clean(name), total=1.0, done="")
        return self._began[name]

    def _show(self, name: str, part: float, done: str) -> None:
        self._bars.update(self._tasks[name], completed=min(part, 1.0), done=done)
