"""A list of turns, in ``role``/``content`` or ``from``/``value`` form, as messages."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from teapot.errors import ConfigError
from teapot.mapping.message import THINK_OPEN, build_message
from teapot.mapping.row import Message, RowError
from teapot.mapping.tools import calls_from_text, name_of
from teapot.model import Format, Json

Style = Literal["messages", "sharegpt", "any"]

CALL_ROLE: Final = "function_call"
"""The role whose text is a tool call; it becomes an assistant's message."""

MESSAGE_ROLES: Final = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"}
SPEAKERS: Final = {
    "human": "user", "user": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant", "model": "assistant",
    "system": "system",
    "tool": "tool", "observation": "tool", "function_response": "tool",
    CALL_ROLE: CALL_ROLE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversation:
    """Reads conversations. ``style`` says which form is declared; under ``any`` each turn decides for itself.

    ``renamed`` says under which keys a message has ``role`` and ``content``, ``from`` and ``value``.
    """

    style: Style
    roles: dict[str, str]
    speakers: dict[str, str]
    include_reasoning: bool
    renamed: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, value: Json, name: str) -> list[Message]:
        """The messages of ``value``, which the record has under ``name``. Raises :class:`RowError`."""
        if not isinstance(value, list):
            raise RowError("not-a-list", f'"{name}" must be a list of messages, not {name_of(value)}')
        role_key, content_key, table = self.keys()
        whole = self.include_reasoning
        messages: list[Message] = []
        for turn in value:
            # The plain case, without a call a message: two keys, a known role, text.
            if type(turn) is dict and len(turn) == 2:
                content = turn.get(content_key)
                role = turn.get(role_key)
                if type(content) is str and type(role) is str:
                    known = table.get(role)
                    if known is not None and known != CALL_ROLE and (whole or known != "assistant" or THINK_OPEN not in content):
                        messages.append({"role": known, "content": content})
                        continue
            messages.append(self.turn(turn, f'message {len(messages) + 1} of "{name}"'))
        return messages

    def keys(self) -> tuple[str, str, dict[str, str]]:
        """The keys of role and content, and what the roles mean, in the form that is declared."""
        return self.sharegpt_keys() if self.style == "sharegpt" else self.message_keys()

    def message_keys(self) -> tuple[str, str, dict[str, str]]:
        return self.renamed.get("role", "role"), self.renamed.get("content", "content"), self.roles

    def sharegpt_keys(self) -> tuple[str, str, dict[str, str]]:
        return self.renamed.get("from", "from"), self.renamed.get("value", "value"), self.speakers

    def turn(self, turn: Json, where: str) -> Message:
        """One message; ``where`` begins what is said about it."""
        if not isinstance(turn, dict):
            raise RowError("message-shape", f"{where} must be an object, not {name_of(turn)}")
        (role_key, content_key, table), (from_key, value_key, speakers) = self.message_keys(), self.sharegpt_keys()
        written, spoken = turn.get(role_key) is not None, turn.get(from_key) is not None
        if self.style == "messages" and not written and (spoken or turn.get(value_key) is not None):
            raise RowError("wrong-format", f'{where} has "{from_key}" and "{value_key}": such data has the format "sharegpt"')
        if self.style == "sharegpt" and not spoken and written:
            raise RowError("wrong-format", f'{where} has "{role_key}" and "{content_key}": such data has the format "messages"')
        if self.style == "sharegpt" or (spoken and not written):
            role_key, content_key, table = from_key, value_key, speakers
        role = turn.get(role_key)
        if role is None:
            raise RowError("missing-role", f'{where} has no "{role_key}"')
        turn = {key: item for key, item in turn.items() if key != role_key}  # which may have the name of another key
        known = table.get(role) if isinstance(role, str) else None
        if known is None:
            raise RowError("unknown-role", f'{where} has the role {name_of(role)}, which is not known; say under "roles:" what it means')
        if known != CALL_ROLE:
            return build_message(known, turn, content_key, self.include_reasoning, where)
        text = turn.get(content_key)
        if not isinstance(text, str):
            raise RowError("tool-call-shape", f"{where}: a tool call must be JSON text, not {name_of(text)}")
        calls = calls_from_text(text, where)
        if not calls:
            raise RowError("tool-call-shape", f"{where} holds no tool call")
        rest = {key: item for key, item in turn.items() if key != content_key}
        return build_message("assistant", {**rest, "tool_calls": calls}, content_key, self.include_reasoning, where)


def build_conversation(style: Style, roles: tuple[tuple[str, str], ...], include_reasoning: bool, form: Format) -> Conversation:
    """A reader with ``roles`` (a role as the data has it, the role that it means) put before the known names."""
    by_role, by_speaker = dict(MESSAGE_ROLES), dict(SPEAKERS)
    for name, meaning in roles:
        known = SPEAKERS.get(meaning)
        if known is None:
            near = difflib.get_close_matches(meaning, SPEAKERS, 1)
            raise ConfigError(
                f'"{meaning}" is no role',
                form.place,
                f'did you mean "{near[0]}"?' if near else 'use "system", "user", "assistant" or "tool"',
            )
        by_role[name] = by_speaker[name] = known
    renamed = dict(form.columns)
    if style == "any" and not {"role", "content", "from", "value"}.isdisjoint(renamed):
        style = "sharegpt" if "from" in renamed or "value" in renamed else "messages"
    return Conversation(style, by_role, by_speaker, include_reasoning, renamed)


def with_system(messages: list[Message], text: str, replace: bool) -> list[Message]:
    """``messages`` with ``text`` as the system message, first: where there is none, or with ``replace`` in place of those that are there.

    An empty text adds nothing; with ``replace`` it takes away.
    """
    if replace:
        messages = [message for message in messages if message["role"] != "system"]
    elif any(message["role"] == "system" for message in messages):
        return messages
    return [{"role": "system", "content": text}, *messages] if text else messages
