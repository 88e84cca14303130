"""The named templates beside the models' own, and this renderer beside the one of transformers. ``make test-templates`` brings both here."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from teapot.templates.chat import Chat
from teapot.templates.environment import CLOCK
from teapot.templates.names import NAMES, template_bytes
from teapot.templates.render import ChatTemplate, TemplateError, named
from tests.templates import table
from tests.templates.published import published
from tests.templates.tools import TALKS, chat_of

PUBLISHED = published()
needs_published = pytest.mark.skipif(
    PUBLISHED is None, reason="the published templates are not in build/: NOT compared; run make test-templates"
)

LLAMA = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
OTHER = {"bos_token": "<s>", "eos_token": "</s>"}
SYSTEM = [talk for talk, messages in TALKS.items() if messages[0]["role"] == "system"]
SAID = [talk for talk in SYSTEM if "call" not in talk and talk != "thoughts"]
CALLS = [talk for talk in SYSTEM if "call" in talk]

SAME: list[tuple[str, str, list[str], dict[str, Any]]] = [
    ("chatml", "Qwen-Qwen2.5-7B-Instruct", SAID, OTHER),
    ("qwen", "Qwen-Qwen2.5-7B-Instruct", [*SAID, *CALLS], OTHER),
    ("qwen", "Qwen-Qwen3-0.6B", ["thoughts"], OTHER),
    *(("llama3", f"meta-llama-Llama-{one}-Instruct", ["two turns", *SAID, "a call"], LLAMA) for one in ("3.1-8B", "3.2-3B", "3.3-70B")),
    ("mistral", "Mistral-Small-3.2-24B-Instruct-2506", [*SAID, "a call", "two calls"], OTHER),
    ("apertus", "Apertus-8B-Instruct", ["two turns", *SAID], OTHER),
    ("apertus-think", "Apertus-8B-Instruct", ["two turns", *SAID], {**OTHER, "enable_thinking": True}),
    ("apertus-tools", "Apertus-8B-Instruct", ["two turns", *SAID, *CALLS], OTHER),
    ("apertus-full", "Apertus-8B-Instruct", ["two turns", *SAID, *CALLS], {**OTHER, "enable_thinking": True}),
]
CASES = [pytest.param(ours, theirs, talk, more, id=f"{ours}-{theirs}-{talk}") for ours, theirs, talks, more in SAME for talk in talks]


def own(name: str, tokens: dict[str, Any]) -> ChatTemplate:
    """A model's own template; what is no token of the tokenizer is set in front of it."""
    assert PUBLISHED is not None
    front = "".join(f"{{%- set {key} = {json.dumps(value)} -%}}" for key, value in tokens.items() if key == "enable_thinking")
    return ChatTemplate(name, front.encode() + PUBLISHED[name], tokens["bos_token"], tokens["eos_token"])


@needs_published
@pytest.mark.parametrize(("ours", "theirs", "talk", "more"), CASES)
def test_a_named_template_writes_what_the_models_own_does(ours: str, theirs: str, talk: str, more: dict[str, Any]) -> None:
    chat = chat_of(talk)
    tools = chat.tools if "call" in talk else ()
    text = own(theirs, more).text(chat.messages, tools)
    if ours.startswith("apertus"):
        text += "<|assistant_end|>"  # which the model's own leaves out at the end
    assert named(ours).text(chat.messages, tools) == text


@needs_published
def test_apertus_thoughts_are_those_of_its_blocks() -> None:
    chat = chat_of("thoughts")
    blocks = [
        {"role": "assistant", "content": {"blocks": [thoughts(message), {"type": "response", "text": message["content"]}]}}
        if message["role"] == "assistant"
        else message
        for message in chat.messages
    ]
    text = own("Apertus-8B-Instruct", {**OTHER, "enable_thinking": True}).text(blocks)
    assert named("apertus-think").text(chat.messages) == text + "<|assistant_end|>"


def thoughts(message: dict[str, Any]) -> dict[str, str]:
    return {"type": "thoughts", "text": message["reasoning_content"]}


# ---------------------------------------------------------------- transformers


class Then(datetime):
    """The clock, standing still."""

    @classmethod
    def now(cls, tz: Any = None) -> Then:
        return cls(CLOCK.year, CLOCK.month, CLOCK.day)


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> Any:
    try:
        from transformers.utils import chat_template_utils as found
    except ImportError:
        pytest.skip("transformers is not installed: its renderer was NOT compared; run make test-templates")
    monkeypatch.setattr(found, "datetime", Then)
    return found


def theirs(transformers: Any, template: ChatTemplate, chat: Chat, *, prompt: bool) -> tuple[str, list[tuple[int, int]]]:
    texts, spans = transformers.render_jinja_template(
        [[dict(message) for message in chat.messages]],
        tools=list(chat.tools) or None,
        chat_template=template.source,
        return_assistant_tokens_mask=template.generation,
        add_generation_prompt=prompt,
        **template.tokens,
    )
    return texts[0], spans[0] if spans else []


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_named_template_renders_the_same_in_transformers(transformers: Any, name: str, talk: str) -> None:
    template, chat = ChatTemplate(name, template_bytes(name)), chat_of(talk)
    try:
        marked = template.text(chat.messages, chat.tools, signs=("\ue000", "\ue001"))
    except TemplateError:
        with pytest.raises(transformers.jinja2.TemplateError):
            theirs(transformers, template, chat, prompt=False)
        return
    text, spans = theirs(transformers, template, chat, prompt=False)
    for start, end in reversed(spans):
        text = f"{text[:start]}\ue000{text[start:end]}\ue001{text[end:]}"
    assert marked == text
    assert template.text(chat.messages, chat.tools, prompt=True) == theirs(transformers, template, chat, prompt=True)[0]


@needs_published
@pytest.mark.parametrize("name", PUBLISHED or ())
def test_a_published_template_renders_the_same_in_transformers(transformers: Any, name: str) -> None:
    template = own(name, OTHER)
    compared = 0
    for talk in TALKS:
        chat = chat_of(talk)
        for prompt in (False, True):
            try:
                text = template.text(chat.messages, chat.tools, prompt=prompt)
            except TemplateError:
                with pytest.raises(Exception):  # noqa: B017  (whatever a template of others can raise)
                    theirs(transformers, template, chat, prompt=prompt)
                continue
            assert text == theirs(transformers, template, chat, prompt=prompt)[0]
            compared += 1
    assert compared or "tool_use" in name or "firefunction" in name


@needs_published
def test_the_table_is_what_the_templates_do() -> None:
    assert table.TARGET.read_text(encoding="utf-8") == table.document(), "run: python -m tests.templates.table"
