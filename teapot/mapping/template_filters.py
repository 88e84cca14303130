"""The filters of the template language: each takes a value that is there and gives another."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from teapot.jsontext import JsonError, canonical_text
from teapot.mapping.paths import MISSING, Found
from teapot.mapping.row import SPACE, RowError, drop_nulls, json_row_error
from teapot.mapping.tools import name_of
from teapot.model import Json

MAX_TEXT: Final = 16 * 2**20
"""How many characters a filter may give; what a whole template may is counted in bytes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One filter with its argument. Only one that ``fills`` is given what is missing or null."""

    apply: Callable[[Found], Found]
    fills: bool = False


@dataclass(frozen=True, slots=True)
class FilterKind:
    """How a filter is built: from the field's name (for what is said about it) and the text in its brackets."""

    make: Callable[[str, str], Step]
    takes_text: bool
    example: str


def shown(value: Found, name: str) -> str:
    """A scalar as text: numbers and truth values as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise RowError("not-text", f'"{name}" is {name_of(value)}, which needs a filter (join, json, first) to become text')
    return _json(value, name)


def _json(value: Found, name: str) -> str:
    assert value is not MISSING
    try:
        return canonical_text(drop_nulls(value))
    except JsonError as error:
        raise json_row_error(error, f'"{name}"') from None


def _listed(value: Found, name: str, what: str) -> list[Json]:
    assert value is not MISSING
    if not isinstance(value, list):
        raise RowError("not-a-list", f'"{name}" must be a list for "{what}", not {name_of(value)}')
    return value


def _join(name: str, separator: str) -> Step:
    def apply(value: Found) -> Found:
        texts: list[str] = []
        for place, item in enumerate(_listed(value, name, "join"), 1):
            if item is None:
                raise RowError("missing-field", f'element {place} of "{name}" is null')
            texts.append(shown(item, f"{name}, element {place}"))
        if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
            raise RowError("template-too-large", f'"{name}" joined is more than {MAX_TEXT // 2**20} MiB of text')
        return separator.join(texts)

    return Step(apply)


def _end(place: int, what: str) -> Callable[[str, str], Step]:
    def make(name: str, _: str) -> Step:
        def apply(value: Found) -> Found:
            items = _listed(value, name, what)
            return items[place] if items else MISSING

        return Step(apply)

    return make


def _of_text(change: Callable[[str, str], Json]) -> Callable[[str, str], Step]:
    def make(name: str, argument: str) -> Step:
        return Step(lambda value: change(shown(value, name), argument))

    return make


def _lines(text: str, _: str) -> Json:
    lines: list[Json] = list(text.replace("\r\n", "\n").split("\n"))
    return lines[:-1] if lines[-1] == "" else lines


def _default(_: str, argument: str) -> Step:
    return Step(lambda value: argument if value is MISSING or value is None else value, fills=True)


def cased(text: str, change: Callable[[str], str]) -> str:
    """``text`` in another case, the same under every version of Unicode: characters that came after Unicode 3.2 stay as they are."""
    if text.isascii():
        return change(text)
    known = unicodedata.ucd_3_2_0.category
    changed = ((char, change(char)) for char in text)
    return "".join([new if all(known(part) != "Cn" for part in char + new) else char for char, new in changed])


FILTERS: Final[dict[str, FilterKind]] = {
    "join": FilterKind(_join, True, r"join('\n')"),
    "json": FilterKind(lambda name, _: Step(lambda value: _json(value, name)), False, "json"),
    "lines": FilterKind(_of_text(_lines), False, "lines"),
    "first": FilterKind(_end(0, "first"), False, "first"),
    "last": FilterKind(_end(-1, "last"), False, "last"),
    "trim": FilterKind(_of_text(lambda text, _: text.strip(SPACE)), False, "trim"),
    "upper": FilterKind(_of_text(lambda text, _: cased(text, str.upper)), False, "upper"),
    "lower": FilterKind(_of_text(lambda text, _: cased(text, str.lower)), False, "lower"),
    "prefix": FilterKind(_of_text(lambda text, before: before + text if text else ""), True, r"prefix('\n')"),
    "suffix": FilterKind(_of_text(lambda text, after: text + after if text else ""), True, r"suffix('\n')"),
    "default": FilterKind(_default, True, "default('')"),
}
