"""The form of an output's lines: which keys they have, in which order, and what types they are for a reader. See docs/algorithm.md, step 9."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teapot.jsontext import JsonError, canonical, decode
from teapot.mapping.row import KIND_KEYS, MESSAGE_KEYS
from teapot.model import Kind

CONTROL_TOKENS_VERSION = 1


@dataclass(frozen=True, slots=True)
class RowForm:
    """The form of one output. ``message_keys`` are the optional keys that occur in any of its messages."""

    kind: Kind
    tools: bool
    category: bool
    meta: bool
    message_keys: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        optional = {"tools": self.tools, "category": self.category, "meta": self.meta}
        names = ("id", *KIND_KEYS[self.kind], "tools", "module", "license", "source", "category", "meta")
        return tuple(name for name in names if optional.get(name, True))

    def features(self) -> dict[str, Any]:
        """The ``datasets`` features of the output, as ``Features.to_dict`` has them."""
        return {name: self._feature(name) for name in self.columns}

    def _feature(self, name: str) -> Any:
        if name in ("messages", "chosen", "rejected") or (name == "prompt" and self.kind in ("preference", "prompt-only")):
            return {"_type": "List", "feature": self._message()}
        return _value("bool" if name == "label" else "string")

    def _message(self) -> dict[str, Any]:
        call = {"id": _value("string"), "type": _value("string"), "function": {"name": _value("string"), "arguments": _value("string")}}
        types: dict[str, Any] = {"tool_calls": {"_type": "List", "feature": call}, "train": _value("bool")}
        return {key: types.get(key, _value("string")) for key in MESSAGE_KEYS if key in ("role", "content") or key in self.message_keys}


def _value(dtype: str) -> dict[str, str]:
    return {"dtype": dtype, "_type": "Value"}


def shape_error(value: dict[str, Any], kind: str, features: Mapping[str, Any]) -> str | None:
    """What is wrong with the shape of a line's values, compared with the features of its output; ``None`` if nothing is."""
    for name, feature in features.items():
        wrong = _shape(value[name], feature, name)
        if wrong:
            return wrong
    for name in ("tools", "meta"):
        if value.get(name) and not _is_canonical_text(value[name]):
            return f"'{name}' is not canonical JSON text"
    if not value["id"] or kind not in KIND_KEYS:
        return "the id is empty"
    return None


def _shape(value: Any, feature: Any, path: str) -> str | None:
    if feature.get("_type") == "List":
        if not isinstance(value, list):
            return f"'{path}' is not a list"
        return next((wrong for number, item in enumerate(value) if (wrong := _shape(item, feature["feature"], f"{path}[{number}]"))), None)
    if feature.get("_type") == "Value":
        expected = bool if feature["dtype"] == "bool" else str
        return None if type(value) is expected else f"'{path}' is not {'true or false' if expected is bool else 'text'}"
    if not isinstance(value, dict):
        return f"'{path}' is not an object"
    for key in sorted(REQUIRED_KEYS & feature.keys() - value.keys()):
        return f"'{path}' has no '{key}'"
    for key, item in value.items():
        if key not in feature:
            return f"'{path}' has an unknown key '{key}'"
        if wrong := _shape(item, feature[key], f"{path}.{key}"):
            return wrong
    return None


REQUIRED_KEYS = {"role", "content", "function", "arguments"}


def _is_canonical_text(text: str) -> bool:
    try:
        return canonical(decode(text, unique=True)) == text.encode()
    except JsonError:
        return False
