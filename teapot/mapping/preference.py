"""Preference pairs: one prompt, the answer that was chosen and the one that was rejected."""

from __future__ import annotations

from collections.abc import Callable

from teapot.mapping.columns import Columns
from teapot.mapping.conversation import Conversation
from teapot.mapping.message import without_think
from teapot.mapping.row import Message, RowError
from teapot.mapping.system import System
from teapot.model import Json

PROMPTS = ("prompt", "conversations", "messages")


def preference(columns: Columns, read: Conversation, finish: System) -> Callable[[dict[str, Json]], dict[str, Json]]:
    """A builder of ``{"prompt", "chosen", "rejected"}``, each a list of messages."""
    prompts = columns.named(*PROMPTS)
    chosens, rejecteds = columns.required("chosen", "chosen_messages"), columns.required("rejected", "rejected_messages")

    def body(record: dict[str, Json]) -> dict[str, Json]:
        name, asked = prompts(record)
        prompt = None if asked is None else [as_user(asked)] if isinstance(asked, str) else read(asked, name)
        prompt, chosen, rejected = split(prompt, _side(chosens(record), read), _side(rejecteds(record), read))
        if prompt is None:
            raise RowError("empty-prompt", "the record has no prompt, and chosen and rejected have no beginning in common")
        row: dict[str, list[Message]] = {"prompt": finish(prompt, record), "chosen": chosen, "rejected": rejected}
        return row  # type: ignore[return-value]  # a list of messages is a list of Json, which the checker cannot see

    return body


def as_user(text: str) -> Message:
    return {"role": "user", "content": text}


def _side(found: tuple[str, Json], read: Conversation) -> list[Message]:
    """One side of a pair: text, one message, or a list of messages."""
    name, value = found
    if isinstance(value, str):
        return [{"role": "assistant", "content": value if read.include_reasoning else without_think(value, f'"{name}"')}]
    if isinstance(value, dict):
        return [read.turn(value, f'"{name}"')]
    return read(value, name)


def split(
    prompt: list[Message] | None, chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message] | None, list[Message], list[Message]]:
    """Move what both sides begin with into the prompt, where they are whole conversations; what is left begins with an assistant's message.

    A side that begins with an assistant's message is an answer, not a conversation. Where the record has a prompt as well, one must be how the other
    begins or ends (then it is the same thing said twice), or the prompt is only a system message that goes before.
    """
    if not chosen or not rejected or "assistant" in (chosen[0]["role"], rejected[0]["role"]):
        return prompt, chosen, rejected
    most = min(len(chosen), len(rejected)) - 1
    same = 0
    while same < most and chosen[same] == rejected[same]:
        same += 1
    while same and not chosen[same]["role"] == rejected[same]["role"] == "assistant":
        same -= 1
    common, chosen, rejected = chosen[:same], chosen[same:], rejected[same:]
    if not prompt:
        return common or prompt, chosen, rejected
    if common[: len(prompt)] == prompt or common[-len(prompt) :] == prompt:
        return common, chosen, rejected
    if common and prompt[-len(common) :] == common:
        return prompt, chosen, rejected
    if all(message["role"] == "system" for message in prompt):
        return prompt + common, chosen, rejected
    raise RowError("prompt-mismatch", "the prompt is not how the conversations under chosen and rejected begin")
