"""What a template puts around the turns, found by giving it two questions and two answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from teapot.templates.render import ChatTemplate, TemplateError
from teapot.templates.signs import free_signs, take_out

TOKEN = re.compile(r"<[|｜][^<>\s]{1,64}?[|｜]>|〈\|[^〈〉\s]{1,64}\|〉|</?s>|<[a-zA-Z_/][^<>\s]{0,62}>|\[/?[A-Z][A-Z_]{1,40}\]")
"""What looks like a token with which a template marks turns."""

_CONTROL = re.compile(r"<[|｜][^<>\s|｜][^<>\s]{0,62}?[|｜]>|<\|[^<>\s]{1,62}>|<[^<>\s]{1,62}\|>|</?s>|\[/?[A-Z][A-Z_]{1,40}\]")
"""Those of them that are surely one, wherever in a template's text they stand."""

_THINK = re.compile(r"</?[\w:]*(think|reasoning)[\w:]*>")


@dataclass(frozen=True, slots=True)
class Anatomy:
    """``ends``: what follows the assistant's words when the chat goes on, and where it ends there. ``header``: what comes before them.

    ``marks`` are the texts by which turns are told apart: no content may hold one.
    """

    ends: tuple[str, str]
    header: str
    marks: tuple[str, ...]

    def heads(self, text: str) -> bool:
        """Whether ``text`` holds a token of the header."""
        return any(token in text for token in tokens_of(self.header))


def tokens_of(text: str) -> list[str]:
    """What marks turns in a text of the template's own; marks of reasoning are the assistant's."""
    return [token for token in TOKEN.findall(text) if not _THINK.fullmatch(token)]


@lru_cache(maxsize=64)
def anatomy(template: ChatTemplate) -> Anatomy:
    """Raises TemplateError: it refuses such a chat, loses a part of it, or the assistant's turns have no end of their own."""
    signs = free_signs(8, [template.source])
    words = [f"{signs[2 * number]}probe{signs[2 * number + 1]}" for number in range(4)]
    roles = ("user", "assistant", "user", "assistant")
    marked = template.text([{"role": role, "content": word} for role, word in zip(roles, words, strict=True)])
    text, places = take_out(marked, signs)
    found = [places[sign] for sign in signs]
    if any(len(one) != 1 for one in found) or [one[0] for one in found] != sorted(one[0] for one in found):
        raise TemplateError(f"the template '{template.name}' does not write two questions and two answers one after the other")
    at = [one[0] for one in found]
    before, between, after = text[at[1] : at[2]], text[at[3] : at[4]], text[at[7] :]
    ends = _ends(template, between, after)
    if not before.strip():
        raise TemplateError(f"the template '{template.name}' puts nothing between a question and its answer")
    return Anatomy(ends, _header(template) or before, _marks(template, (before, between, after)))


def _ends(template: ChatTemplate, between: str, after: str) -> tuple[str, str]:
    """The end of an answer: before another question, and at the end of the chat.

    The second one is the same where the template leaves it out, so that it can be added.
    """
    whole = after.rstrip()
    eos = template.tokens.get("eos_token") or None
    if whole and between.startswith(whole):
        return _told(template, whole), whole
    first = _first(between, eos)
    if first is None or not (between[len(first) :].strip() or first.strip() == eos):
        raise TemplateError(
            f"the template '{template.name}' has no token that ends the assistant's turn: it ends where the next one begins"
        )
    if not whole:
        return first, first
    told = _first(after, eos)
    if told == first and whole[len(first) :].strip() in ("", eos):
        return first, first
    if told == whole:
        return first, whole
    raise TemplateError(f"the template '{template.name}' goes on after the last answer, so that its end cannot be told")


def _told(template: ChatTemplate, end: str) -> str:
    if not any(not sign.isalnum() and not sign.isspace() for sign in end):
        raise TemplateError(f"the template '{template.name}' ends the assistant's turn with '{end}', which may stand in any text")
    return end


def _first(text: str, eos: str | None) -> str | None:
    """The token that ``text`` begins with, and the white space before it."""
    bare = text.lstrip()
    found = eos if eos and bare.startswith(eos) else (match[0] if (match := TOKEN.match(bare)) else None)
    return None if found is None else text[: len(text) - len(bare)] + found


def _header(template: ChatTemplate) -> str | None:
    """What the template adds for the assistant to go on from."""
    question = [{"role": "user", "content": "probe"}]
    try:
        asked, begun = template.text(question), template.text(question, prompt=True)
    except TemplateError:
        return None  # some refuse a chat without an answer
    return begun[len(asked) :] if begun.startswith(asked) else None


def _marks(template: ChatTemplate, scaffold: tuple[str, ...]) -> tuple[str, ...]:
    found = set(_CONTROL.findall(template.source)) | set(template.tokens.values())
    for text in scaffold:
        tokens = tokens_of(text)
        pieces = [piece for piece in TOKEN.sub(" ", text).split() if len(piece) > 1 and not (tokens and piece.isalnum())]
        found.update(tokens, pieces)
    return tuple(sorted(one for one in found if one.strip()))
