"""The named formats, one by one."""

from __future__ import annotations

import pytest

from teapot.errors import ConfigError, Place
from teapot.mapping.build import build_mapper
from teapot.mapping.columns import FORMAT_COLUMNS
from teapot.mapping.formats import FORMATS
from teapot.mapping.row import RowError
from teapot.model import Format, Text, Turn

QA = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
SYSTEM = {"role": "system", "content": "s"}
GREETED = Turn(role="system", content=Text("be {{ tone | default('kind') }}"))
REPLACED = Turn(role="system", content=Text("be {{ tone | default('kind') }}"), mode="replace")


def rows(form, record, *, whole=True, **keys):
    return build_mapper(Format(form, **keys), (), include_reasoning=whole)(record)


def body(form, record, **keys):
    [row] = rows(form, record, **keys)
    return row.body


def refused(code, form, record, **keys):
    with pytest.raises(RowError) as caught:
        rows(form, record, **keys)
    assert caught.value.code == code
    return caught.value.detail


def wrong(form, **keys):
    with pytest.raises(ConfigError) as caught:
        build_mapper(Format(form, place=Place("module.yaml", 3), **keys), ())
    [problem] = caught.value.problems
    assert problem.place == Place("module.yaml", 3)
    return f"{problem.message} / {problem.hint}"


# ---------------------------------------------------------------- all of them


def test_the_tables_agree():
    assert set(FORMATS) | {"mapping"} == set(FORMAT_COLUMNS)


def test_formats_and_columns_that_do_not_exist():
    assert wrong("sharegtp") == 'there is no format "sharegtp" / did you mean "sharegpt"?'
    assert "the formats are messages, " in wrong("xyzzy")
    assert (
        wrong("alpaca", columns=(("inptu", "x"),)) == 'the format "alpaca" reads no "inptu" that could be renamed / did you mean "input"?'
    )
    assert wrong("text", columns=(("zzz", "x"),)).endswith("/ it reads text")
    assert "no templates" in wrong("alpaca", templates=(("prompt", Text("x")),))
    assert "no templates" in wrong("alpaca", turns=(Turn(role="user", content=Text("x")),))


@pytest.mark.parametrize("form", ["text", "prompt-completion"])
def test_a_system_message_needs_a_conversation(form):
    assert "no place" in wrong(form, system=GREETED)


def test_a_system_message_needs_a_text():
    assert "no text" in wrong("messages", system=Turn(role="system"))


@pytest.mark.parametrize(
    ("form", "record", "where"),
    [
        ("messages", {"messages": [{"role": "user", "content": "q"}]}, "messages"),
        ("sharegpt", {"conversations": [{"from": "human", "value": "q"}]}, "messages"),
        ("alpaca", {"instruction": "q", "output": "a"}, "messages"),
        ("question-answer", {"question": "q", "answer": "a"}, "messages"),
        ("labelled", {"messages": QA, "label": True}, "messages"),
        ("prompt-only", {"prompt": "q"}, "prompt"),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b"}, "prompt"),
    ],
)
def test_a_declared_system_message(form, record, where):
    got = body(form, {**record, "tone": "brief"}, system=GREETED)
    assert got[where][0] == {"role": "system", "content": "be brief"} and got[where][1] == {"role": "user", "content": "q"}
    mapper = build_mapper(Format(form, system=GREETED), ())
    assert "tone" in mapper.columns and mapper.kind == FORMATS[form].kind


def test_a_system_message_that_is_there():
    record = {"messages": [SYSTEM, *QA]}
    assert body("messages", record, system=GREETED)["messages"] == [SYSTEM, *QA]
    assert body("messages", record, system=REPLACED)["messages"] == [{"role": "system", "content": "be kind"}, *QA]
    assert body("messages", {"messages": QA}, system=REPLACED)["messages"] == [{"role": "system", "content": "be kind"}, *QA]
    none = Turn(role="system", content=Text(""), mode="replace")
    assert body("messages", record, system=none)["messages"] == QA
    assert body("messages", {"messages": QA}, system=Turn(role="system", content=Text("")))["messages"] == QA


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ("messages", {"messages": QA}),
        ("sharegpt", {"conversations": []}),
        ("alpaca", {"instruction": "q", "output": "a"}),
        ("question-answer", {"question": "q", "answer": "a"}),
        ("labelled", {"messages": QA, "label": False}),
        ("prompt-only", {"prompt": "q"}),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b"}),
    ],
)
def test_tools_of_a_record(form, record):
    tools = [{"name": "f", "x": None}]
    assert rows(form, record)[0].tools == ""
    assert rows(form, {**record, "tools": tools})[0].tools == '[{"name":"f"}]'
    assert rows(form, {**record, "functions": tools}, columns=(("tools", "functions"),))[0].tools == '[{"name":"f"}]'
    refused("invalid-tools", form, {**record, "tools": "hammer"})


def test_tools_of_a_record_without_a_conversation_are_not_read():
    assert rows("text", {"text": "t", "tools": "hammer"})[0].tools == ""


# ---------------------------------------------------------------- chat


def test_a_system_column():
    said = {"from": "human", "value": "q"}
    record = {"conversations": [said], "system": "s"}
    assert body("sharegpt", record)["messages"] == [SYSTEM, QA[0]]
    assert body("sharegpt", {**record, "system": ""})["messages"] == [QA[0]]
    assert body("sharegpt", {"conversations": [], "system": "s"})["messages"] == [SYSTEM]
    assert body("sharegpt", {"conversations": [{"from": "system", "value": "s"}, said], "system": "s"})["messages"] == [SYSTEM, QA[0]]
    refused("conflicting-values", "sharegpt", {"conversations": [{"from": "system", "value": "t"}, said], "system": "s"})
    refused("not-text", "sharegpt", {**record, "system": 3})


def test_a_system_column_beside_messages_is_read_where_it_is_named():
    record = {"messages": QA, "system": "s"}
    assert body("messages", record)["messages"] == QA
    assert body("messages", record, columns=(("system", "system"),))["messages"] == [SYSTEM, *QA]


@pytest.mark.parametrize(
    ("record", "asked"),
    [
        ({"instruction": "i"}, "i"),
        ({"instruction": "i", "input": ""}, "i"),
        ({"instruction": "i", "input": " \n"}, "i"),
        ({"instruction": "i", "input": None}, "i"),
        ({"instruction": "i", "input": "x "}, "i\n\nx "),
        ({"instruction": "", "input": "x"}, "x"),
    ],
)
def test_alpaca(record, asked):
    expected = {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "o"}]}
    assert body("alpaca", {**record, "output": "o"}) == expected
    assert body("alpaca", {**record, "response": "o"}) == expected
    assert body("alpaca", {**record, "response": "o", "output": "o"}) == expected
    assert body("alpaca", {**record, "answer": "o", "output": "p"}, columns=(("output", "answer"),)) == expected


def test_alpaca_with_system_and_history():
    record = {"system": "s", "history": [["q1", "a1"], ["q2", "<think>x</think>a2"]], "instruction": "q", "output": "<think>y</think> a"}
    got = [(message["role"], message["content"]) for message in body("alpaca", record, whole=False)["messages"]]
    assert got == [
        ("system", "s"),
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
        ("user", "q"),
        ("assistant", "a"),
    ]
    assert body("alpaca", {**record, "history": [], "system": None})["messages"][0]["content"] == "q"


@pytest.mark.parametrize("history", ["q", {"q": "a"}, [["q"]], [["q", 3]], [[None, "a"]], ["qa"]])
def test_alpaca_history_that_is_none(history):
    assert '"history"' in refused("history-shape", "alpaca", {"instruction": "q", "output": "a", "history": history})


def test_alpaca_that_is_refused():
    assert refused("missing-field", "alpaca", {"instruction": "q"}) == 'the record has no "output" or "response"'
    refused("missing-field", "alpaca", {"output": "a"})
    refused("missing-field", "alpaca", {"instruction": None, "output": "a"})
    refused("not-text", "alpaca", {"instruction": "q", "output": 3})
    refused("not-text", "alpaca", {"instruction": "q", "input": [], "output": "a"})
    refused("conflicting-values", "alpaca", {"instruction": "q", "output": "a", "response": "b"})


def test_question_answer():
    assert body("question-answer", {"question": "q", "answer": "a"})["messages"] == QA
    assert (
        body("question-answer", {"problem": "q", "answer": "<think>x</think>a"}, columns=(("question", "problem"),), whole=False)[
            "messages"
        ]
        == QA
    )
    record = {"question": "q", "answer": "a", "system": "s"}
    assert body("question-answer", record)["messages"] == QA
    assert body("question-answer", record, columns=(("system", "system"),))["messages"] == [SYSTEM, *QA]
    assert '"answer"' in refused("not-text", "question-answer", {"question": "q", "answer": 42})
    refused("missing-field", "question-answer", {"question": "q"})


# ---------------------------------------------------------------- other kinds


def test_prompt_completion():
    record = {"prompt": "p", "completion": "<think>x</think> c"}
    assert body("prompt-completion", record) == record
    assert body("prompt-completion", record, whole=False) == {"prompt": "p", "completion": "c"}
    refused("not-text", "prompt-completion", {"prompt": [], "completion": "c"})
    refused("missing-field", "prompt-completion", {"prompt": "p"})


def test_text():
    assert body("text", {"body": "<think>x</think>"}, columns=(("text", "body"),), whole=False) == {"text": "<think>x</think>"}
    refused("missing-field", "text", {"text": None})


def test_labelled():
    for label in (True, False):
        assert body("labelled", {"messages": QA, "label": label}) == {"messages": QA, "label": label}
    spoken = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    assert body("labelled", {"conversations": spoken, "good": True}, columns=(("label", "good"),)) == {"messages": QA, "label": True}
    for label in (0, 1, 1.0, "true", "false", []):
        refused("label-not-boolean", "labelled", {"messages": QA, "label": label})
    refused("missing-label", "labelled", {"messages": QA})
    refused("missing-label", "labelled", {"messages": QA, "label": None})
    refused("missing-field", "labelled", {"label": True})


def test_prompt_only():
    assert body("prompt-only", {"prompt": "q"}) == {"prompt": QA[:1], "reference": ""}
    assert body("prompt-only", {"prompt": [SYSTEM, QA[0]], "reference": "a"}) == {"prompt": [SYSTEM, QA[0]], "reference": "a"}
    assert body("prompt-only", {"messages": QA[:1], "answer": "a"}, columns=(("reference", "answer"),)) == {
        "prompt": QA[:1],
        "reference": "a",
    }
    refused("not-text", "prompt-only", {"prompt": "q", "reference": 3})
    refused("not-a-list", "prompt-only", {"prompt": {"role": "user"}})
    refused("missing-field", "prompt-only", {"reference": "a"})


# ---------------------------------------------------------------- preference

Q, A, B, C = ({"role": role, "content": text} for role, text in (("user", "q"), ("assistant", "a"), ("assistant", "b"), ("assistant", "c")))
Q2 = {"role": "user", "content": "q2"}
T1, T2 = ({"role": "tool", "content": text} for text in ("t1", "t2"))


@pytest.mark.parametrize(
    ("record", "prompt", "chosen", "rejected"),
    [
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, [Q], [A], [B]),
        ({"prompt": [SYSTEM, Q], "chosen": A, "rejected": [B]}, [SYSTEM, Q], [A], [B]),
        ({"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": "b"}, [Q], [A], [B]),
        ({"messages": [Q], "chosen": "a", "rejected": "b"}, [Q], [A], [B]),
        ({"prompt": "q", "messages": [Q, A], "chosen": "a", "rejected": "b"}, [Q], [A], [B]),
        # whole conversations
        ({"chosen": [Q, A], "rejected": [Q, B]}, [Q], [A], [B]),
        ({"chosen_messages": [SYSTEM, Q, A], "rejected_messages": [SYSTEM, Q, B]}, [SYSTEM, Q], [A], [B]),
        ({"chosen": [Q, A, Q2, B], "rejected": [Q, A, Q2, C]}, [Q, A, Q2], [B], [C]),
        ({"chosen": [Q, A], "rejected": [Q, A]}, [Q], [A], [A]),
        ({"chosen": [Q, A, Q2, B], "rejected": [Q, C]}, [Q], [A, Q2, B], [C]),
        # they part at a tool's answer: the assistant's call before it belongs to the answers
        ({"chosen": [Q, A, T1, B], "rejected": [Q, A, T2, C]}, [Q], [A, T1, B], [A, T2, C]),
        # the prompt said twice
        ({"prompt": "q", "chosen": [Q, A], "rejected": [Q, B]}, [Q], [A], [B]),
        ({"prompt": "q2", "chosen": [Q, A, Q2, B], "rejected": [Q, A, Q2, C]}, [Q, A, Q2], [B], [C]),
        ({"prompt": [SYSTEM, Q], "chosen": [Q, A], "rejected": [Q, B]}, [SYSTEM, Q], [A], [B]),
        ({"prompt": [SYSTEM], "chosen": [Q, A], "rejected": [Q, B]}, [SYSTEM, Q], [A], [B]),
        ({"prompt": [], "chosen": [Q, A], "rejected": [Q, B]}, [Q], [A], [B]),
        # answers, not conversations: what they have in common stays theirs
        ({"prompt": "q", "chosen": [A, T1, B], "rejected": [A, T1, C]}, [Q], [A, T1, B], [A, T1, C]),
        ({"prompt": "q", "chosen": [], "rejected": [B]}, [Q], [], [B]),
    ],
)
def test_preference(record, prompt, chosen, rejected):
    assert body("preference", record) == {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def test_preference_without_reasoning():
    record = {"prompt": "q", "chosen": "<think>x</think>a", "rejected": {"role": "assistant", "content": "<think>y</think>b"}}
    assert body("preference", record, whole=False) == {"prompt": [Q], "chosen": [A], "rejected": [B]}


def test_preference_that_is_refused():
    refused("empty-prompt", "preference", {"chosen": "a", "rejected": "b"})
    refused("empty-prompt", "preference", {"chosen": [Q, A], "rejected": [Q2, B]})
    refused("prompt-mismatch", "preference", {"prompt": "other", "chosen": [Q, A], "rejected": [Q, B]})
    refused("prompt-mismatch", "preference", {"prompt": "q", "chosen": [Q, A], "rejected": [Q2, B]})
    refused("missing-field", "preference", {"prompt": "q", "rejected": "b"})
    refused("not-a-list", "preference", {"prompt": "q", "chosen": 3, "rejected": "b"})
    assert '"chosen"' in refused("missing-role", "preference", {"prompt": "q", "chosen": {"content": "a"}, "rejected": "b"})


# ---------------------------------------------------------------- explode


def test_explode():
    record = {"topic": "t", "pairs": [{"question": "1", "answer": "2"}, {"question": "3", "answer": "4", "topic": "u"}]}
    mapper = build_mapper(Format("question-answer", explode="pairs", system=Turn(role="system", content=Text("{{ topic }}"))), ())
    got = [[message["content"] for message in row.body["messages"]] for row in mapper(record)]
    assert got == [["t", "1", "2"], ["u", "3", "4"]]
    assert mapper.columns == {"pairs", "question", "answer", "tools", "topic"}


@pytest.mark.parametrize(
    ("pairs", "code", "word"),
    [
        (None, "missing-field", '"pairs"'),
        ("x", "not-a-list", '"x"'),
        ([], "empty-list", '"pairs"'),
        ([{"question": "1", "answer": "2"}, []], "not-an-object", "element 2"),
        ([{"question": "1", "answer": "2"}, {"question": "3"}], "missing-field", 'element 2: the record has no "answer"'),
    ],
)
def test_explode_that_is_refused(pairs, code, word):
    assert word in refused(code, "question-answer", {"pairs": pairs}, explode="pairs")


def test_explode_without_the_column():
    refused("missing-field", "question-answer", {"question": "1"}, explode="pairs")
