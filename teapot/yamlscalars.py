"""What an unquoted scalar means: section 10.3.2 of the YAML 1.2.2 specification, the core schema."""

from __future__ import annotations

import re
from typing import TypeAlias

Value: TypeAlias = "None | bool | int | float | str"

_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)")
_NAN = re.compile(r"\.nan|\.NaN|\.NAN")


def is_number(text: str) -> bool:
    """Whether an unquoted scalar is a finite number."""
    return any(pattern.fullmatch(text) for pattern in (_DECIMAL, _OCTAL, _HEXADECIMAL, _FLOAT))


def resolve(text: str) -> Value:
    """What an unquoted scalar means in the YAML 1.2 core schema."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 0)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", "").lower())
    if _NAN.fullmatch(text):
        return float("nan")
    return text
