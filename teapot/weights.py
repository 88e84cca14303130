"""Weights as a config writes them: exact fractions of the decimal text, never floats."""

from __future__ import annotations

import re
from fractions import Fraction
from math import isfinite

from teapot.checking import Check, Fields, describe
from teapot.model import Multiplier, Rows, Share, Weight
from teapot.yamltext import Mapping, Node, Scalar, excerpt

WEIGHT_KEYS = ("rows", "repeat", "share")
MAX_MULTIPLIER = 1_000_000
MAX_CHARS = 40
"""Of a weight's text: enough for every one that means something, and its fraction stays small."""

_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)\Z")
_MAX_EXPONENT = 30


def parse_weight(check: Check, node: Node, what: str = "the weight") -> Weight | None:
    """A number (:class:`Multiplier`), ``{rows: N, repeat: BOOL}`` or ``{share: S}``."""
    if not isinstance(node, Mapping):
        return parse_multiplier(check, node, what, "write a number, {rows: 500} or {share: 0.2}")
    fields = check.fields(node, what, WEIGHT_KEYS)
    if fields is None or any(entry.key not in WEIGHT_KEYS for entry in node.entries):
        return None
    if ("rows" in fields) == ("share" in fields):
        check.add(f"{what} needs one of 'rows' and 'share'", node.place, "write a number, {rows: 500} or {share: 0.2}")
        return None
    return _rows(check, fields, what) if "rows" in fields else _share(check, fields, what)


def parse_multiplier(check: Check, node: Node, what: str = "the weight", hint: str = "write a number such as 0.3") -> Multiplier | None:
    value = _positive(check, node, what, hint)
    if value is not None and value > MAX_MULTIPLIER:
        check.add(f"{what} must be at most {MAX_MULTIPLIER}, not {_text(node)}", node.place)
        return None
    return None if value is None else Multiplier(value)


def exact(text: str) -> Fraction:
    """The fraction that a YAML 1.2 number's text stands for. Raises ``ValueError`` where there is none, or where it would be huge."""
    if len(text) > MAX_CHARS:
        raise ValueError(f"has more than {MAX_CHARS} characters")
    exponent = _EXPONENT.search(text)
    if exponent and not text.startswith("0x") and abs(int(exponent[1])) > _MAX_EXPONENT:
        raise ValueError(f"has an exponent beyond {_MAX_EXPONENT}")
    return Fraction(int(text, 0)) if text.startswith(("0x", "0o")) else Fraction(text)


def weight_text(weight: Weight) -> str:
    """A weight as a person writes it: ``0.3``, ``500 rows``, ``share 0.2``."""
    if isinstance(weight, Rows):
        return f"{weight.count} rows" + (", repeated" if weight.repeat else "")
    return decimal_text(weight.value) if isinstance(weight, Multiplier) else f"share {decimal_text(weight.value)}"


def decimal_text(value: Fraction) -> str:
    """The shortest exact decimal of a fraction, or ``N/D`` where there is none."""
    rest, digits = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        digits = max(digits, power)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    sign = "-" if value < 0 else ""
    whole = str(abs(value.numerator) * 10**digits // value.denominator).rjust(digits + 1, "0")
    return sign + (f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole)


def _rows(check: Check, fields: Fields, what: str) -> Rows | None:
    node, repeat_node = fields.get("rows"), fields.get("repeat")
    assert node is not None
    if isinstance(node, Scalar) and node.value == 0 and not isinstance(node.value, (bool, float)):
        _zero(check, node, what)
        return None
    count = check.integer(node, f"'rows' of {what}")
    repeat = False if repeat_node is None else check.boolean(repeat_node, f"'repeat' of {what}")
    return None if count is None or repeat is None else Rows(count, repeat)


def _share(check: Check, fields: Fields, what: str) -> Share | None:
    node, repeat_node = fields.get("share"), fields.entry("repeat")
    assert node is not None
    if repeat_node is not None:
        check.add(f"'repeat' of {what} goes with 'rows' only", repeat_node.place, "remove it")
        return None
    value = _positive(check, node, f"'share' of {what}", "write a number such as 0.2")
    if value is not None and value >= 1:
        check.add(f"'share' of {what} must be below 1, not {_text(node)}", node.place, "a share is a part of the whole output")
        return None
    return None if value is None else Share(value)


def _zero(check: Check, node: Node, what: str) -> None:
    check.add(f"{what} is 0", node.place, "switch the module or source off instead: NAME: false")


def _positive(check: Check, node: Node, what: str, hint: str) -> Fraction | None:
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
        hint = "write it without quotes" if isinstance(node, Scalar) and node.quoted else hint
        check.add(f"{what} must be a number, not {describe(node)}", node.place, hint)
        return None
    try:
        # A float that overflows is read as infinite, so the text is looked at before the value.
        value = exact(node.text) if node.text.lower().lstrip("+-") not in (".inf", ".nan") else None
    except ValueError as error:
        check.add(f"{what} {error}: '{excerpt(node.text)}'", node.place, "write fewer digits")
        return None
    if value is None or not (isinstance(node.value, int) or isfinite(node.value)):
        check.add(f"{what} must be finite, not {_text(node)}", node.place)
    elif value < 0:
        check.add(f"{what} must not be negative: {_text(node)}", node.place)
    elif value == 0:
        _zero(check, node, what)
    else:
        return value
    return None


def _text(node: Node) -> str:
    return excerpt(node.text) if isinstance(node, Scalar) else describe(node)
