"""Signs: characters that occur nowhere in a chat or its template, put around texts to find them again in what was rendered.

They come from the private use areas, so that no filter takes them for letters, spaces or punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from teapot.errors import DataError

_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")


def free_signs(count: int, texts: Iterable[str]) -> list[str]:
    """``count`` private characters that none of ``texts`` holds.

    Raises:
        DataError: there are not so many.
    """
    used = {sign for text in texts for sign in _PRIVATE.findall(text)}
    codes = chain(range(0x100000, 0x10FFFE), range(0xF0000, 0xFFFFE), range(0xE000, 0xF900))
    found = list(islice((sign for sign in map(chr, codes) if sign not in used), count))
    if len(found) < count:
        raise DataError("the chat has too many messages for finding each of them again", hint="split the conversation")
    return found


def take_out(text: str, signs: Iterable[str]) -> tuple[str, dict[str, list[int]]]:
    """``text`` without the signs, and where each of them stood in that."""
    places: dict[str, list[int]] = {sign: [] for sign in signs}
    kept: list[str] = []
    size = 0
    for part in _split(text, places):
        if part in places:
            places[part].append(size)
        else:
            kept.append(part)
            size += len(part)
    return "".join(kept), places


def _split(text: str, signs: dict[str, list[int]]) -> Iterator[str]:
    if not signs:
        yield text
        return
    yield from re.split(f"([{''.join(map(re.escape, signs))}])", text)
