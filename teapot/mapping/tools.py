"""Tools: the column that describes them, and the calls that an assistant makes."""

from __future__ import annotations

from teapot.jsontext import JsonError, canonical_text, decode
from teapot.mapping.row import RowError, drop_nulls, json_row_error
from teapot.model import Json

_ARGUMENT_NAMES = ("parameters", "args", "input", "kwargs")


def tools_text(value: Json) -> str:
    """A record's ``tools`` (JSON text, a list or an object) as canonical JSON text; ``""`` where there are none."""
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, str):
        value = _decoded(value, "tools", "invalid-tools")
        if value is None or value == [] or value == {}:
            return ""
    if not isinstance(value, list | dict):
        raise RowError("invalid-tools", f"tools must be a list or an object, not {name_of(value)}")
    try:
        return canonical_text(drop_nulls(value))
    except JsonError as error:
        raise json_row_error(error, "tools", "invalid-tools") from None


def calls_from_text(text: str, where: str) -> list[Json]:
    """Tool calls written as JSON text: one call or a list of them."""
    return calls_from(_decoded(text, f"{where}: the tool call", "tool-call-shape"), where)


def calls_from(value: Json, where: str) -> list[Json]:
    """Tool calls (one or a list; with ``function`` or bare) as ``{"id"?, "type": "function", "function": {"name", "arguments"}}``."""
    return [_call(call, where) for call in (value if isinstance(value, list) else [value])]


def _call(call: Json, where: str) -> Json:
    if not isinstance(call, dict):
        raise RowError("tool-call-shape", f"{where}: a tool call must be an object, not {name_of(call)}")
    function = call.get("function")
    if function is None:
        function = call
    elif not isinstance(function, dict):
        raise RowError("tool-call-shape", f'{where}: "function" of a tool call must be an object, not {name_of(function)}')
    elif call.get("type") not in (None, "function"):
        raise RowError("tool-call-shape", f'{where}: a tool call has the type {name_of(call["type"])}, and only "function" is known')
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise RowError("tool-call-shape", f'{where}: a tool call has no "name"')
    made: dict[str, Json] = {"type": "function", "function": {"name": name, "arguments": _arguments(function, where)}}
    identity = call.get("id")
    if identity is not None and identity != "":
        if not isinstance(identity, str):
            raise RowError("tool-call-shape", f'{where}: "id" of a tool call must be text, not {name_of(identity)}')
        made["id"] = identity
    return made


def _arguments(function: dict[str, Json], where: str) -> str:
    """The arguments as the canonical JSON text of an object. A call without any has ``{}``."""
    value = function.get("arguments")
    if value is None:
        for other in _ARGUMENT_NAMES:  # the same thing under another name would be lost
            if function.get(other) is not None:
                raise RowError("tool-call-shape", f'{where}: a tool call has "{other}" instead of "arguments"')
        return "{}"
    if isinstance(value, str):
        if not value:
            return "{}"
        value = _decoded(value, f"{where}: the arguments of a tool call", "tool-call-shape")
    if not isinstance(value, dict):
        raise RowError("tool-call-shape", f"{where}: the arguments of a tool call must be an object, not {name_of(value)}")
    try:
        return canonical_text(drop_nulls(value))
    except JsonError as error:
        raise json_row_error(error, f"{where}: the arguments of a tool call") from None


def _decoded(text: str, what: str, code: str) -> Json:
    try:
        return decode(text, unique=True)
    except JsonError as error:
        raise json_row_error(error, what, code) from None


def name_of(value: Json) -> str:
    """What ``value`` is, in the words of a finding; a short text by itself."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else f'the text "{value[:40]}…"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if value is None:
        return "null"
    return "a list" if isinstance(value, list) else "an object"
