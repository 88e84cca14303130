"""One line of an output: is it a row in canonical form, can it be trained on, and what is its digest.

Plain chat lines take a short way: the line is decoded into typed values, and encoding these gives the line again, which proves the columns, their
types, their order and the canonical form at once. Every line for which that way does not hold is for the full check, which words every error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from teapot.checks.compiled import SHORT, compiled_checker, is_canonical_quoted, is_canonical_text
from teapot.checks.expected import Expected
from teapot.jsontext import JsonError, canonical, decode
from teapot.mapping.row import KIND_KEYS, SPACE, Row, RowError, digest_payload
from teapot.model import Kind
from teapot.rowcheck import check_row, find_control_token
from teapot.rowform import shape_error


class Checked(NamedTuple):
    """A line that is in form. ``wrong`` says why its row cannot be trained on, if it cannot."""

    id: str
    module: str
    source: str
    license: str
    digest: bytes
    wrong: str | None = None


class NoRow(NamedTuple):
    """A line that is not in form, and why."""

    reason: str


def line_checker(expected: Expected) -> Callable[[bytes], Checked | NoRow]:
    """The check of a line with its newline, where such rows are expected."""
    full = FullCheck(expected)
    if expected.kind != "chat":
        return full
    short = chat_check(expected.columns)
    compiled = compiled_check(expected.columns)
    if compiled is None:
        return lambda line: short(line) or full(line)
    return lambda line: compiled(line) or short(line) or full(line)


class FullCheck:
    """Any line of any kind."""

    def __init__(self, expected: Expected) -> None:
        self.columns = expected.columns
        self.features = expected.features
        self.kind: Kind = expected.kind  # type: ignore[assignment]  # parse_manifest has looked

    def __call__(self, line: bytes) -> Checked | NoRow:
        try:
            value = decode(line.removesuffix(b"\n"), unique=True)
        except JsonError as error:
            return NoRow(f"the line is not JSON: {error}")
        if not isinstance(value, dict) or tuple(value) != self.columns:
            return NoRow(f"the line does not have the columns {', '.join(self.columns)} in this order")
        if wrong := shape_error(value, self.kind, self.features):
            return NoRow(wrong)
        if _line_of(value) != line:
            return NoRow("the line is not in canonical form")
        return self._row(value)

    def _row(self, value: dict[str, Any]) -> Checked:
        row = Row(self.kind, {key: value[key] for key in KIND_KEYS[self.kind]}, value.get("tools", ""))
        unfit = None
        try:
            check_row(row)
        except RowError as error:
            unfit = f"{error.detail} [{error.code}]"
        digest = hashlib.sha256(digest_payload(row)).digest()
        return Checked(value["id"], value["module"], value["source"], value["license"], digest, unfit)


def _line_of(value: dict[str, Any]) -> bytes:
    """The line that a row's values make: docs/algorithm.md, step 9."""
    try:
        return b"{" + b",".join(canonical(key) + b":" + canonical(part) for key, part in value.items()) + b"}\n"
    except JsonError:
        return b""


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message without optional keys; the keys stand as RFC 8785 sorts them."""

    content: str
    role: Literal["assistant", "system", "tool", "user"]


_BEGIN = b'","messages":['


def chat_check(columns: tuple[str, ...]) -> Callable[[bytes], Checked | None]:
    """The short way for chat lines with these columns; ``None`` for a line that needs the full check."""
    fields = [(name, list[_Message] if name == "messages" else str) for name in columns]
    decode_line: Callable[[bytes], Any] = msgspec.json.Decoder(
        msgspec.defstruct("_Line", fields, forbid_unknown_fields=True, gc=False)
    ).decode
    encode_line = msgspec.json.Encoder().encode
    end = b'],"tools":"' if "tools" in columns else b'],"module":"'
    has_tools, has_meta = "tools" in columns, "meta" in columns
    sha256, skipped = hashlib.sha256, len(_BEGIN) - 1

    def check(line: bytes) -> Checked | None:
        try:
            value = decode_line(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        if encode_line(value) + b"\n" != line or not value.id or (has_tools and value.tools):
            return None
        if has_meta and value.meta and not _is_canonical(value.meta):
            return None
        # Neither can stand inside a text, where quotes are escaped.
        messages = line[line.index(_BEGIN) + skipped : line.rindex(end) + 1]
        if not _can_be_trained_on(value.messages) or (_might_hold_token(messages) and _holds_token(value.messages)):
            return None
        digest = sha256(b'{"messages":%b,"tools":""}' % messages).digest()
        return Checked(value.id, value.module, value.source, value.license, digest)

    return check


def compiled_check(columns: tuple[str, ...]) -> Callable[[bytes], Checked | None] | None:
    """:func:`chat_check`, if that is compiled; ``None`` for a line that needs another check."""
    checker = compiled_checker(columns)
    if checker is None:
        return None
    look = checker.check

    def check(line: bytes) -> Checked | None:
        found = look(line)
        if found is None or (found[5] and not is_canonical_quoted(found[5])):
            return None
        return Checked(*found[:5])

    return check


def _can_be_trained_on(messages: list[_Message]) -> bool:
    answered = False
    for message in messages:
        role = message.role
        if role == "assistant":
            answered = True
        elif role != "user":
            continue
        content = message.content
        if content[:1] in SPACE and not content.strip(SPACE):  # the empty text is in every text
            return False
    return answered


def _might_hold_token(data: bytes) -> bool:
    """Whether messages hold a sign with which control tokens begin; no encoding hides these, and the list itself begins with a bracket."""
    return b"<" in data or data.find(b"[", 1) > 0


def _holds_token(messages: list[_Message]) -> bool:
    return any(find_control_token(message.content) is not None for message in messages)


def _is_canonical(text: str) -> bool:
    return _remembered(text) if len(text) <= SHORT else is_canonical_text(text)


_remembered = lru_cache(maxsize=4096)(is_canonical_text)
