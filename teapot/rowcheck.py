"""Whether a row can be trained on: its shape, what must not be empty, and text that a chat template would take for its own.

The check trusts nothing about the row's body, so that it serves for rows that were mapped, prepared by a script, or read back from a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from teapot.jsontext import JsonError, decode
from teapot.mapping.row import KIND_KEYS, MESSAGE_KEYS, ROLES, SPACE, Row, RowError
from teapot.mapping.tools import name_of
from teapot.model import Json, Kind

CONTROL_TOKENS_V1: Final = (
    # ChatML and Qwen
    "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<|endofprompt|>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
    # Llama 2 and Mistral
    "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    # Llama 3 and 4
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>",
    "<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>",
    # Gemma
    "<start_of_turn>", "<end_of_turn>",
    # Phi, Zephyr, GLM
    "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|observation|>", "<|tool|>", "<|/tool|>", "[gMASK]",
    # Apertus
    "<|system_start|>", "<|system_end|>", "<|developer_start|>", "<|developer_end|>", "<|user_start|>", "<|user_end|>",
    "<|assistant_start|>", "<|assistant_end|>", "<|inner_prefix|>", "<|inner_suffix|>", "<|tools_prefix|>", "<|tools_suffix|>",
    # Harmony
    "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|call|>", "<|return|>",
    # Command R
    "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>",
    # Granite
    "<|start_of_role|>", "<|end_of_role|>",
    # DeepSeek
    "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
    "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
    "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>",
)  # fmt: skip
"""The tokens with which the field's common chat templates mark turns, version 1. Text that holds one could end or forge a turn.

A change makes a new version: which rows are refused is part of what a lock promises. ``<think>`` and ``<tool_call>`` are no tokens of this kind.
"""

_search = re.compile("|".join(re.escape(token) for token in sorted(CONTROL_TOKENS_V1))).search


# Each token holds one of these, and looking for a few short texts is many times faster than looking for all the tokens at once.
_ANGLED: Final = ("<|", "<｜", "<s>", "</s>", "SYS>>", "_of_turn>")
_SQUARE: Final = ("INST]", "PROMPT]", "TOOL_", "_TOOLS]", "gMASK]")


def find_control_token(text: str) -> str | None:
    """The first of :data:`CONTROL_TOKENS_V1` in ``text``."""
    likely = False
    if "<" in text:
        for part in _ANGLED:
            likely = likely or part in text
    if "[" in text:
        for part in _SQUARE:
            likely = likely or part in text
    found = _search(text) if likely else None
    return found[0] if found else None


def check_row(row: Row) -> None:
    """Raise :class:`RowError` if ``row`` cannot be trained on."""
    keys = KIND_KEYS[row.kind]
    if len(row.body) != len(keys) or not all(key in row.body for key in keys):
        raise RowError("row-shape", f"a row of {row.kind} holds {', '.join(keys)}, and this one holds {', '.join(row.body) or 'nothing'}")
    if not isinstance(row.tools, str):
        raise RowError("row-shape", f'"tools" must be JSON text, not {name_of(row.tools)}')
    _CHECKS[row.kind](row.body)
    if row.tools:
        _no_token(row.tools, '"tools"')


def _chat(body: dict[str, Json]) -> None:
    messages = _messages(body["messages"], "messages")
    trained = answered = False
    for message in messages:
        if message["role"] == "assistant":
            answered = True
            trained = trained or "train" not in message
    if not answered:
        raise RowError("no-assistant", "there is no assistant's message, so nothing to train on")
    if not trained:
        raise RowError("nothing-to-train", "every assistant's message is marked as not trained on")


def _labelled(body: dict[str, Json]) -> None:
    if not isinstance(body["label"], bool):
        raise RowError("missing-label", f'"label" must be true or false, not {name_of(body["label"])}')
    _chat(body)


def _prompt_completion(body: dict[str, Json]) -> None:
    _text(body["prompt"], "prompt", "empty-prompt")
    _text(body["completion"], "completion", "empty-completion")


def _preference(body: dict[str, Json]) -> None:
    _prompt(body)
    for side in ("chosen", "rejected"):
        messages = _messages(body[side], side)
        if not messages:
            raise RowError("no-assistant", f'"{side}" holds no message')
        if messages[0]["role"] != "assistant":
            raise RowError(
                "answer-shape", f'"{side}" begins with a message of "{messages[0]["role"]}", and an answer begins with an assistant\'s'
            )
    if body["chosen"] == body["rejected"]:
        raise RowError("same-chosen-rejected", "chosen and rejected are the same")


def _prompt_only(body: dict[str, Json]) -> None:
    _prompt(body)
    if not isinstance(body["reference"], str):
        raise RowError("row-shape", f'"reference" must be text, not {name_of(body["reference"])}')
    _no_token(body["reference"], '"reference"')


def _prompt(body: dict[str, Json]) -> None:
    if all(message["role"] == "system" for message in _messages(body["prompt"], "prompt")):
        raise RowError("empty-prompt", '"prompt" holds no message but a system message')


def _text(value: Json, name: str, code: str) -> None:
    if not isinstance(value, str):
        raise RowError("row-shape", f'"{name}" must be text, not {name_of(value)}')
    if not value.strip(SPACE):
        raise RowError(code, f'"{name}" is empty')
    _no_token(value, f'"{name}"')


_CHECKS: Final[dict[Kind, Callable[[dict[str, Json]], None]]] = {
    "chat": _chat,
    "prompt-completion": _prompt_completion,
    "preference": _preference,
    "labelled": _labelled,
    "prompt-only": _prompt_only,
    "text": lambda body: _text(body["text"], "text", "empty-text"),
}


def _messages(value: Json, name: str) -> list[dict[str, Json]]:
    """The messages of ``value``, each of them checked."""
    if not isinstance(value, list):
        raise RowError("row-shape", f'"{name}" must be a list of messages, not {name_of(value)}')
    checked: list[dict[str, Json]] = []
    for message in value:
        if not isinstance(message, dict):
            raise RowError("row-shape", f'message {len(checked) + 1} of "{name}" must be an object, not {name_of(message)}')
        _message(message, name, len(checked) + 1)
        checked.append(message)
    return checked


def _message(message: dict[str, Json], name: str, place: int) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise RowError("unknown-role", f'message {place} of "{name}" has the role {name_of(role)}; the roles are {", ".join(ROLES)}')
    if not isinstance(content, str):
        raise RowError("missing-content", f'the content of message {place} of "{name}" must be text, not {name_of(content)}')
    if len(message) > 2:
        _optional(message, f'message {place} of "{name}"')
    if (role == "assistant" or role == "user") and not content.strip(SPACE) and "tool_calls" not in message:
        raise RowError(f"empty-{role}", f'message {place} of "{name}" ({role}) is empty')
    if "<" in content or "[" in content:
        token = find_control_token(content)
        if token is not None:
            raise _token_error(token, f'message {place} of "{name}" ({role})')


def _optional(message: dict[str, Json], where: str) -> None:
    """The keys beyond role and content: only where used, and of the right kind."""
    for key, value in message.items():
        if key not in MESSAGE_KEYS:
            raise RowError("row-shape", f'{where} has the key "{key}", which no message has')
        if key == "train":
            if value is not False:
                raise RowError("row-shape", f'{where}: "train" is there only to say false')
        elif key == "tool_calls":
            _tool_calls(value, where)
        elif key not in ("role", "content"):
            if not isinstance(value, str) or not value:
                raise RowError("row-shape", f'{where}: "{key}" must be text that is not empty')
            _no_token(value, f'"{key}" of {where}')
    for key in ("reasoning_content", "tool_calls", "train"):
        if key in message and message["role"] != "assistant":
            raise RowError("row-shape", f'{where} has "{key}", which only an assistant\'s can have')


def _tool_calls(calls: Json, where: str) -> None:
    if not isinstance(calls, list) or not calls:
        raise RowError("tool-call-shape", f'{where}: "tool_calls" must be a list with a call in it')
    for call in calls:
        function = call.get("function") if isinstance(call, dict) and call.get("type") == "function" else None
        if not isinstance(function, dict) or not set(call) <= {"id", "type", "function"} or set(function) != {"name", "arguments"}:  # type: ignore[arg-type]
            raise RowError("tool-call-shape", f'{where}: a tool call is {{"id"?, "type": "function", "function": {{"name", "arguments"}}}}')
        for text in (function["name"], function["arguments"], call.get("id", "-")):  # type: ignore[union-attr]
            if not isinstance(text, str) or not text:
                raise RowError("tool-call-shape", f"{where}: a tool call's id, name and arguments must be text that is not empty")
            _no_token(text, f"a tool call of {where}")
        try:
            arguments = decode(function["arguments"])  # type: ignore[arg-type]
        except JsonError as error:
            raise RowError("tool-call-shape", f"{where}: the arguments of a tool call: {error.message}") from None
        if not isinstance(arguments, dict):
            raise RowError("tool-call-shape", f"{where}: the arguments of a tool call must be an object, not {name_of(arguments)}")


def _no_token(text: str, where: str) -> None:
    token = find_control_token(text)
    if token is not None:
        raise _token_error(token, where)


def _token_error(token: str, where: str) -> RowError:
    return RowError("control-token", f'{where} holds "{token}", with which chat templates mark turns')
