"""Teapot's own JSON files (lock, manifest, run record): one canonical form, and a reader that says where a value is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from teapot.errors import CheckFailed, Place
from teapot.jsontext import JsonError, canonical, decode

T = TypeVar("T")

HEX64 = frozenset("0123456789abcdef")

_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Controls beyond ASCII, breaks of lines and paragraphs, marks of direction. Spelled out, so that every version of Unicode agrees."""


def document_bytes(value: Mapping[str, Any]) -> bytes:
    """The canonical form: keys sorted, two spaces of indent, UTF-8, one newline at the end. Escaped is what JSON demands, and what terminals obey."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return (text if text.isascii() and "\x7f" not in text else _OBEYED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)).encode()


def parse_document(data: bytes, file: str, noun: str, hint: str) -> Field:
    """Decode a file of Teapot's own and demand its canonical form. ``noun`` is what it is called in messages.

    Raises:
        CheckFailed: it is not JSON, not an object, or not in canonical form.
    """
    try:
        value = decode(data, unique=True)
    except JsonError as error:
        raise CheckFailed(f"the {noun} is not valid JSON: {error}", Place(file), hint) from None
    field = Field(value, "", file, noun, hint)
    mapping = field.mapping()
    try:
        canonical(mapping)
    except JsonError as error:
        raise CheckFailed(f"the {noun} holds what Teapot never writes: {error}", Place(file), hint) from None
    if document_bytes(mapping) != data:
        raise CheckFailed(f"the {noun} is not in canonical form: it was edited, or damaged", Place(file), hint)
    return field


class Field:
    """A value inside such a file, with the path to it. The getters raise CheckFailed that names the path."""

    __slots__ = ("file", "hint", "noun", "path", "used", "value")

    def __init__(self, value: Any, path: str, file: str, noun: str, hint: str) -> None:
        self.value = value
        self.path = path
        self.file = file
        self.noun = noun
        self.hint = hint
        self.used: set[str] = set()

    def fail(self, what: str) -> NoReturn:
        where = self.path or "the top level"
        raise CheckFailed(f"{where} of the {self.noun} {what}", Place(self.file), self.hint)

    def _child(self, value: Any, step: str) -> Field:
        return Field(value, self.path + step, self.file, self.noun, self.hint)

    def mapping(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            self.fail("is not an object")
        return self.value

    def __contains__(self, key: str) -> bool:
        return key in self.mapping()

    def __getitem__(self, key: str) -> Field:
        mapping = self.mapping()
        if key not in mapping:
            self.fail(f"has no '{key}'")
        self.used.add(key)
        return self._child(mapping[key], f".{key}" if self.path else key)

    def items(self) -> Iterator[tuple[str, Field]]:
        for key in self.mapping():
            yield key, self[key]

    def each(self) -> Iterator[Field]:
        if not isinstance(self.value, list):
            self.fail("is not a list")
        for number, value in enumerate(self.value):
            yield self._child(value, f"[{number}]")

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        unknown = sorted(set(self.mapping()) - self.used)
        if unknown:
            self.fail(f"has an unknown key '{unknown[0]}'")

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.fail("is not text")
        return self.value

    def count(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            self.fail("is not a count")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.fail("is not true or false")
        return self.value

    def sha256(self) -> str:
        text = self.text()
        if len(text) != 64 or not HEX64.issuperset(text):
            self.fail("is not a SHA-256")
        return text

    def optional(self, key: str, read: Callable[[Field], T]) -> T | None:
        return read(self[key]) if key in self else None

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.each())

    def counts(self) -> dict[str, int]:
        return {key: item.count() for key, item in self.items()}


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ: (path, old, new), deepest first known place; an absent value is ``None``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(set(old) | set(new)):
            here = f"{path}.{key}" if path else key
            if key in old and key in new:
                yield from differences(old[key], new[key], here)
            else:
                yield here, old.get(key), new.get(key)
    elif _named(old) and _named(new):
        yield from differences({item["id"]: item for item in old}, {item["id"]: item for item in new}, path)
        if (before := [item["id"] for item in old]) != (after := [item["id"] for item in new]) and sorted(before) == sorted(after):
            yield f"{path} (order)", before, after
    elif canonical(old) != canonical(new):  # and not "old != new", to which 1 and true are equal
        yield path, old, new


def _named(value: Any) -> bool:
    """Whether it is a list of things that each have an id of their own."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    ids = [item["id"] for item in value if isinstance(item, dict) and isinstance(item.get("id"), str)]
    return len(ids) == len(set(ids)) == len(value)


def shown(value: Any) -> str:
    """A JSON value for a message: compact, and cut where it is long."""
    if value is None:
        return "absent"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 120 else text[:117] + "..."
