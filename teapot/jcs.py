"""The canonical form of a JSON value: RFC 8785, the JSON Canonicalization Scheme.

Keys are sorted by UTF-16 code units, numbers are written as ECMAScript writes them, strings are escaped as little as possible, and nothing is
normalised. Import from :mod:`teapot.jsontext`, which holds the other direction too.
"""

from __future__ import annotations

import json
import math
from typing import Literal, TypeAlias

import msgspec

from teapot.model import MAX_INTEGER, Json

JsonCode: TypeAlias = Literal["invalid-json", "not-utf8", "duplicate-key", "too-deep", "non-finite", "integer-range", "lone-surrogate"]
"""What kind of thing is wrong, in words that stay the same."""


class JsonError(ValueError):
    """A text that is not JSON, or a value that JSON cannot hold exactly.

    ``code`` says which kind of thing is wrong, ``offset`` at which byte of the text (from 0; absent for a value).
    """

    def __init__(self, message: str, offset: int | None = None, code: JsonCode = "invalid-json") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code: JsonCode = code


class _Done(str):
    """A piece of the output that is already written as JSON, among values that are not."""

    __slots__ = ()


_sorted_encode = msgspec.json.Encoder(order="deterministic").encode
_quote = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: Json) -> bytes:
    """The RFC 8785 form of ``value``, in UTF-8.

    Raises :class:`JsonError` for a number that is not finite, one that would be written as an integer beyond 2^53 either way (whole ones up to
    10^21), and half a surrogate pair; :class:`TypeError` for what is not a JSON value at all.
    """
    try:
        if _is_plain(value):
            return _sorted_encode(value)
    except (UnicodeEncodeError, RecursionError):
        pass
    try:
        return _write(value).encode("utf-8")
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise JsonError(f"a text holds half a surrogate pair, '\\u{half:04x}'", code="lone-surrogate") from None


def canonical_plain(value: Json) -> bytes:
    """:func:`canonical` of a value that is known to hold only text, true and false, and keys in ASCII, as checked messages do."""
    try:
        return _sorted_encode(value)
    except (UnicodeEncodeError, RecursionError):
        return canonical(value)


def canonical_text(value: Json) -> str:
    """:func:`canonical` as text."""
    return canonical(value).decode("utf-8")


def _is_plain(value: Json) -> bool:
    """Whether msgspec writes ``value`` in the canonical form.

    It does where there is no number with a fraction or exponent, and where sorting keys by code point is sorting them by UTF-16 code unit, which
    ASCII keys guarantee.
    """
    todo: list[Json] = [value]
    for item in todo:  # grows while it is read
        kind = type(item)
        if kind is str or item is None or kind is bool:
            continue
        if kind is dict:
            assert isinstance(item, dict)
            for key in item:
                if type(key) is not str or not key.isascii():
                    return False
            todo.extend(item.values())
        elif kind is list:
            assert isinstance(item, list)
            todo.extend(item)
        elif kind is not int or not -MAX_INTEGER <= item <= MAX_INTEGER:  # type: ignore[operator]
            return False
    return True


def _write(value: Json) -> str:
    """The canonical form of any value; a stack of its own, so that depth is no limit."""
    out: list[str] = []
    todo: list[Json] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, _Done):
            out.append(item)
        elif isinstance(item, dict):
            parts: list[Json] = [_Done("{")]
            for key in sorted(item, key=_utf16):
                parts += [_Done(("," if len(parts) > 1 else "") + _quote(key) + ":"), item[key]]
            parts.append(_Done("}"))
            todo.extend(reversed(parts))
        elif isinstance(item, list):
            parts = [_Done("[")]
            for element in item:
                if len(parts) > 1:
                    parts.append(_Done(","))
                parts.append(element)
            parts.append(_Done("]"))
            todo.extend(reversed(parts))
        else:
            out.append(_scalar(item))
    return "".join(out)


def _utf16(key: str) -> bytes:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a text, not {type(key).__name__}")
    return key.encode("utf-16-be", "surrogatepass")


def _scalar(item: None | bool | float | str) -> str:
    if isinstance(item, str):
        return _quote(item)
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        if not -MAX_INTEGER <= item <= MAX_INTEGER:
            raise JsonError(f"the integer {_shortened(item)} is beyond 2^53, where JSON readers stop agreeing", code="integer-range")
        return str(item)
    if isinstance(item, float):
        return _number(item)
    raise TypeError(f"{type(item).__name__} is not a JSON value")


def _shortened(value: int) -> str:
    # Python refuses to write integers of thousands of digits.
    return str(value) if abs(value) < 10**40 else f"of {value.bit_length()} bits"


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, section 6.1.6.1.20): the shortest digits that read back as ``value``."""
    if not math.isfinite(value):
        raise JsonError(f"the number '{value}' is not finite", code="non-finite")
    if value == 0:
        return "0"  # the negative zero too
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    written = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(written))
    digits = written.rstrip("0")
    # The value is 0.DIGITS * 10**point.
    if len(digits) <= point <= 21:
        if abs(value) > MAX_INTEGER:  # it would be written as such an integer, and be refused, or be another number, when it is read again
            raise JsonError(f"the number {value!r} is a whole one beyond 2^53, where JSON readers stop agreeing", code="integer-range")
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
