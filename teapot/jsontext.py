"""JSON text to values and back: a strict reader of RFC 8259, and the canonical form of RFC 8785.

Two readers stand behind :func:`decode`. msgspec is fast, and its answer is taken only where it is provably the strict reader's. The strict
reader, written here, decides everything else and words every error; it needs no recursion, so that nothing in a text can exhaust the stack, and it
says the same under every version of Python.
"""

from __future__ import annotations

import math
import re

import msgspec

from teapot.jcs import JsonCode, JsonError, canonical, canonical_text
from teapot.model import Json

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "JsonCode", "JsonError", "canonical", "canonical_text", "decode", "decode_strictly"]

MAX_DEPTH = 512
"""How many arrays and objects may stand inside each other."""

MAX_DIGITS = 640
"""The digits of an integer: the most that Python reads whatever its own limit is set to."""

_HUGE = 10**MAX_DIGITS
# Each begins with a literal, which is what makes a search for it fast.
_KEY_END = re.compile(rb'"[ \t\n\r]*:')
_ESCAPED_KEY_END = re.compile(rb'\\"[ \t\n\r]*:')
_BACKSLASH_KEY_END = re.compile(rb'\\\\"[ \t\n\r]*:')
_DIGIT = re.compile(rb"[0-9]")
_fast_decode = msgspec.json.Decoder().decode
_fast_encode = msgspec.json.Encoder().encode


def decode(data: bytes | str, *, unique: bool = False, max_depth: int = MAX_DEPTH) -> Json:
    """The value of a JSON text (RFC 8259, UTF-8 without a byte order mark).

    ``unique`` refuses an object that has a key twice, at any depth; without it the last one counts. Raises :class:`JsonError`, also for what the RFC
    leaves open: numbers that overflow a double, integers of more than :data:`MAX_DIGITS` digits, halves of surrogate pairs, and more than
    ``max_depth`` levels.
    """
    try:
        value: Json = _fast_decode(data)
        if _is_surely_same(value, data, max_depth) or _is_same(value, data, max_depth):
            return value
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # the strict reader says what is wrong, and where
    return decode_strictly(data, unique=unique, max_depth=max_depth)


def decode_strictly(data: bytes | str, *, unique: bool = False, max_depth: int = MAX_DEPTH) -> Json:
    """:func:`decode` by the strict reader alone: the same values and errors, slower."""
    if isinstance(data, str):
        text = data
        half = re.search("[\ud800-\udfff]", text)
        if half:
            offset = len(text[: half.start()].encode("utf-8"))
            raise JsonError(f"half a surrogate pair, '\\u{ord(half[0]):04x}', is no text", offset, "lone-surrogate")
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise JsonError(f"byte 0x{data[error.start]:02x} is not valid UTF-8", error.start, "not-utf8") from None
    return _Reader(text, unique, max_depth).read()


def _is_surely_same(value: Json, data: bytes | str, max_depth: int) -> bool:
    """A quick test for :func:`_is_same`: ``value`` written again is the text itself.

    Then no key was lost. The number of brackets bounds the depth, and an integer that is too long would cover one of the places looked at.
    """
    if isinstance(data, str) or _DIGIT.search(data[MAX_DIGITS::MAX_DIGITS]) or data.count(b"{") + data.count(b"[") > max_depth:
        return False
    try:
        return _fast_encode(value) == data
    except (UnicodeError, RecursionError):
        return False


def _is_same(value: Json, data: bytes | str, max_depth: int) -> bool:
    """Whether the strict reader would give ``value`` too: no key twice, no level too deep, no integer too long.

    A key that is there twice is for the strict reader even where it is allowed: the value that it hides may be too deep or too long.
    """
    keys = 0
    depth = 0
    level: list[Json] = [value]
    while level:
        inner: list[Json] = []
        for item in level:
            if isinstance(item, str):
                continue
            if isinstance(item, dict):
                keys += len(item)
                inner.extend(item.values())
                inner.append(None)  # an empty object is a level too
            elif isinstance(item, list):
                inner.extend(item)
                inner.append(None)
            elif isinstance(item, int) and not -_HUGE < item < _HUGE:
                return False
        level = inner
        depth += 1
    # The last level holds no container.
    return depth - 1 <= max_depth and keys == _key_ends(data if isinstance(data, bytes) else data.encode("utf-8"))


def _key_ends(data: bytes) -> int:
    """The number of keys written in a valid JSON text; where that cannot be had quickly, a number that is too high, or -1.

    Counted is each quote that no backslash precedes and that a colon follows. In a valid text a quote is escaped (a backslash precedes it), or it
    opens or closes a string. One that closes a key is counted unless the key ends in an escaped backslash: with any such, -1. One that closes
    another string is followed by no colon. One that opens a string is counted if the string begins with a colon: so the count can only be too high.
    msgspec keeps one entry a key and object, never more than are written. Hence where both numbers are equal, no key was written twice.
    """
    if b"\\" not in data:
        spaced = b" :" in data or b"\t:" in data or b"\n:" in data or b"\r:" in data
        return len(_KEY_END.findall(data)) if spaced else data.count(b'":')
    if _BACKSLASH_KEY_END.search(data):
        return -1
    return len(_KEY_END.findall(data)) - len(_ESCAPED_KEY_END.findall(data))


# ---------------------------------------------------------------- the strict reader

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_LOW_HALF = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: tuple[tuple[str, None | bool], ...] = (("null", None), ("true", True), ("false", False))
_NOT_FINITE = re.compile(r"NaN|-?Infinity")
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _shown(text: str) -> str:
    """``text`` for a message: short, and without what a terminal would act on. The same under every version of Unicode."""
    short = text if len(text) <= 60 else text[:60] + "…"
    return "'" + _UNSHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", short) + "'"


class _Reader:
    """Reads one text from its beginning to its end, with a stack of the containers that are open."""

    def __init__(self, text: str, unique: bool, max_depth: int) -> None:
        self.text = text
        self.at = 0
        self.unique = unique
        self.max_depth = max_depth
        self.open: list[dict[str, Json] | list[Json]] = []
        self.keys: list[str] = []  # of the open objects: the key whose value comes next

    def error(self, message: str, at: int | None = None, code: JsonCode = "invalid-json") -> JsonError:
        return JsonError(message, len(self.text[: self.at if at is None else at].encode("utf-8")), code)

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def found(self) -> str:
        """The next character as an error names it."""
        char = self.text[self.at : self.at + 1]
        if not char:
            return "the end of the text"
        return _shown(char)

    def read(self) -> Json:
        if self.peek() == "\ufeff":
            raise self.error("a byte order mark has no place in JSON")
        while True:
            value = self.value()
            if value is self.open:  # a container was opened and its first value comes next
                continue
            done, value = self.attach(value)
            if done:
                if self.peek():
                    raise self.error(f"{self.found()} after the end of the value")
                return value

    def value(self) -> Json:
        """The next scalar or empty container; ``self.open`` itself as the sign that a container was opened."""
        char = self.peek()
        if char == '"':
            return self.string()
        if char in ("{", "["):
            return self.container(char)
        for word, constant in _WORDS:
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return constant
        return self.number()

    def container(self, char: str) -> Json:
        if len(self.open) >= self.max_depth:
            raise self.error(f"more than {self.max_depth} levels of arrays and objects", code="too-deep")
        self.at += 1
        new: dict[str, Json] | list[Json] = {} if char == "{" else []
        if self.peek() == ("}" if char == "{" else "]"):
            self.at += 1
            return new
        self.open.append(new)
        if isinstance(new, dict):
            self.keys.append(self.key(new))
        return self.open  # type: ignore[return-value]

    def attach(self, value: Json) -> tuple[bool, Json]:
        """Put ``value`` where it belongs and close what ends there; ``True`` with the whole value when nothing is open any more."""
        while self.open:
            inside = self.open[-1]
            if isinstance(inside, dict):
                inside[self.keys.pop()] = value
            else:
                inside.append(value)
            char = self.peek()
            if char == ",":
                self.at += 1
                if isinstance(inside, dict):
                    self.keys.append(self.key(inside))
                return False, None
            closing = "}" if isinstance(inside, dict) else "]"
            if char != closing:
                raise self.error(f"expected ',' or '{closing}', found {self.found()}")
            self.at += 1
            value = self.open.pop()
        return True, value

    def key(self, inside: dict[str, Json]) -> str:
        if self.peek() != '"':
            raise self.error(f"expected a key in double quotes, found {self.found()}")
        at = self.at
        key = self.string()
        if self.unique and key in inside:
            raise self.error(f"the key {_shown(key)} is there twice in one object", at, "duplicate-key")
        if self.peek() != ":":
            raise self.error(f"expected ':' after the key {_shown(key)}, found {self.found()}")
        self.at += 1
        return key

    def number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            word = _NOT_FINITE.match(self.text, self.at)
            if word:
                raise self.error(f"'{word[0]}' is not a number that JSON has", code="non-finite")
            raise self.error(f"expected a value, found {self.found()}")
        digits = match[0]
        if match[1] is None and match[2] is None:
            if len(digits.lstrip("-")) > MAX_DIGITS:
                raise self.error(f"an integer of more than {MAX_DIGITS} digits", code="integer-range")
            value: int | float = int(digits)
        else:
            value = float(digits)
            if not math.isfinite(value):
                raise self.error("the number is too large for a double", code="non-finite")
        self.at = match.end()
        return value

    def string(self) -> str:
        """The string whose opening quote comes next."""
        start = self.at
        self.at += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self.text, self.at)
            assert match is not None
            parts.append(match[0])
            self.at = match.end()
            char = self.text[self.at : self.at + 1]
            if char == '"':
                self.at += 1
                return "".join(parts)
            if not char:
                raise self.error("the string that begins here has no end", start)
            if char != "\\":
                raise self.error(f"character U+{ord(char):04X} must be escaped in a string")
            parts.append(self.escape())

    def escape(self) -> str:
        match = _ESCAPE.match(self.text, self.at)
        if match is None:
            raise self.error("a backslash that begins no escape sequence")
        if match[2]:
            self.at = match.end()
            return _SHORT[match[2]]
        code = int(match[1], 16)
        end = match.end()
        if 0xD800 <= code < 0xE000:
            low = _LOW_HALF.match(self.text, end) if code < 0xDC00 else None
            if low is None:
                raise self.error(f"'{match[0]}' is half a surrogate pair", code="lone-surrogate")
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
            end = low.end()
        self.at = end
        return chr(code)
