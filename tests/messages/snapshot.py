"""snapshots/messages.txt: each message with an example of it. Written from what was shown, and read by docs/make_errors.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from teapot.ui import clean
from tests.messages.bench import Shown, neutral

FILE = Path(__file__).resolve().parents[1] / "snapshots" / "messages.txt"

WIDE = 300
"""How much of an example stands there."""

HEAD = """\
# Every message of Teapot, by the function that makes it: its template, and an example as it was provoked: place, message, hint, exit code.
# Written by tests/test_messages.py with TEAPOT_UPDATE_SNAPSHOTS=1; docs/errors.md is made from it.
"""

OTHERS = [
    (r"(cannot be read as (?:Parquet|Arrow)): .*", r"\1: …"),
    (r"(the ledger cannot be read): .*", r"\1: …"),
    (r"(is not valid (?:gzip|zstd) data): .*", r"\1: …"),
    (r"(it is damaged) \(.*\)", r"\1 (…)"),
    (r"(cannot write '/proc/[^']*'): .*", r"\1: …"),
    (r"(fails at the chat): .*", r"\1: …"),
    (r"(refuses the chat): .*", r"\1: …"),
    (r"\(\w+\.py:[0-9]+\)", "(FILE:LINE)"),
    (r"(is not valid in line [0-9]+): .*", r"\1: …"),
    (r"(has) [0-9.]+ (GB left; temporary files will take about) [0-9.]+", r"\1 … \2 …"),
]
"""The words of other programs, which depend on their versions."""


@dataclass(frozen=True)
class Entry:
    """One message. ``place`` and ``hint`` are those of the example."""

    file: str
    function: str
    template: str
    place: str
    message: str
    hint: str
    code: int


def entry(key: tuple[str, str, str], shown: Shown) -> Entry:
    problem = shown.problem
    return Entry(*key, *(_short(text) for text in (str(problem.place or ""), problem.message, problem.hint or "")), int(shown.code))


def _short(text: str) -> str:
    text = neutral(clean(text))
    for pattern, instead in OTHERS:
        text = re.sub(pattern, instead, text)
    return text if len(text) <= WIDE else text[:WIDE] + "…"


def written(shown: Mapping[tuple[str, str, str], Shown]) -> str:
    """The text of the snapshot."""
    parts, section = [HEAD], ""
    for one in sorted((entry(key, value) for key, value in shown.items()), key=lambda one: (one.file, one.function, one.template)):
        name = f"{one.file} {one.function}"
        if name != section:
            parts.append(f"\n[{name}]\n")
            section = name
        place = f"{one.place}: " if one.place else ""
        parts.append(f"\n{clean(one.template)}\n  exit {one.code}\n  at {place.removesuffix(': ')}\n  {one.message}\n  hint {one.hint}\n")
    return "".join(f"{line.rstrip()}\n" for line in "".join(parts).split("\n")[:-1])


def read(text: str) -> Iterator[Entry]:
    """The messages of a snapshot's text."""
    file = function = ""
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    while lines:
        line = lines.pop(0)
        if section := re.fullmatch(r"\[(\S+\.py) ?(.*)\]", line):
            file, function = section[1], section[2]
            continue
        code, place, message, hint = (lines.pop(0)[2:] for _ in range(4))
        place, hint = (value.partition(" ")[2] for value in (place, hint))
        yield Entry(file, function, line, place, message, hint, int(code.removeprefix("exit ")))
