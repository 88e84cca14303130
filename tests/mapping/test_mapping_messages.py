"""Messages and conversations: what data sets write, and what is refused."""

from __future__ import annotations

import pytest

from teapot.errors import ConfigError
from teapot.mapping.build import build_mapper
from teapot.mapping.conversation import SPEAKERS
from teapot.mapping.row import RowError
from teapot.model import Format

CALL = {"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def chat(*messages, form="messages", roles=(), whole=True):
    [row] = build_mapper(Format(form), roles, include_reasoning=whole)({"messages": list(messages), "conversations": list(messages)})
    assert row.kind == "chat"
    return row.body["messages"]


def said(message, **options):
    """What one message becomes."""
    return chat(message, **options)[0]


def assistant(**keys):
    return said({"role": "assistant", **keys})


def refused(code, *messages, **options):
    with pytest.raises(RowError) as caught:
        chat(*messages, **options)
    assert caught.value.code == code
    return caught.value.detail


# ---------------------------------------------------------------- content


def test_plain_messages_stay_as_they_are():
    messages = [{"role": role, "content": f"{role} \u2028é "} for role in ("system", "user", "assistant", "tool", "user")]
    assert chat(*messages) == messages
    assert chat(*messages, whole=False) == messages


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "value": "b", "text": None}], "ab"),
        ([{"type": "text", "text": "a", "value": "a"}], "a"),
    ],
)
def test_content(content, expected):
    assert said({"role": "user", "content": content}) == {"role": "user", "content": expected}


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [
        (3, "content-not-text", "a number"),
        (True, "content-not-text", "true"),
        ({"text": "a"}, "content-not-text", "an object"),
        (None, "missing-content", '"content"'),
        (["a"], "unsupported-part", '"a"'),
        ([{"text": "a"}], "unsupported-part", "null"),
        ([{"type": 3}], "unsupported-part", "a number"),
        ([{"type": "image", "image": "x"}], "unsupported-part", '"image"'),
        ([{"type": "text"}], "unsupported-part", '"text"'),
        ([{"type": "text", "text": 3}], "not-text", "a number"),
        ([{"type": "text", "text": "a", "value": "b"}], "conflicting-values", "differ"),
    ],
)
def test_content_that_is_refused(content, code, word):
    detail = refused(code, {"role": "user", "content": "fine"}, {"role": "user", "content": content})
    assert 'message 2 of "messages"' in detail and word in detail


def test_an_absent_content_is_missing():
    refused("missing-content", {"role": "user"})
    refused("missing-content", {"role": "assistant", "tool_calls": []})


# ---------------------------------------------------------------- reasoning


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_by_key(key):
    expected = {"role": "assistant", "content": "a", "reasoning_content": "why"}
    assert assistant(content="a", **{key: "why"}) == expected
    assert assistant(content="a", **{key: "why"}, tool_calls=None, name=None, train=None) == expected
    assert assistant(content="a", **{key: None}) == assistant(content="a", **{key: ""}) == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    "part", [{"type": "reasoning", "value": "why"}, {"type": "thinking", "thinking": "why"}, {"type": "reasoning", "text": "why"}]
)
def test_reasoning_by_part(part):
    assert assistant(content=[part, {"type": "text", "text": "a"}]) == {"role": "assistant", "content": "a", "reasoning_content": "why"}


def test_reasoning_that_is_refused():
    assert "a number" in refused("not-text", {"role": "assistant", "content": "a", "reasoning": 3})
    refused("conflicting-values", {"role": "assistant", "content": "a", "reasoning": "x", "thinking": "y"})
    assert "user" in refused("misplaced-key", {"role": "user", "content": "a", "reasoning": "x"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<think>why</think>\n\n\u3000answer ", "answer "),
        ("\n <think></think>answer", "answer"),
        ("answer <think>why</think>", "answer <think>why</think>"),
        (" answer", " answer"),
        ("<think>all</think>", ""),
    ],
)
def test_without_reasoning(content, expected):
    message = {"role": "assistant", "content": content, "reasoning_content": "why"}
    assert said(message, whole=False) == {"role": "assistant", "content": expected}
    assert said({"role": "assistant", "content": content}, whole=False) == {"role": "assistant", "content": expected}
    assert said(message)["content"] == content


def test_without_reasoning_others_keep_their_text_and_an_open_block_is_refused():
    user = {"role": "user", "content": "<think>I wonder</think> why"}
    assert said(user, whole=False) == user
    assert "<think>" in refused("unclosed-think", {"role": "assistant", "content": "<think>why"}, whole=False)


# ---------------------------------------------------------------- tool calls


@pytest.mark.parametrize(
    "keys",
    [
        {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]},
        {"content": "", "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        {"content": "", "tool_calls": [CALL], "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        {"content": [{"type": "tool_call", "value": '{"name": "f", "arguments": {"a": 1}}'}]},
    ],
)
def test_tool_calls(keys):
    assert assistant(**keys) == {"role": "assistant", "content": "", "tool_calls": [CALL]}


def test_tool_calls_that_are_refused():
    refused("misplaced-key", {"role": "user", "content": "a", "tool_calls": [CALL]})
    refused("conflicting-values", {"role": "assistant", "content": "", "tool_calls": [CALL], "function_call": {"name": "g"}})
    refused("tool-call-shape", {"role": "assistant", "content": [{"type": "tool_call", "value": "f()"}]})
    refused("tool-call-shape", {"role": "assistant", "content": "", "tool_calls": "f()"})


def test_empty_tool_calls_are_none():
    for empty in (None, [], ""):
        assert assistant(content="a", tool_calls=empty, function_call=empty) == {"role": "assistant", "content": "a"}


# ---------------------------------------------------------------- other keys


def test_names_and_call_ids():
    message = {"role": "tool", "content": "35", "tool_call_id": "c1", "name": "f"}
    assert said(message) == message
    assert said({"role": "tool", "content": "35", "tool_call_id": None, "name": ""}) == {"role": "tool", "content": "35"}
    refused("not-text", {"role": "tool", "content": "35", "tool_call_id": 3})


@pytest.mark.parametrize(
    "keys", [{"loss_weight": 0.0}, {"weight": 0}, {"train": False}, {"loss": False}, {"loss": 0}, {"weight": 0, "train": False}]
)
def test_not_trained(keys):
    assert assistant(content="a", **keys) == {"role": "assistant", "content": "a", "train": False}


@pytest.mark.parametrize("keys", [{"loss_weight": 1.0}, {"weight": 1}, {"train": True}, {"loss": True}, {"weight": None}, {"train": None}])
def test_trained(keys):
    assert assistant(content="a", **keys) == {"role": "assistant", "content": "a"}
    assert said({"role": "user", "content": "a", "loss_weight": 0.5}) == {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"weight": 0.5}, "loss-weight"),
        ({"weight": "0"}, "loss-weight"),
        ({"loss_weight": False}, "loss-weight"),
        ({"train": 0}, "loss-weight"),
        ({"loss": []}, "loss-weight"),
        ({"train": True, "weight": 0}, "conflicting-values"),
    ],
)
def test_weights_that_cannot_be_kept(keys, code):
    refused(code, {"role": "assistant", "content": "a", **keys})


def test_content_that_a_row_has_no_place_for():
    for value in ("x.png", ["x.png"], {"url": "x"}):
        assert '"images"' in refused("unsupported-key", {"role": "user", "content": "a", "images": value})
    assert said({"role": "user", "content": "a", "images": [], "refusal": None, "audio": "", "other": "x"}) == {
        "role": "user",
        "content": "a",
    }


# ---------------------------------------------------------------- conversations and roles


@pytest.mark.parametrize(("name", "role"), [item for item in SPEAKERS.items() if item[1] != "function_call"])
def test_sharegpt_roles(name, role):
    assert said({"from": name, "value": "a"}, form="sharegpt") == {"role": role, "content": "a"}
    assert said({"from": name, "value": "a", "weight": None}, form="sharegpt") == {"role": role, "content": "a"}


def test_a_function_call_is_an_assistants_message():
    one = {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'}
    assert said(one, form="sharegpt") == {"role": "assistant", "content": "", "tool_calls": [CALL]}
    two = {"from": "function_call", "value": '[{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"a": 1}}]', "weight": 0}
    assert said(two, form="sharegpt") == {"role": "assistant", "content": "", "tool_calls": [CALL, CALL], "train": False}
    assert said({"role": "tool_call", "content": one["value"]}, roles=(("tool_call", "function_call"),))["tool_calls"] == [CALL]


@pytest.mark.parametrize("value", ["<functioncall>", "[]", None, {"name": "f"}])
def test_a_function_call_that_is_none(value):
    refused("tool-call-shape", {"from": "function_call", "value": value}, form="sharegpt")


def test_the_old_function_role_is_a_tool():
    assert said({"role": "function", "name": "f", "content": "35"}) == {"role": "tool", "name": "f", "content": "35"}


def test_unknown_roles_are_named_with_the_key_that_helps():
    for message, form in (({"role": "narrator", "content": "a"}, "messages"), ({"from": "narrator", "value": "a"}, "sharegpt")):
        detail = refused("unknown-role", message, form=form)
        assert '"narrator"' in detail and '"roles:"' in detail
    refused("unknown-role", {"role": "human", "content": "a"})
    refused("unknown-role", {"role": 3, "content": "a"})


def test_roles_give_odd_names_their_meaning():
    roles = (("narrator", "gpt"), ("user", "assistant"))
    assert said({"role": "narrator", "content": "a"}, roles=roles)["role"] == "assistant"
    assert said({"from": "narrator", "value": "a"}, roles=roles, form="sharegpt")["role"] == "assistant"
    assert said({"role": "user", "content": "a"}, roles=roles)["role"] == "assistant"


def test_roles_that_mean_nothing():
    for form in ("messages", "text"):
        with pytest.raises(ConfigError, match='"asistant" is no role') as caught:
            build_mapper(Format(form), (("x", "asistant"),))
        assert caught.value.problems[0].hint == 'did you mean "assistant"?'
    with pytest.raises(ConfigError) as caught:
        build_mapper(Format("messages"), (("x", "zzz"),))
    assert '"assistant"' in (caught.value.problems[0].hint or "")


def test_the_other_format_is_named():
    assert '"sharegpt"' in refused("wrong-format", {"from": "human", "value": "a"})
    assert '"messages"' in refused("wrong-format", {"role": "user", "content": "a"}, form="sharegpt")


def test_shapes_that_are_refused():
    assert "null" in refused("message-shape", None)
    refused("message-shape", "hello")
    refused("missing-role", {"content": "a"})
    refused("missing-role", {"value": "a"}, form="sharegpt")
    assert refused("missing-role", {"content": "a"}, form="sharegpt") == 'message 1 of "conversations" has no "from"'
    refused("missing-content", {"from": "human"}, form="sharegpt")


def test_where_the_conversation_stands():
    mapper = build_mapper(Format("messages"), ())
    user = [{"role": "user", "content": "a"}]
    assert mapper({"conversations": user})[0].body == {"messages": user}
    assert mapper({"conversations": user, "messages": []})[0].body == {"messages": []}
    assert mapper({"conversations": user, "messages": None})[0].body == {"messages": user}
    for record, code in (({}, "missing-field"), ({"messages": "hello"}, "not-a-list")):
        with pytest.raises(RowError) as caught:
            mapper(record)
        assert caught.value.code == code
    renamed = build_mapper(Format("messages", columns=(("messages", "data.turns"),)), ())
    assert renamed({"data": {"turns": user}})[0].body == {"messages": user}
    with pytest.raises(RowError, match=r"data\.turns"):
        renamed({"messages": user})
    assert renamed.columns == {"data", "data.turns", "tools"}
    assert mapper.columns == {"messages", "conversations", "tools"}


@pytest.mark.parametrize(
    ("form", "columns", "message"),
    [
        ("messages", (("role", "name"), ("content", "text")), {"name": "user", "text": "a"}),
        ("sharegpt", (("from", "role"), ("value", "content")), {"role": "human", "content": "a"}),
        ("labelled", (("from", "role"), ("value", "content")), {"role": "human", "content": "a"}),
        ("labelled", (("role", "who"), ("content", "what")), {"who": "user", "what": "a", "weight": None}),
    ],
)
def test_the_keys_of_a_message_have_other_names(form, columns, message):
    mapper = build_mapper(Format(form, columns=columns), ())
    for variant in (message, {**message, "weight": None}):
        [row] = mapper({"messages": [variant], "conversations": [variant], "label": True})
        assert row.body["messages"] == [{"role": "user", "content": "a"}]
    assert not {"name", "text", "role", "content", "who"} & mapper.columns
