"""Writes docs/templates-table.md: how each published template fares. ``python -m tests.templates.table`` downloads them first."""

from __future__ import annotations

import re
from pathlib import Path

from teapot.errors import DataError
from teapot.templates.chat import Chat
from teapot.templates.render import ChatTemplate, TemplateError
from teapot.templates.spans import render
from tests.templates.published import VERSION, fetch
from tests.templates.tools import chat_of, say

TARGET = Path(__file__).resolve().parents[2] / "docs" / "templates-table.md"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

CHATS = {
    "two turns": [say("user", "What is a pot?"), say("assistant", "A vessel.")],
    "system": [say("system", "You are short."), say("user", "What is a pot?"), say("assistant", "A vessel.")],
    "multi-turn": [
        say("user", "What is a pot?"),
        say("assistant", "A vessel.\n\nIt holds *tea*."),
        say("user", "And a lid?"),
        say("assistant", "Its hat. 🫖"),
    ],
}

HEAD = f"""\
# How the published templates fare

<!-- written by: python -m tests.templates.table -->

The {{count}} chat templates that llama.cpp collects (in the source distribution of llama-cpp-python {VERSION}), each given three plain chats, with `<s>` and
`</s>` where it asks for the tokenizer's tokens. **proved**: it renders, and the spans are shown to be exactly what the assistant says and the end of its
turn. **rendered**: it renders, and the spans are refused. **no**: it refuses the chat, or fails at it, as it does in transformers. What was given and how to read a
refusal: [templates.md](templates.md).

| chat | templates | render | spans proved | of those that render |
|---|--:|--:|--:|--:|
"""


def outcome(template: ChatTemplate, chat: Chat) -> tuple[str, str]:
    """What becomes of a chat, and why where it is not proved."""
    try:
        return "proved", render(template, chat).method
    except DataError as error:
        why = re.sub(rf"(in )?the template '{re.escape(template.name)}'( refuses the chat: | fails at the chat: )? ?", "", str(error))
    try:
        template.text(chat.messages)
    except TemplateError:
        return "no", why
    return "rendered", why


def document() -> str:
    found = fetch()
    chats = {name: chat_of(messages) for name, messages in CHATS.items()}
    templates = [ChatTemplate(name, data, **TOKENS) for name, data in found.items()]
    fates = {template.name: {kind: outcome(template, chat) for kind, chat in chats.items()} for template in templates}
    lines = [HEAD.format(count=len(found)).rstrip("\n")]
    totals = [0, 0]
    for kind in chats:
        told = [fate[kind][0] for fate in fates.values()]
        proved, rendered = told.count("proved"), len(told) - told.count("no")
        totals = [totals[0] + proved, totals[1] + rendered]
        lines.append(f"| {kind} | {len(told)} | {rendered} | {proved} | {proved / rendered:.1%} |")
    lines.append(f"| all three | {len(chats) * len(found)} | {totals[1]} | {totals[0]} | {totals[0] / totals[1]:.1%} |")
    lines += ["", f"| template | {' | '.join(chats)} | beginnings by | why not |", f"|---|{'---|' * (len(chats) + 2)}"]
    for name, fate in fates.items():
        how = sorted({text for verdict, text in fate.values() if verdict == "proved"})
        why = list(dict.fromkeys(text.replace("|", "\\|") for verdict, text in fate.values() if verdict != "proved"))
        lines.append(f"| {name} | {' | '.join(verdict for verdict, _ in fate.values())} | {', '.join(how)} | {'; '.join(why)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
