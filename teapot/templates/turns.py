"""The assistant's messages found again in what a template made of them, by signs put around their words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from teapot.templates.chat import Chat, Message
from teapot.templates.render import ChatTemplate, TemplateError
from teapot.templates.signs import free_signs, take_out

Span = tuple[int, int]

REASONING_HINT = "leave reasoning out (--no-reasoning), or take a template that has a place for it"


class Reasonless(TemplateError):
    """The template has no place for the reasoning of the last answer."""


@dataclass(slots=True)
class Turn:
    """An assistant's message: its number from 0, where its parts lie, and the ``{% generation %}`` block around it, if there are any."""

    number: int
    message: Message
    reasoning: Span | None
    content: Span | None
    calls: tuple[Span, ...]
    block: Span | None = None

    def parts(self) -> list[Span]:
        return [one for one in (self.reasoning, self.content, *self.calls) if one is not None]

    @property
    def plain(self) -> bool:
        """Whether it is words alone."""
        return self.reasoning is None and not self.calls


def fault(template: ChatTemplate, number: int, message: Message, what: str, hint: str | None = None) -> TemplateError:
    return TemplateError(f"in the template '{template.name}' message {number + 1} ({message['role']}) {what}", hint=hint)


def find_turns(template: ChatTemplate, chat: Chat) -> tuple[str, list[Turn]]:
    """The text of the chat, and every assistant's message in it.

    Templates trim: the signs go around what is left, whichever trim that takes.

    Raises:
        TemplateError: the template refuses the chat, changes or leaves out what the assistant says, or writes it twice.
    """
    plain = template.text([given(message) for message in chat.messages], chat.tools)
    parts = sum(2 + len(message.get("tool_calls", ())) for message in chat.messages)
    signs = free_signs(2 * parts + 2, [template.source, *(text for _, _, text in chat.texts())])
    tried: set[tuple[str, ...]] = set()
    for head, tail in product(TRIMS, repeat=2):
        messages, cores = _signed(chat, signs, head, tail)
        if cores in tried:
            continue
        tried.add(cores)
        text, places = take_out(template.text(messages, chat.tools, signs=(signs[-2], signs[-1])), signs)
        if text == plain:
            turns = _located(template, chat, iter(signs), places)
            if template.generation:
                _take_blocks(template, turns, [*zip(places[signs[-2]], places[signs[-1]], strict=True)])
            return plain, turns
    raise TemplateError(f"the template '{template.name}' changes what the assistant says")


def given(message: Message) -> Message:
    """The message as the template gets it: with its thought written into the content, where that has to be."""
    before, after = message.get("inline", (None, None))
    told = {key: value for key, value in message.items() if key != "inline"}
    if before is not None:
        told["content"] = before + told.pop("reasoning_content") + after + told["content"]
    return told


TRIMS = ("", "\n", None)
"""What templates cut off texts: nothing, line ends, all white space; as arguments of ``str.strip``."""


def trimmed(text: str, head: str | None, tail: str | None) -> tuple[str, str, str]:
    """What a template may cut off before, what is left, and what it may cut off after."""
    left = len(text) - len(text.lstrip(head))
    right = left + len(text[left:].rstrip(tail))
    return text[:left], text[left:right], text[right:]


def _signed(chat: Chat, signs: Sequence[str], head: str | None, tail: str | None) -> tuple[list[Message], tuple[str, ...]]:
    cores: list[str] = []
    following = iter(signs)

    def sign(text: str) -> str:
        opening, closing = next(following), next(following)
        before, core, after = trimmed(text, head, tail)
        cores.append(core)
        return f"{before}{opening}{core}{closing}{after}" if core else text

    messages = []
    for message in chat.messages:
        if message["role"] == "assistant":
            message = {**message, "reasoning_content": sign(message.get("reasoning_content", "")), "content": sign(message["content"])}
            calls = message.get("tool_calls", ())
            message["tool_calls"] = [{**one, "function": {**one["function"], "name": sign(one["function"]["name"])}} for one in calls]
            message = {key: value for key, value in message.items() if value or key == "content"}
        messages.append(given(message))
    return messages, tuple(cores)


def _located(template: ChatTemplate, chat: Chat, signs: Iterator[str], places: dict[str, list[int]]) -> list[Turn]:
    turns = []
    for number, message in enumerate(chat.messages):
        if message["role"] != "assistant":
            continue
        found: list[Span | None] = []
        for _ in range(2 + len(message.get("tool_calls", ()))):
            opening, closing = places[next(signs)], places[next(signs)]
            if len(opening) > 1 or len(opening) != len(closing):
                raise fault(template, number, message, "is written more than once")
            found.append((opening[0], closing[0]) if opening else None)
        reasoning, content, *calls = found
        if content is None and message["content"].strip():
            raise fault(template, number, message, "is left out")
        if None in calls:
            raise fault(template, number, message, "loses a tool call")
        turns.append(Turn(number, message, reasoning, content, tuple(one for one in calls if one is not None)))
        if not (calls or message["content"].strip()):
            raise fault(template, number, message, "says nothing")
    if turns and turns[-1].reasoning is None and turns[-1].message.get("reasoning_content"):
        if "inline" not in turns[-1].message:
            raise Reasonless(f"the template '{template.name}' has no place for reasoning")
        raise fault(template, turns[-1].number, turns[-1].message, "loses its reasoning", REASONING_HINT)
    return turns


def _take_blocks(template: ChatTemplate, turns: Sequence[Turn], blocks: Sequence[Span]) -> None:
    """Give each message the block around it; there must be one for each, and no more."""
    if len(blocks) != len(turns):
        raise TemplateError(f"the template '{template.name}' marks {len(blocks)} texts as generated, and {len(turns)} are the assistant's")
    for turn, block in zip(turns, blocks, strict=True):
        if any(not block[0] <= start <= end <= block[1] for start, end in turn.parts()):
            raise fault(template, turn.number, turn.message, "is not what is marked as generated")
        turn.block = block
