"""One message, from any of the ways in which data sets write it to Teapot's own."""

from __future__ import annotations

from collections.abc import Iterable

from teapot.mapping.row import SPACE, Message, RowError
from teapot.mapping.tools import calls_from, calls_from_text, name_of
from teapot.model import Json

# Content that Teapot has no place for: left out, the rest of the message would mean something else.
_LOST = ("audio", "image", "images", "refusal", "video", "videos")
_REASONING = ("reasoning_content", "reasoning", "thinking")
_WEIGHTS = ("loss_weight", "weight", "loss")
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


def build_message(role: str, raw: dict[str, Json], content_key: str, include_reasoning: bool, where: str) -> Message:
    """The message that ``raw`` is, ``role`` being its role in Teapot's words. Raises :class:`RowError`."""
    for key in _LOST:
        if raw.get(key) and isinstance(raw[key], str | list | dict):
            raise RowError("unsupported-key", f'{where} has "{key}", which a row has no place for')
    content, reasonings, calls = _parts(raw.get(content_key), where)
    reasonings += [_text(raw[key], key, where) for key in _REASONING if raw.get(key) is not None]
    reasoning = one_of(reasonings, "reasonings", where) or ""
    calls = _calls(raw, calls, where)
    if role != "assistant" and (reasoning or calls):
        raise RowError(
            "misplaced-key",
            f"{where}: a {role} message has {'reasoning' if reasoning else 'tool calls'}, which only an assistant's can have",
        )
    if content is None:
        if not calls:
            raise RowError("missing-content", f'{where} has no "{content_key}"')
        content = ""
    if role == "assistant" and not include_reasoning:
        content, reasoning = without_think(content, where), ""
    message: Message = {"role": role, "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    for key in ("tool_call_id", "name"):
        if raw.get(key) is not None and (text := _text(raw[key], key, where)):
            message[key] = text
    if role == "assistant" and not _trained(raw, where):
        message["train"] = False
    return message


def without_think(content: str, where: str) -> str:
    """``content`` without the ``<think>…</think>`` that it begins with, if it does, and the white space after that."""
    begun = content.lstrip(SPACE)
    if not begun.startswith(THINK_OPEN):
        return content
    end = begun.find(THINK_CLOSE)
    if end < 0:
        raise RowError(
            "unclosed-think", f'{where} begins with "{THINK_OPEN}" that nothing closes, so its reasoning cannot be told from its answer'
        )
    return begun[end + len(THINK_CLOSE) :].lstrip(SPACE)


def _parts(content: Json, where: str) -> tuple[str | None, list[str], list[Json]]:
    """Text, reasoning and tool calls of a message's content, which is text, a list of parts, or null."""
    if content is None or isinstance(content, str):
        return content, [], []
    if not isinstance(content, list):
        raise RowError("content-not-text", f"{where}: the content must be text or a list of parts, not {name_of(content)}")
    texts: list[str] = []
    reasonings: list[str] = []
    calls: list[Json] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else part
        if not isinstance(part, dict) or not isinstance(kind, str):
            raise RowError("unsupported-part", f'{where}: a part of the content must be an object with a "type", not {name_of(kind)}')
        if kind == "text":
            texts.append(_part_text(part, ("text", "value"), kind, where))
        elif kind in ("reasoning", "thinking"):
            reasonings.append(_part_text(part, ("text", "value", "thinking"), kind, where))
        elif kind == "tool_call":
            calls += calls_from_text(_part_text(part, ("value",), kind, where), where)
        else:
            raise RowError("unsupported-part", f'{where}: a part of the content has the type "{kind}", which a row has no place for')
    return "".join(texts), ["".join(reasonings)] if reasonings else [], calls


def _part_text(part: dict[str, Json], keys: tuple[str, ...], kind: str, where: str) -> str:
    found = [_text(part[key], key, where) for key in keys if part.get(key) is not None]
    text = one_of(found, f'texts in a "{kind}" part', where)
    if text is None:
        raise RowError("unsupported-part", f'{where}: a "{kind}" part has no "{keys[0]}"')
    return text


def _calls(raw: dict[str, Json], calls: list[Json], where: str) -> list[Json]:
    ways = [calls] if calls else []
    if raw.get("tool_calls"):
        ways.append(calls_from(raw["tool_calls"], where))
    if raw.get("function_call"):
        ways.append(calls_from(raw["function_call"], where))
    if any(way != ways[0] for way in ways[1:]):
        raise RowError("conflicting-values", f"{where} has tool calls in two places, and they differ")
    return ways[0] if ways else []


def _trained(raw: dict[str, Json], where: str) -> bool:
    """Whether the loss is taken over this message: a weight of 0 or ``train: false`` says no, any other weight cannot be kept."""
    answers: list[bool] = []
    for key in _WEIGHTS:
        value = raw.get(key)
        if value is None:
            continue
        if (isinstance(value, bool) and key != "loss") or not isinstance(value, int | float) or value not in (0, 1):
            raise RowError(
                "loss-weight", f'{where}: "{key}" must be 0 or 1, not {value if isinstance(value, int | float) else name_of(value)}'
            )
        answers.append(bool(value))
    train = raw.get("train")
    if train is not None:
        if not isinstance(train, bool):
            raise RowError("loss-weight", f'{where}: "train" must be true or false, not {name_of(train)}')
        answers.append(train)
    if any(answer != answers[0] for answer in answers):
        raise RowError("conflicting-values", f"{where} says both that it is trained on and that it is not")
    return not answers or answers[0]


def _text(value: Json, key: str, where: str) -> str:
    if not isinstance(value, str):
        raise RowError("not-text", f'{where}: "{key}" must be text, not {name_of(value)}')
    return value


def one_of(texts: Iterable[str], what: str, where: str) -> str | None:
    """The only text, ``None`` without any; different ones are a finding, because one of them would be lost."""
    different = set(texts)
    if len(different) > 1:
        raise RowError("conflicting-values", f"{where} has two {what}, and they differ")
    return different.pop() if different else None
