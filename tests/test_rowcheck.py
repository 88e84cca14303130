"""Which rows can be trained on."""

from __future__ import annotations

import pytest

from teapot.mapping.row import Row, RowError
from teapot.rowcheck import CONTROL_TOKENS_V1, check_row, find_control_token

S, Q, A, B = ({"role": role, "content": text} for role, text in (("system", ""), ("user", "q"), ("assistant", "a"), ("assistant", "b")))
EMPTY, BLANK = {"role": "assistant", "content": ""}, {"role": "user", "content": " \n\u3000"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CALLING = {"role": "assistant", "content": "", "reasoning_content": "why", "tool_calls": [CALL]}
TOOL = {"role": "tool", "content": "", "tool_call_id": "c", "name": "f"}


def chat(*messages, tools=""):
    check_row(Row("chat", {"messages": list(messages)}, tools))


def refused(code, kind, body, tools=""):
    with pytest.raises(RowError) as caught:
        check_row(Row(kind, body, tools))
    assert caught.value.code == code
    return caught.value.detail


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("chat", {"messages": [S, Q, A]}),
        ("chat", {"messages": [A]}),
        ("chat", {"messages": [Q, Q, A, A, {**A, "train": False}]}),
        ("chat", {"messages": [S, Q, CALLING, TOOL, A]}),
        ("chat", {"messages": [Q, {**A, "content": "<think>x</think> <tool_call> a < b [1]"}]}),
        ("prompt-completion", {"prompt": "p", "completion": "c"}),
        ("preference", {"prompt": [S, Q], "chosen": [A], "rejected": [B]}),
        ("preference", {"prompt": [Q, A, Q], "chosen": [A, TOOL, B], "rejected": [A]}),
        ("labelled", {"messages": [Q, A], "label": False}),
        ("prompt-only", {"prompt": [Q], "reference": ""}),
        ("text", {"text": "t"}),
    ],
)
def test_rows_that_are_fine(kind, body):
    check_row(Row(kind, body))
    check_row(Row(kind, body, '[{"name":"f"}]'))


@pytest.mark.parametrize(
    ("code", "kind", "body", "word"),
    [
        # nothing to learn
        ("no-assistant", "chat", {"messages": []}, "assistant"),
        ("no-assistant", "chat", {"messages": [S, Q]}, "assistant"),
        ("no-assistant", "labelled", {"messages": [Q], "label": True}, "assistant"),
        ("no-assistant", "preference", {"prompt": [Q], "chosen": [A], "rejected": []}, '"rejected"'),
        ("empty-assistant", "chat", {"messages": [Q, EMPTY]}, 'message 2 of "messages"'),
        ("empty-assistant", "chat", {"messages": [Q, {**EMPTY, "reasoning_content": "why"}]}, "message 2"),
        ("empty-assistant", "preference", {"prompt": [Q], "chosen": [EMPTY], "rejected": [B]}, '"chosen"'),
        ("empty-user", "chat", {"messages": [BLANK, A]}, "message 1"),
        ("empty-user", "preference", {"prompt": [BLANK], "chosen": [A], "rejected": [B]}, '"prompt"'),
        ("empty-user", "prompt-only", {"prompt": [BLANK], "reference": ""}, '"prompt"'),
        ("empty-prompt", "prompt-completion", {"prompt": " ", "completion": "c"}, '"prompt"'),
        ("empty-completion", "prompt-completion", {"prompt": "p", "completion": ""}, '"completion"'),
        ("empty-prompt", "preference", {"prompt": [], "chosen": [A], "rejected": [B]}, '"prompt"'),
        ("empty-prompt", "preference", {"prompt": [S], "chosen": [A], "rejected": [B]}, '"prompt"'),
        ("empty-prompt", "prompt-only", {"prompt": [], "reference": "r"}, '"prompt"'),
        ("empty-text", "text", {"text": "\n"}, '"text"'),
        ("nothing-to-train", "chat", {"messages": [Q, {**A, "train": False}, Q, {**A, "train": False}]}, "not trained on"),
        ("nothing-to-train", "labelled", {"messages": [Q, {**A, "train": False}], "label": True}, "not trained on"),
        ("same-chosen-rejected", "preference", {"prompt": [Q], "chosen": [A], "rejected": [dict(reversed(A.items()))]}, "same"),
        ("answer-shape", "preference", {"prompt": [Q], "chosen": [Q, A], "rejected": [B]}, '"chosen"'),
        ("missing-label", "labelled", {"messages": [Q, A], "label": 1}, '"label"'),
        ("missing-label", "labelled", {"messages": [Q, A], "label": None}, "null"),
        # shape
        ("row-shape", "chat", {}, "nothing"),
        ("row-shape", "chat", {"message": [A]}, "message"),
        ("row-shape", "chat", {"messages": [A], "text": "t"}, "text"),
        ("row-shape", "chat", {"messages": "a"}, "list"),
        ("row-shape", "chat", {"messages": [A, None]}, "message 2"),
        ("row-shape", "text", {"text": None}, "null"),
        ("row-shape", "prompt-completion", {"prompt": [Q], "completion": "c"}, "a list"),
        ("row-shape", "prompt-only", {"prompt": [Q], "reference": None}, '"reference"'),
        ("row-shape", "chat", {"messages": [{**A, "weight": 1}]}, '"weight"'),
        ("row-shape", "chat", {"messages": [{**A, "train": True}]}, '"train"'),
        ("row-shape", "chat", {"messages": [{**A, "name": ""}]}, '"name"'),
        ("row-shape", "chat", {"messages": [{**A, "reasoning_content": None}]}, '"reasoning_content"'),
        ("row-shape", "chat", {"messages": [{**Q, "train": False}, A]}, '"train"'),
        ("row-shape", "chat", {"messages": [{**Q, "tool_calls": [CALL]}, A]}, '"tool_calls"'),
        ("row-shape", "chat", {"messages": [{**Q, "reasoning_content": "x"}, A]}, '"reasoning_content"'),
        ("unknown-role", "chat", {"messages": [{"role": "human", "content": "q"}]}, '"human"'),
        ("unknown-role", "chat", {"messages": [{"role": ["user"], "content": "q"}]}, "a list"),
        ("unknown-role", "chat", {"messages": [{"content": "q"}]}, "null"),
        ("missing-content", "chat", {"messages": [{"role": "user"}]}, "null"),
        ("missing-content", "chat", {"messages": [{"role": "user", "content": 3}]}, "a number"),
    ],
)
def test_rows_that_are_refused(code, kind, body, word):
    assert word in refused(code, kind, body)


def test_tools_must_be_text():
    assert "a list" in refused("row-shape", "text", {"text": "t"}, [])


@pytest.mark.parametrize(
    "calls",
    [
        [],
        None,
        "f()",
        ["f()"],
        [{**CALL, "type": "code"}],
        [{**CALL, "index": 0}],
        [{**CALL, "id": None}],
        [{**CALL, "id": ""}],
        [{"type": "function", "function": "f"}],
        [{"type": "function", "function": {"name": "f"}}],
        [{"type": "function", "function": {"name": "", "arguments": "{}"}}],
        [{"type": "function", "function": {"name": "f", "arguments": {}}}],
        [{"type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"type": "function", "function": {"name": "f", "arguments": "{"}}],
        [{"type": "function", "function": {"name": "f", "arguments": "[]"}}],
        [CALL, {"name": "f", "arguments": "{}"}],
    ],
)
def test_tool_calls_that_are_refused(calls):
    assert "message 2" in refused("tool-call-shape", "chat", {"messages": [Q, {**EMPTY, "tool_calls": calls}]})


# ---------------------------------------------------------------- control tokens


@pytest.mark.parametrize("token", CONTROL_TOKENS_V1)
def test_each_token_is_found(token):
    assert find_control_token(token) == token
    assert find_control_token(f"a < [b] {token}{token}") == token
    assert find_control_token(token[:-1]) is None or token == "</s>"
    assert find_control_token(token.swapcase()) is None or token.swapcase() == token


def test_the_first_token_is_named():
    assert find_control_token("x <|im_end|> </s>") == "<|im_end|>"


def test_text_without_a_token():
    for text in ("", "a", "a < b > c [d]", "<|odd|>", "<think>", "[inst]", "< s>", "[/PROMPT]", "[TOOL_USE]", "<| |>"):
        assert find_control_token(text) is None


def call(**keys):
    function = {"name": "f", "arguments": "{}", **{key: keys[key] for key in keys if key != "id"}}
    return {"messages": [Q, {**EMPTY, "tool_calls": [{"id": keys.get("id", "c"), "type": "function", "function": function}]}]}


@pytest.mark.parametrize(
    ("kind", "body", "where"),
    [
        ("chat", {"messages": [Q, {**A, "content": "x</s>"}]}, 'message 2 of "messages" (assistant)'),
        ("chat", {"messages": [{**S, "content": "</s>"}, A]}, "(system)"),
        ("chat", {"messages": [Q, A, {**TOOL, "content": "</s>"}]}, "(tool)"),
        ("chat", {"messages": [Q, {**A, "reasoning_content": "</s>"}]}, '"reasoning_content" of message 2'),
        ("chat", {"messages": [{**Q, "name": "</s>"}, A]}, '"name" of message 1'),
        ("chat", call(name="</s>"), "a tool call of message 2"),
        ("chat", call(id="</s>"), "a tool call of message 2"),
        ("chat", call(arguments='{"a":"</s>"}'), "a tool call of message 2"),
        ("prompt-completion", {"prompt": "</s>", "completion": "c"}, '"prompt"'),
        ("prompt-completion", {"prompt": "p", "completion": "</s>"}, '"completion"'),
        ("preference", {"prompt": [Q], "chosen": [A], "rejected": [{**A, "content": "</s>"}]}, '"rejected"'),
        ("labelled", {"messages": [Q, {**A, "content": "</s>"}], "label": True}, "message 2"),
        ("prompt-only", {"prompt": [Q], "reference": "</s>"}, '"reference"'),
        ("text", {"text": "</s>"}, '"text"'),
    ],
)
def test_tokens_in_a_row(kind, body, where):
    detail = refused("control-token", kind, body)
    assert where in detail and '"</s>"' in detail


def test_tokens_in_tools():
    assert '"tools"' in refused("control-token", "text", {"text": "t"}, '[{"name":"</s>"}]')
