"""Rows, chats and the shapes of templates that the tests of templates share."""

from __future__ import annotations

import json
from typing import Any

from teapot.templates.chat import Chat, chats_of
from teapot.templates.render import ChatTemplate

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Look it up",
            "parameters": {
                "type": "object",
                "properties": {
                    "x": {"type": "string", "description": "the x"},
                    "n": {"type": "integer", "default": 3},
                    "k": {"type": "string", "enum": ["a", "b"]},
                    "l": {"type": "array", "items": {"type": "string"}},
                    "o": {"type": "object", "properties": {"p": {"type": "number"}, "q": {"type": "boolean"}}, "required": ["p"]},
                    "z": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "number"}}}},
                    "s": {"type": "string", "nullable": True},
                },
                "required": ["x"],
            },
        },
    },
    {"type": "function", "function": {"name": "two", "description": "Two", "parameters": {"type": "object", "properties": {}}}},
]


def say(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def called(name: str, arguments: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """A tool call as a row holds it."""
    return {"id": f"abcdefgh{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


CALL = called("lookup", {"x": "1", "n": 2})

TALKS: dict[str, list[dict[str, Any]]] = {
    "two turns": [say("user", "Hi"), say("assistant", "Yo")],
    "system": [say("system", "Sys.\nX"), say("user", "Hi"), say("assistant", "Yo")],
    "more turns": [say("system", "S"), say("user", "Hi"), say("assistant", "Yo"), say("user", "é?"), say("assistant", "Fine 🙂")],
    "thoughts": [
        say("system", "S"),
        say("user", "Hi"),
        say("assistant", "Yo", reasoning_content="first"),
        say("user", "And?"),
        say("assistant", "No", reasoning_content="second"),
    ],
    "a call": [
        say("system", "S"),
        say("user", "Hi"),
        say("assistant", "", tool_calls=[CALL]),
        say("tool", "found", tool_call_id="abcdefgh0"),
        say("assistant", "Done"),
    ],
    "two calls": [
        say("system", "S"),
        say("user", "Hi"),
        say("assistant", "", tool_calls=[CALL, called("two", {}, 1)]),
        say("tool", "found", tool_call_id="abcdefgh0"),
        say("tool", "more", tool_call_id="abcdefgh1"),
        say("assistant", "Done"),
    ],
    "words and a call": [
        say("system", "S"),
        say("user", "Hi"),
        say("assistant", "Let me see.", tool_calls=[CALL]),
        say("tool", "found", tool_call_id="abcdefgh0"),
        say("assistant", "Done"),
        say("user", "Thanks"),
        say("assistant", "Bye"),
    ],
}


def row_of(talk: str | list[dict[str, Any]]) -> dict[str, Any]:
    """A canonical row of one of :data:`TALKS`, or of messages; with tools where it calls one."""
    messages = TALKS[talk] if isinstance(talk, str) else talk
    calls = any("tool_calls" in message for message in messages)
    return {"id": "one", "messages": messages, "tools": json.dumps(TOOLS) if calls else ""}


def chat_of(talk: str | list[dict[str, Any]]) -> Chat:
    return chats_of(row_of(talk))["messages"]


def written(source: str, **tokens: str) -> ChatTemplate:
    """A template of a test."""
    return ChatTemplate("mine", source.encode(), **tokens)


def turns(body: str, before: str = "", after: str = "") -> str:
    """A template that goes over the messages."""
    return f"{before}{{%- for m in messages -%}}{body}{{%- endfor -%}}{after}"


SIMPLE = turns("{{- '<|' + m.role + '|>' + m.content + '<|end|>' -}}")
"""The smallest template that everything can be shown for."""
