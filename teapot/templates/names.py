"""The named templates: their text, and the digest of its bytes."""

from __future__ import annotations

import pkgutil
from functools import cache

from teapot.hashing import sha256_hex

AUTO = "auto"
"""The base model's own template, taken from its tokenizer when it is trained."""

SUFFIX = ".jinja"

_APERTUS = {"apertus": (False, False), "apertus-think": (True, False), "apertus-tools": (False, True), "apertus-full": (True, True)}
"""Whether each has thoughts, and tools."""

NAMES = ("chatml", "llama3", "qwen", "mistral", *_APERTUS)


@cache
def template_bytes(name: str) -> bytes:
    """The text of a named template, in UTF-8: a Jinja template that stands alone. Raises KeyError for a name that is not one of :data:`NAMES`."""
    if name not in NAMES:
        raise KeyError(name)
    file = "apertus" if name in _APERTUS else name
    text = pkgutil.get_data(__package__, f"builtin/{file}{SUFFIX}")
    assert text is not None
    if name in _APERTUS:
        deliberate, equip = (str(one).lower() for one in _APERTUS[name])
        return f"{{%- set deliberate, equip = {deliberate}, {equip} -%}}\n".encode() + text
    return text


def template_sha256(name: str) -> str:
    """The SHA-256 of :func:`template_bytes`, hexadecimal."""
    return sha256_hex(template_bytes(name))
