"""``teapot render``: a row of a file as the model will see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teapot.checks.content import Content
from teapot.errors import ConfigError, DataError, Place, Problem
from teapot.jsontext import JsonError, decode
from teapot.project import shown
from teapot.templates.chat import chats_of
from teapot.templates.render import ChatTemplate
from teapot.templates.spans import Rendered, render
from teapot.verbs.files import Files
from teapot.verbs.rendering import MAX_LINE, lines_of
from teapot.verbs.validate import content_of, read_manifest


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """A row by its number from 1, and its chats: ``messages``, or ``chosen`` and ``rejected``."""

    row: int
    id: str
    chats: Mapping[str, Rendered]


def render_row(file: Path, template: ChatTemplate, row: int = 1, *, reasoning: bool = True) -> RenderedRow:
    """Render the ``row``-th line of a file that compose wrote; without ``reasoning``, thoughts are left out.

    Raises:
        ConfigError: there is no such file or row.
        DataError: the row is no chat, holds what the template marks turns with, or cannot be rendered with proved spans.
    """
    place = Place(shown(file), row)
    value = _parsed(_packed_line(file, row) if file.suffix == ".zst" else _line(file, row), place)
    try:
        chats = {key: render(template, chat) for key, chat in chats_of(value, reasoning=reasoning).items()}
    except DataError as error:
        raise type(error)(Problem(one.message, one.place or place, one.hint) for one in error.problems) from None
    name = value.get("id")
    return RenderedRow(row, name if isinstance(name, str) else "", chats)


def _line(file: Path, row: int) -> bytes:
    try:
        with file.open("rb") as stream:
            for number in range(1, row + 1):
                line = stream.readline(MAX_LINE + 1)
                if len(line) > MAX_LINE:
                    raise DataError(f"the line is longer than {MAX_LINE} bytes", Place(shown(file), number))
                if not line:
                    raise ConfigError(f"'{shown(file)}' has {number - 1} rows, and no row {row}", Place("--row"))
            return line
    except OSError as error:
        raise ConfigError(f"cannot read '{shown(file)}': {(error.strerror or str(error)).lower()}", hint="check the path") from None


def _packed_line(file: Path, row: int) -> bytes:
    """A line of a compressed file, which only its manifest says the size of."""
    files = Files.of(file)
    entry = read_manifest(file, files).outputs[0]
    found = next((one for one in content_of(files, entry).files if one.path.name == file.name), None)
    if found is None:
        raise ConfigError(f"'{shown(file)}' is no file of its manifest's output", hint="render a file that compose wrote")
    for number, line in enumerate(lines_of(Content.of(found.name, [found], is_compressed=True)), 1):
        if number == row:
            return line
    raise ConfigError(f"'{shown(file)}' has {found.said.rows} rows, and no row {row}", Place("--row"))


def _parsed(line: bytes, place: Place) -> dict[str, Any]:
    try:
        value = decode(line)
    except JsonError as error:
        raise DataError(f"the line is not JSON: {error.message}", place, "render a file that compose wrote") from None
    if not isinstance(value, dict):
        raise DataError("the line is not an object", place, "render a file that compose wrote")
    return value
