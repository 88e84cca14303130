"""Ollama's Modelfile (https://github.com/ollama/ollama/blob/main/docs/modelfile.md), with the chat template in Ollama's own language where it can be said there.

That language is Go's ``text/template`` over ``.System`` and ``.Messages``. It has no trim, no macro and no loop variable of Jinja's kind, so that only
templates are put into it that write the same texts around every question and answer; whether one does is found by giving it chats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from teapot.errors import CheckFailed
from teapot.templates.render import ChatTemplate, TemplateError

Turn = tuple[str, str]
"""A role and a content."""

_WORDS = (
    "Sagacious counsel",
    "Firstly asked",
    "Firstly answered",
    "Secondly asked",
    "Secondly answered\n\nin {two} parts",
    "Thirdly asked",
)
_ROLES = ("user", "assistant", "user", "assistant", "user")


@dataclass(frozen=True, slots=True)
class Pieces:
    """What stands around the contents: ``opening`` SYSTEM ``closing``, or ``plain``; then QUESTION ``ask`` ANSWER ``answer``, and so on."""

    plain: str
    opening: str
    closing: str
    ask: str
    answer: str

    def text(self, chat: Sequence[Turn]) -> str:
        """A chat that ends with a question, up to where the answer begins."""
        has_system = chat[0][0] == "system"
        head = self.opening + chat[0][1] + self.closing if has_system else self.plain
        return head + "".join(content + (self.ask if role == "user" else self.answer) for role, content in chat[has_system:])

    def without(self, first: str) -> Pieces | None:
        """Without the token that the tokenizer puts first by itself; None where only one of the two beginnings has it."""
        if not (self.plain.startswith(first) and self.opening.startswith(first)):
            return None if self.plain.startswith(first) or self.opening.startswith(first) else self
        return Pieces(self.plain.removeprefix(first), self.opening.removeprefix(first), self.closing, self.ask, self.answer)


def pieces_of(template: ChatTemplate) -> Pieces | None:
    """The pieces of a template; None where it cannot be shown that there are no others."""
    system, questions = ("system", _WORDS[0]), list(zip(_ROLES, _WORDS[1:], strict=True))
    try:
        alone = _cut(template, questions[:1])
        led = _cut(template, [system, *questions[:1]])
        pair = _cut(template, questions[:3])
        if alone is None or led is None or pair is None:
            return None
        found = Pieces(alone[0], led[0], led[1], alone[1], pair[2])
        chats = [head + questions[:size] for head in ([], [system]) for size in (1, 3, 5)]
        return found if all(_rendered(template, chat) == found.text(chat) for chat in chats) else None
    except TemplateError:
        return None


def probes_of(template: ChatTemplate) -> list[dict[str, Any]]:
    """Plain chats, each with the prompt that the template makes of it; none where that changes from day to day, or is refused."""
    if "strftime_now" in template.source:
        return []
    questions = list(zip(_ROLES, _WORDS[1:], strict=True))
    chats = [head + questions[:size] for head in ([], [("system", _WORDS[0])]) for size in (1, 3)]
    found = []
    for chat in chats:
        with suppress(TemplateError):
            prompt = _rendered(template, chat)
            found.append({"messages": [{"role": role, "content": content} for role, content in chat], "prompt": prompt})
    return found


def _rendered(template: ChatTemplate, chat: Sequence[Turn]) -> str:
    return template.text([{"role": role, "content": content} for role, content in chat], prompt=True)


def _cut(template: ChatTemplate, chat: Sequence[Turn]) -> list[str] | None:
    """The text between the contents, each of which must stand in it once, in order."""
    rest, parts = _rendered(template, chat), []
    for _, content in chat:
        if rest.count(content) != 1:
            return None
        before, _, rest = rest.partition(content)
        parts.append(before)
    return [*parts, rest]


def go_template(pieces: Pieces) -> str:
    """The pieces in Go's language, for chats that end with a question. Ollama joins messages of one role that follow each other."""
    plain, opening, closing, ask, answer = (
        _literal(one) for one in (pieces.plain, pieces.opening, pieces.closing, pieces.ask, pieces.answer)
    )
    return (
        "{{ if .System }}" + opening + "{{ .System }}" + closing + "{{ else }}" + plain + "{{ end }}"
        '{{ range .Messages }}{{ if eq .Role "user" }}{{ .Content }}' + ask + ""
        '{{ else if eq .Role "assistant" }}{{ .Content }}' + answer + "{{ end }}{{ end }}"
    )


def _literal(text: str) -> str:
    """As it is, but that a brace could begin one of Go's actions."""
    return text.replace("{", '{{ "{" }}')


def _is_kept(text: str) -> bool:
    """Whether Ollama's parser keeps every character: it drops what is not printable, and three quotes end a text."""
    return '"""' not in text and all(sign.isprintable() or sign in "\n\t" for sign in text)


_STOP = re.compile(r'[^"\s][^"]*')

_UNSAID = """\
# The chat template cannot be said in Ollama's language: without a TEMPLATE Ollama takes one of its own, if it knows the model's.
# Serve the model with llama-server where the answers must be the trained ones.
"""


def modelfile(model: str, template: Pieces | None, end: str, context: int) -> bytes:
    """The Modelfile for a model of this file or folder name beside it. ``context`` is in tokens.

    Raises:
        CheckFailed: the end token cannot be written in one.
    """
    if not (_STOP.fullmatch(end) and _is_kept(end) and "\n" not in end):
        raise CheckFailed(
            f"the end token '{end}' cannot be written into a Modelfile", hint="train with a template whose end token is one word"
        )
    text = go_template(template) if template is not None else ""
    said = f'TEMPLATE """{text}"""\n' if text and _is_kept(text) else _UNSAID
    return (f'FROM ./{model}\n{said}PARAMETER stop "{end}"\nPARAMETER num_ctx {context}\n').encode()


def is_said(data: bytes) -> bool:
    """Whether a Modelfile holds the template."""
    return b'\nTEMPLATE """' in data
