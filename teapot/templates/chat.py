"""What a template is given: the messages of a row with reasoning apart, arguments and tools as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teapot.errors import DataError
from teapot.jsontext import JsonError, decode
from teapot.mapping.row import ROLES
from teapot.rowcheck import find_control_token
from teapot.templates.thinking import Thought

Message = dict[str, Any]

HINT = "render a file that compose wrote"


@dataclass(frozen=True, slots=True)
class Chat:
    """``messages`` as a template sees them; ``trained`` says of each whether its tokens count."""

    messages: tuple[Message, ...]
    trained: tuple[bool, ...]
    tools: tuple[Any, ...] = ()

    def texts(self) -> Iterator[tuple[str, str, str]]:
        """Every text in it that is not the template's own: its place in words, its role, the text."""
        for number, message in enumerate(self.messages, 1):
            place = f"message {number} ({message['role']})"
            for key in ("content", "reasoning_content", "name", "tool_call_id"):
                if message.get(key):
                    yield place if key == "content" else f"'{key}' of {place}", message["role"], message[key]
            for call in message.get("tool_calls", ()):
                for text in (call.get("id"), *_strings(call["function"])):
                    if text:
                        yield f"a tool call of {place}", message["role"], text
        for text in _strings(self.tools):
            yield "'tools'", "system", text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from _strings(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _strings(one)


def chats_of(row: Mapping[str, Any], *, reasoning: bool = True) -> dict[str, Chat]:
    """The chats of a canonical row by its key: ``messages``, or ``chosen`` and ``rejected`` after their prompt, which is not trained on.

    Without ``reasoning``, thoughts are left out.

    Raises:
        DataError: the row has no chat, or its messages are not in Teapot's form.
    """
    listed = _json(row.get("tools") or "[]", "'tools'")
    if not isinstance(listed, list):
        raise DataError("'tools' is not a list", hint=HINT)
    if isinstance(row.get("messages"), list):
        return {"messages": _chat((), row["messages"], listed, reasoning)}
    if isinstance(row.get("chosen"), list) and isinstance(row.get("rejected"), list):
        prompt = row.get("prompt") or []
        if not isinstance(prompt, list):
            raise DataError("'prompt' is not a list of messages", hint=HINT)
        return {side: _chat(prompt, row[side], listed, reasoning) for side in ("chosen", "rejected")}
    raise DataError("the row has no chat", hint="templates render rows with 'messages', or with 'chosen' and 'rejected'")


def _chat(prompt: Sequence[Any], answer: Sequence[Any], tools: list[Any], reasoning: bool) -> Chat:
    messages = [_message(message, number, reasoning) for number, message in enumerate((*prompt, *answer), 1)]
    trained = [message.pop("train", True) and message["role"] == "assistant" for message in messages]
    return Chat(tuple(messages), tuple(one and number >= len(prompt) for number, one in enumerate(trained)), tuple(tools))


def _message(given: Any, number: int, reasoning: bool) -> Message:
    if not isinstance(given, dict) or given.get("role") not in ROLES or not isinstance(given.get("content"), str):
        raise DataError(f"message {number} is not one of Teapot's: a role, a content that is text", hint=HINT)
    for key, kind in (("reasoning_content", str), ("name", str), ("tool_call_id", str), ("tool_calls", list), ("train", bool)):
        if not isinstance(given.get(key) or kind(), kind):
            raise DataError(f"'{key}' of message {number} is not in Teapot's form", hint=HINT)
    message = {key: value for key, value in given.items() if value not in (None, "", []) or key == "content"}
    if message["role"] == "assistant":
        thought = Thought.parse(message["content"])
        if thought.reasoning is not None and "reasoning_content" not in message:
            message["content"] = thought.answer
            if thought.reasoning.strip():
                message["reasoning_content"] = thought.reasoning
        if not reasoning:
            message.pop("reasoning_content", None)
    if "tool_calls" in message:
        message["tool_calls"] = [_call(call, number) for call in message["tool_calls"]]
    return message


def _call(call: Any, number: int) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not isinstance(call.get("id") or "", str):
        raise DataError(f"message {number} has a tool call that is not in Teapot's form", hint=HINT)
    arguments = _json(function.get("arguments", "{}"), f"the arguments of message {number}")
    return {**call, "type": "function", "function": {**function, "arguments": arguments}}


def _json(text: Any, what: str) -> Any:
    if not isinstance(text, str):
        raise DataError(f"{what} cannot be read: it is not JSON text", hint=HINT)
    try:
        return decode(text)
    except JsonError as error:
        raise DataError(f"{what} cannot be read: {error.message}", hint=HINT) from None


def refuse_tokens(chat: Chat, marks: Sequence[str], source: str) -> None:
    """Raise DataError if a text of the chat holds what the template marks turns with: read as tokens, it would end or forge one."""
    of_tools = [mark for mark in ("<tool_response>", "</tool_response>") if mark in source]
    for place, role, text in chat.texts():
        found = find_control_token(text) or next((mark for mark in marks if mark in text), None)
        if found is None and role in ("user", "tool"):
            found = next((mark for mark in of_tools if mark in text), None)
        if found is None and "reasoning_content" in place and "</think>" in text:
            found = "</think>"
        if found is None and role == "tool" and "<|tools_suffix|>" in source and "]" in text and not _is_json(text):
            found = "]"
        if found is not None:
            raise DataError(f"{place} holds '{found}', with which the template marks turns", hint="drop or edit the row")


def _is_json(text: str) -> bool:
    try:
        decode(text)
    except JsonError:
        return False
    return True
