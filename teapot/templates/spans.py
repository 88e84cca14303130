"""The text of a chat and the places of what is trained on, proved for every chat by itself.

The span of an assistant's message is its words, exactly, and the token that ends its turn. A thought or a tool call belongs to it, from where
the assistant begins: a ``{% generation %}`` block says where that is, or else what the template adds for a generation. Whatever cannot be shown is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, Literal

from teapot.templates.anatomy import TOKEN, Anatomy, anatomy
from teapot.templates.chat import Chat, refuse_tokens
from teapot.templates.render import ChatTemplate, TemplateError
from teapot.templates.thinking import INNER, Thought
from teapot.templates.turns import TRIMS, Reasonless, Span, Turn, fault, find_turns, trimmed

MAX_GLUE = 200
"""How many characters a template may put between the beginning of a turn, its thought and its words."""

_TAGS = re.compile(r"(\s|<[^<>\s]{1,64}>|\[[A-Z_]+\])*")


@dataclass(frozen=True, slots=True)
class Rendered:
    """``assistant_spans`` are offsets in code points of what is trained on, in order, each with the end token of its turn.

    ``method`` says how beginnings were found. ``forgotten`` numbers (from 1) the messages whose reasoning the template leaves out, as some do with
    all but the last answer's.
    """

    text: str
    assistant_spans: tuple[Span, ...]
    method: Literal["generation", "sentinels"]
    forgotten: tuple[int, ...] = ()


def render(template: ChatTemplate, chat: Chat) -> Rendered:
    """The chat as the model sees it; its last answer ends with the end token also where the template leaves that out.

    Raises:
        DataError: a text of the chat holds a mark of the template.
        TemplateError: the template refuses the chat, or the spans cannot be shown.
    """
    body = anatomy(template)
    refuse_tokens(chat, body.marks, template.source)
    try:
        plain, turns = find_turns(template, chat)
    except Reasonless:
        plain, turns = find_turns(template, _inlined(template, chat))
    _demand_all(template, chat, plain)
    text, spans = _Spans(template, body, plain, len(chat.messages) - 1).of(turns)
    kept = tuple(span for turn, span in zip(turns, spans, strict=True) if chat.trained[turn.number])
    forgotten = tuple(turn.number + 1 for turn in turns if turn.reasoning is None and turn.message.get("reasoning_content"))
    return Rendered(text, kept, "generation" if template.generation else "sentinels", forgotten)


def _inlined(template: ChatTemplate, chat: Chat) -> Chat:
    """The chat with what goes around its thoughts inside the contents, for a template that has no place of its own for them."""
    thought = Thought("", "")
    text, half = (thought.inner(), len(INNER[0])) if INNER[0] in template.source else (thought.think(), len("<think>\n"))
    around = (text[:half], text[half:])
    return replace(
        chat, messages=tuple({**message, "inline": around} if "reasoning_content" in message else message for message in chat.messages)
    )


def _demand_all(template: ChatTemplate, chat: Chat, text: str) -> None:
    """What others say must be in the text as well: some templates drop a system message without a word."""
    for number, message in enumerate(chat.messages):
        if message["role"] != "assistant" and not any(one in text for one in _spelt(message["content"].strip())):
            raise fault(template, number, message, "is left out")
    for tool in chat.tools:
        name = tool.get("function", tool).get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or name not in text:
            raise TemplateError(f"the template '{template.name}' leaves out the tools")


class _Spans:
    """The spans of one text."""

    def __init__(self, template: ChatTemplate, body: Anatomy, text: str, last: int) -> None:
        self.template, self.body, self.text, self.last = template, body, text, last

    def of(self, turns: Sequence[Turn]) -> tuple[str, list[Span]]:
        spans = []
        for turn in turns:
            start = self._start(turn)
            spans.append((start, self._end(turn)))
            self._prove(turn, spans[-1])
        if any(one[1] > other[0] for one, other in pairwise(spans)):
            raise TemplateError(f"the template '{self.template.name}' writes the assistant's turns into each other")
        return self.text, spans

    def _fault(self, turn: Turn, what: str) -> TemplateError:
        return fault(self.template, turn.number, turn.message, what)

    def _start(self, turn: Turn) -> int:
        """Where the assistant begins: at its words, or before them where it thinks or calls."""
        first = min(start for start, _ in turn.parts())
        header = self.body.header
        if turn.block is not None and not _TAGS.fullmatch(self.text[turn.block[0] : first]) and turn.plain:
            raise self._fault(turn, "is marked as generated with more before it")
        if turn.plain:
            return first
        if turn.block is not None:
            return turn.block[0] + (len(header) if self.text.startswith(header, turn.block[0]) else 0)
        at = self.text.rfind(header, 0, first)
        if at < 0 or first - at - len(header) > MAX_GLUE:
            raise self._fault(turn, "does not show where it begins, which a thought or a tool call needs")
        return at + len(header)

    def _end(self, turn: Turn) -> int:
        """Where the turn ends. The end token of the last message is added where the template leaves it out."""
        end = max(stop for _, stop in turn.parts())
        if turn.calls:
            handed = self._handed(turn)
            if handed is not None:
                return handed
            found = [at for at in (self.text.find(tail, end) for tail in self.body.ends) if at >= 0]
            end = min(found) if found else len(self.text.rstrip()) if turn.number == self.last else end
        for tail in self.body.ends:
            if self.text.startswith(tail, end):
                return end + len(tail)
        if turn.number == self.last and not self.text[end:].strip():
            self.text = self.text[:end] + self.body.ends[1] + self.text[end:]
            return end + len(self.body.ends[1])
        raise self._fault(turn, f"does not end with '{self.body.ends[0].strip()}'")

    def _handed(self, turn: Turn) -> int | None:
        """Where a call ends that is answered inside the assistant's turn, as Apertus has it: with the last token of its block."""
        if turn.block is None or turn.number == self.last:
            return None
        end = len(self.text[: turn.block[1]].rstrip())
        tokens = TOKEN.findall(self.text[max(0, end - 80) : end])
        return end if tokens and self.text.endswith(tokens[-1], 0, end) else None

    def _prove(self, turn: Turn, span: Span) -> None:
        """Words alone: the span is they and the end. Else: its parts in order, whole, and nothing long or foreign beside them."""
        said = self.text[slice(*span)]
        if turn.plain:
            cores = {trimmed(turn.message["content"], head, tail)[1] for head, tail in product(TRIMS, repeat=2)}
            if said not in {core + tail for core in cores for tail in self.body.ends}:
                raise self._fault(turn, "is not what its span holds")
            return
        parts = turn.parts()
        if parts != sorted(parts) or parts[0][0] < span[0]:
            raise self._fault(turn, "has its parts in another order")
        joints = pairwise([(span[0], span[0]), *parts])
        if any(start - stop > MAX_GLUE for (_, stop), (start, _) in joints if (start, _) not in turn.calls[1:]):
            raise self._fault(turn, "has a text between its thought and its words")
        if self.body.heads(self.text[span[0] : parts[0][0]]):
            raise self._fault(turn, "is marked as generated with its header")
        if turn.calls and self.body.heads(self.text[parts[-1][1] : span[1]]):
            raise self._fault(turn, "runs on into the next one")
        for call in turn.message.get("tool_calls", ()):
            lost = next((leaf for leaf in _leaves(call["function"]["arguments"]) if not any(one in said for one in _spelt(leaf))), None)
            if lost is not None:
                raise self._fault(turn, f"loses '{lost[:40]}' of a tool call")


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _spelt(text: str) -> tuple[str, ...]:
    """How a text may stand in what is rendered: as it is, inside JSON, inside JSON as a text; ``true`` as Python writes it."""
    once = json.dumps(text, ensure_ascii=False)[1:-1]
    return text, once, json.dumps(once, ensure_ascii=False)[1:-1], {"true": "True", "false": "False", "null": "None"}.get(text, text)
