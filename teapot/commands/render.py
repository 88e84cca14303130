"""``teapot render``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from teapot.commands.options import PATH, count, with_ui
from teapot.templatefile import given_template
from teapot.templates.spans import Rendered
from teapot.ui import Ui, clean, standard_output
from teapot.verbs.render import render_row

if TYPE_CHECKING:
    from rich.text import Text

OPEN, CLOSE = "⟦", "⟧"
"""Around what is trained on, where there are no colours."""


def _row(context: click.Context, parameter: click.Parameter, text: str) -> int:
    number = count(2**53)(context, parameter, text)
    if number == 0:
        raise click.BadParameter("rows are counted from 1", context, parameter)
    return number


@click.command("render")
@click.argument("file", type=PATH)
@click.option("--template", required=True, metavar="NAME", help="A named template, or the path of one that ends in .jinja.")
@click.option("--row", default="1", show_default=True, metavar="N", callback=_row, help="Which row of the file, counted from 1.")
@click.option("--no-reasoning", is_flag=True, help="Leave thoughts out.")
@click.option("--bos-token", metavar="TOKEN", help="The tokenizer's first token, for a template that asks for it.")
@click.option("--eos-token", metavar="TOKEN", help="The tokenizer's last token, for a template that asks for it.")
@with_ui
def command(file: Path, template: str, row: int, no_reasoning: bool, bos_token: str | None, eos_token: str | None, ui: Ui) -> int:
    """Show a row of FILE as the model will see it, what is trained on in
    colour, or between ⟦ and ⟧.

    \b
    Example:
      teapot render train-quickstart.jsonl --template qwen
      teapot render train-quickstart.jsonl --template llama3 --row 2
    """
    used = given_template(template, bos_token, eos_token)
    found = render_row(file, used, row, reasoning=not no_reasoning)
    if ui.mode == "json":
        chats = {key: _value(one) for key, one in found.chats.items()}
        ui.document({"row": found.row, "id": found.id, "template": {"name": used.name, "sha256": used.sha256}, "chats": chats})
        return 0
    for key, one in found.chats.items():
        if len(found.chats) > 1:
            ui.line(f"{key}:", "bold")
        if ui.mode == "human":
            with standard_output():
                for line in _lines(one, coloured=ui.out.color_system is not None):
                    ui.out.print(line, soft_wrap=True)
        size = sum(end - start for start, end in one.assistant_spans)
        ui.note(f"{len(one.assistant_spans)} of the assistant's turns, {size} of {len(one.text)} characters, are trained on")
        if one.forgotten:
            ui.note(f"the template leaves out the reasoning of message {', '.join(map(str, one.forgotten))}")
    return 0


def _value(one: Rendered) -> dict[str, Any]:
    return {
        "text": one.text,
        "assistant_spans": [list(span) for span in one.assistant_spans],
        "method": one.method,
        "forgotten": list(one.forgotten),
    }


def _lines(one: Rendered, *, coloured: bool) -> Iterator[Text]:
    """The text line by line, marked up."""
    from rich.text import Text

    line = Text()
    for part, trained in _parts(one):
        if trained and not coloured:
            line.append(OPEN)
        for number, piece in enumerate(part.split("\n")):
            if number:
                yield line
                line = Text()
            line.append(clean(piece), style="bold green" if trained else "")
        if trained and not coloured:
            line.append(CLOSE)
    if line:
        yield line


def _parts(one: Rendered) -> Iterator[tuple[str, bool]]:
    at = 0
    for start, end in one.assistant_spans:
        yield one.text[at:start], False
        yield one.text[start:end], True
        at = end
    yield one.text[at:], False
