"""The reasoning of an assistant's message: apart (``reasoning_content``), inside ``<think>``, or between Apertus' inner tokens."""

from __future__ import annotations

from dataclasses import dataclass

from teapot.errors import DataError

THINK = ("<think>", "</think>")
INNER = ("<|inner_prefix|>", "<|inner_suffix|>")


@dataclass(frozen=True, slots=True)
class Thought:
    """A reasoning and the answer after it, and the white space that a text had around its marks.

    ``Thought.parse(text).think() == text`` for every text, and ``Thought.parse(Thought(r, a).think()) == Thought(r, a)`` for every ``r`` that does
    not hold the closing mark.
    """

    reasoning: str | None
    answer: str
    before: str = ""
    opened: str = "\n"
    closed: str = "\n"
    gap: str = "\n\n"

    @classmethod
    def parse(cls, text: str, marks: tuple[str, str] = THINK) -> Thought:
        """The thought that ``text`` begins with. What has no closed one is all answer."""
        start, end = marks
        body = text.lstrip()
        before = text[: len(text) - len(body)]
        if not body.startswith(start) or end not in body:
            return cls(None, text)
        inner, _, rest = body[len(start) :].partition(end)
        opened = "\n" if inner.startswith("\n") else ""
        inner = inner[len(opened) :]
        closed = "\n" if inner.endswith("\n") else ""
        gap = rest[: min(2, len(rest) - len(rest.lstrip("\n")))]
        return cls(inner[: len(inner) - len(closed)], rest[len(gap) :], before, opened, closed, gap)

    def think(self) -> str:
        """As text with ``<think>``, as it stood, or in the usual form."""
        return self._write(THINK)

    def inner(self) -> str:
        """As Apertus writes it: without any white space around its marks."""
        return Thought(self.reasoning, self.answer, "", "", "", "")._write(INNER)

    def _write(self, marks: tuple[str, str]) -> str:
        if self.reasoning is None:
            return self.answer
        if marks[1] in self.reasoning:
            raise DataError(f"the reasoning holds '{marks[1]}', which would end it", hint="cut it out of the reasoning")
        return f"{self.before}{marks[0]}{self.opened}{self.reasoning}{self.closed}{marks[1]}{self.gap}{self.answer}"


def strip_think(text: str) -> str:
    """``text`` without the thought that it begins with."""
    return Thought.parse(text).answer


def to_inner(text: str) -> str:
    """``<think>`` to Apertus' tokens."""
    return Thought.parse(text).inner()


def from_inner(text: str) -> str:
    """Apertus' tokens to ``<think>``, in the usual form."""
    thought = Thought.parse(text, INNER)
    return Thought(thought.reasoning, thought.answer).think()
