"""Text to fill rows with: words that nobody wrote, in three scripts, the same on every machine."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

POOL_CHARS = 1 << 20
"""Length of the text of one script. A message is a stretch of it."""

LONGEST = 1 << 16
"""Characters of the longest stretch."""

LETTERS = {
    "latin": ([*"bcdfghlmnprstv", "st", "tr", "pl"], [*"aeiou", "ea", "ou"]),
    "cyrillic": ([*"бвгджзклмнпрст", "ст", "тр"], [*"аеиоуяюы"]),
}
HAN = [chr(0x4E00 + 7 * i) for i in range(2400)]


class Numbers:
    """A stream of 64-bit numbers (splitmix64, Steele, Lea and Flood 2014), so that no version of ``random`` decides a byte."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, limit: int) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return ((mixed ^ (mixed >> 31)) * limit) >> 64


def _words(script: str, numbers: Numbers) -> list[str]:
    """3,000 words; the first are the frequent ones, and short."""
    if script == "han":
        return ["".join(HAN[numbers.below(len(HAN))] for _ in range(1 + numbers.below(3))) for _ in range(3000)]
    heads, vowels = LETTERS[script]
    return [
        "".join(heads[numbers.below(len(heads))] + vowels[numbers.below(len(vowels))] for _ in range(1 + numbers.below(2 + i // 1000)))
        for i in range(3000)
    ]


def _end(script: str, number: int) -> str:
    """What follows a sentence: mostly a space, sometimes a paragraph, a quotation, a piece of code with a backslash."""
    if number == 0:
        return '\n\n```\nprint("a\\tb", [0x1F, 2 ** 10])\n```\n\n'
    if number < 12:
        return "\n\n"
    if number < 20:
        return ' "' if script != "han" else "「"
    return " " if script != "han" else ""


@functools.cache
def pool(script: str) -> str:
    """``POOL_CHARS`` characters of sentences in ``latin``, ``cyrillic`` or ``han``."""
    numbers = Numbers(int.from_bytes(hashlib.sha256(script.encode()).digest()[:8], "big"))
    words = _words(script, numbers)
    space, stop = ("", "。") if script == "han" else (" ", ".")
    parts: list[str] = []
    length = 0
    while length < POOL_CHARS:
        chosen = [words[numbers.below(numbers.below(len(words)) + 1)] for _ in range(4 + numbers.below(16))]
        sentence = space.join(chosen).capitalize() + stop + _end(script, numbers.below(100))
        parts.append(sentence)
        length += len(sentence)
    return "".join(parts)[:POOL_CHARS]


@dataclass(frozen=True, slots=True)
class Script:
    """One script's pool; ``scale`` is how many of its characters say as much as 1,000 Latin ones."""

    text: str
    scale: int

    def stretch(self, place: int, length: int) -> str:
        """``length`` characters, not all white space; ``place`` is any number from 0 to 2^32 - 1."""
        at = (place * (POOL_CHARS - LONGEST)) >> 32
        return self.text[at : at + length].strip() or "?"


@functools.cache
def script_of(number: int) -> Script:
    """The script of a row from a number below 10: eight rows in ten are Latin, one Cyrillic, one Han."""
    name, scale = ("latin", 1000) if number < 8 else ("cyrillic", 950) if number == 8 else ("han", 320)
    return Script(pool(name), scale)
