"""Every row of an output, rendered: the text of the model that is trained, and where in it is trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from teapot.checks.content import Content, read_file
from teapot.errors import CheckFailed, DataError, Place, Problem, Problems
from teapot.jsontext import JsonError, decode
from teapot.manifest import Manifest
from teapot.progress import EVERY, Progress, Tick
from teapot.templates.anatomy import anatomy
from teapot.templates.chat import chats_of
from teapot.templates.render import ChatTemplate, TemplateError
from teapot.templates.spans import Rendered, render

MAX_LINE = 64 * 1024 * 1024
"""The length in bytes of the longest line that is read."""

MAX_PROBLEMS = 20
"""How many rows that cannot be rendered are listed."""

HINT = "drop the row from its module, or train with another template"


@dataclass(frozen=True, slots=True)
class RenderedRows:
    """What was written: its SHA-256, and lengths in code points. ``forgetful`` counts the rows of which the template leaves out reasoning."""

    sha256: str
    rows: int
    chars: int
    trained_chars: int
    forgetful: int


def render_rows(content: Content, manifest: Manifest, template: ChatTemplate, out: BinaryIO, progress: Progress) -> RenderedRows:
    """Render the lines of an output into ``out``, a JSON object each: ``text`` and ``spans``, or ``prompt``, ``chosen`` and ``rejected``.

    Raises:
        CheckFailed: the lines are not the ones of the manifest.
        DataError: rows cannot be rendered with proved spans; it lists the first of them.
    """
    total = RenderedRows("", 0, 0, 0, 0)
    digest, entry = hashlib.sha256(), manifest.outputs[0]
    source, problems, size = hashlib.sha256(), Problems(), 0
    for number, line in enumerate(_read(content), 1):
        source.update(line)
        size += len(line)
        place = Place(content.name, number)
        try:
            row, add = _render(line, template, manifest.settings.get("include_reasoning") is not False)
        except DataError as error:
            problems.found.extend(Problem(one.message, one.place or place, one.hint or HINT) for one in error.problems)
            if len(problems.found) >= MAX_PROBLEMS:
                problems.add(f"there are {MAX_PROBLEMS} rows or more like this; these are the first of them")
                break
            continue
        data = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        digest.update(data)
        out.write(data)
        total = replace(
            total,
            rows=total.rows + 1,
            chars=total.chars + add.chars,
            trained_chars=total.trained_chars + add.trained_chars,
            forgetful=total.forgetful + add.forgetful,
        )
        if number % EVERY == 0:
            progress(Tick("render", number, size, number / max(entry.rows, 1)))
    else:
        if (source.hexdigest(), size) != (entry.sha256, entry.size):
            raise CheckFailed(
                f"the lines are not the ones of the manifest (sha256 {source.hexdigest()[:12]}, not {entry.sha256[:12]})",
                Place(content.name),
                "compose again",
            )
    problems.raise_as(DataError)
    return replace(total, sha256=digest.hexdigest())


def _render(line: bytes, template: ChatTemplate, reasoning: bool) -> tuple[dict[str, Any], RenderedRows]:
    row = _decoded(line)
    chats = {key: render(template, chat) for key, chat in chats_of(row, reasoning=reasoning).items()}
    forgetful = int(any(one.forgotten for one in chats.values()))
    if "messages" in chats:
        one = chats["messages"]
        if not one.assistant_spans:
            raise DataError("the row has nothing to train on: every answer of it has 'train: false'")
        trained = sum(stop - start for start, stop in one.assistant_spans)
        return {"id": row["id"], "text": one.text, "spans": one.assistant_spans}, RenderedRows("", 1, len(one.text), trained, forgetful)
    pair = _pair(chats)
    answers = len(pair["chosen"]) + len(pair["rejected"])
    return {"id": row["id"], **pair}, RenderedRows("", 1, 2 * len(pair["prompt"]) + answers, answers, forgetful)


def _pair(chats: dict[str, Rendered]) -> dict[str, str]:
    """One prompt, and two answers to it."""
    cut: dict[str, tuple[str, str]] = {}
    for side, one in chats.items():
        if len(one.assistant_spans) != 1:
            raise DataError(f"'{side}' has {len(one.assistant_spans)} answers; DPO compares one with one", hint=HINT)
        start, stop = one.assistant_spans[0]
        cut[side] = (one.text[:start], one.text[start:stop])
    if cut["chosen"][0] != cut["rejected"][0]:
        raise DataError("'chosen' and 'rejected' do not begin with the same prompt", hint=HINT)
    return {"prompt": cut["chosen"][0], "chosen": cut["chosen"][1], "rejected": cut["rejected"][1]}


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        row = decode(line)
    except JsonError as error:
        raise DataError(f"the line is not JSON: {error.message}", hint="compose again") from None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise DataError("the line is no row", hint="compose again")
    return row


def lines_of(content: Content) -> Iterator[bytes]:
    """The lines of all files, one after the other."""
    for file in content.files:
        rest = b""
        for data in read_file(file, content.is_compressed):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield line + b"\n"
            if len(rest) > MAX_LINE:
                raise DataError(f"a line is longer than {MAX_LINE} bytes", Place(file.name))
        if rest:
            yield rest


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the system's errors while the data is read into CheckFailed."""
    try:
        yield
    except OSError as error:
        raise CheckFailed(f"the data cannot be read: {error.strerror or error}", Place(name), "compose again") from None


def _read(content: Content) -> Iterator[bytes]:
    with reading(content.name):
        yield from lines_of(content)


def end_token(template: ChatTemplate) -> str:
    """The token with which an answer ends.

    Raises:
        TemplateError: it cannot be told.
    """
    return anatomy(template).ends[1].strip()


__all__ = ["RenderedRows", "TemplateError", "end_token", "reading", "render_rows"]
