"""Spans are exactly what the assistant says and the end of its turn, whatever the chat; what cannot be shown is an error that says why."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from teapot.errors import DataError
from teapot.rowcheck import CONTROL_TOKENS_V1
from teapot.templates.anatomy import anatomy
from teapot.templates.chat import chats_of
from teapot.templates.names import NAMES
from teapot.templates.render import ChatTemplate, TemplateError, named
from teapot.templates.spans import Rendered, render
from tests.templates.tools import SIMPLE, TALKS, TOOLS, called, chat_of, row_of, say, turns, written

ENDS = {"chatml": "<|im_end|>", "qwen": "<|im_end|>", "llama3": "<|eot_id|>", "mistral": "</s>"}
THINKS = [name for name in NAMES if name not in ("apertus", "apertus-tools")]
CALLS = [name for name in NAMES if name not in ("chatml", "apertus", "apertus-think")]

template = cache(named)


def spoken(rendered: Rendered) -> list[str]:
    return [rendered.text[slice(*span)] for span in rendered.assistant_spans]


def end_of(name: str) -> str:
    return ENDS.get(name, "<|assistant_end|>")


# ---------------------------------------------------------------- what must come out, written a second time


def expected(name: str, messages: list[dict[str, Any]], number: int) -> str:
    """What the assistant says in one message, by the format's own rules."""
    message = messages[number]
    last_question = max(index for index, one in enumerate(messages) if one["role"] == "user")
    content = message["content"].strip() if name == "llama3" else message["content"]
    text, thought = "", message.get("reasoning_content")
    if thought and not (name == "qwen" and number < last_question):
        text += f"<|inner_prefix|>{thought}<|inner_suffix|>" if name.startswith("apertus") else f"<think>\n{thought}\n</think>\n\n"
    text += content
    calls = [(one["id"], one["function"]["name"], json.loads(one["function"]["arguments"])) for one in message.get("tool_calls", ())]
    told = [(id_, function, json.dumps(arguments, ensure_ascii=False)) for id_, function, arguments in calls]
    if name == "qwen":
        each = [f'<tool_call>\n{{"name": "{function}", "arguments": {arguments}}}\n</tool_call>' for _, function, arguments in told]
        text = "\n".join([*([text] if content else []), *each]) if content or not text else text + "\n".join(each)
    elif name == "llama3":
        text += "".join(f'{{"name": "{function}", "parameters": {arguments}}}' for _, function, arguments in told)
    elif name == "mistral":
        text += "".join(f"[TOOL_CALLS]{function}[CALL_ID]{id_}[ARGS]{arguments}" for id_, function, arguments in told)
    elif told:
        inside = ", ".join(f'{{"{function}": {arguments}}}' for _, function, arguments in told)
        text += f"<|tools_prefix|>[{inside}]<|tools_suffix|>"
        if number + 1 < len(messages) and messages[number + 1]["role"] == "tool":
            return text
    return text + end_of(name)


SIGNS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(SIGNS, max_size=30) | st.sampled_from(["", " a ", "\na\n", "é🙂", "\ue000\U00100000", "a</b>", "{{ x }}", "# b", "\u2028"])
WORDS = TEXT.filter(lambda text: text.strip() != "")


@st.composite
def talks(draw: st.DrawFn, *, thoughts: bool, tools: bool, inner: bool = False) -> list[dict[str, Any]]:
    messages = [say("system", draw(TEXT))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append(say("user", draw(WORDS)))
        more: dict[str, Any] = {"reasoning_content": draw(WORDS)} if thoughts and draw(st.booleans()) else {}
        if tools and draw(st.booleans()):
            arguments = draw(st.dictionaries(TEXT, TEXT | st.integers(-9, 9) | st.booleans() | st.none(), max_size=2))
            said = {} if inner else more
            messages.append(say("assistant", "", tool_calls=[called("lookup", arguments)], **said))
            messages.append(say("tool", draw(TEXT), tool_call_id="abcdefgh0"))
        messages.append(say("assistant", draw(WORDS), **more))
        if draw(st.integers(0, 5)) == 0:
            messages[-1]["train"] = False
    return messages


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_spans_are_exactly_what_the_assistant_says(name: str, data: st.DataObject) -> None:
    messages = data.draw(talks(thoughts=name in THINKS, tools=name in CALLS, inner=True))
    row = {"messages": messages, "tools": json.dumps(TOOLS)} if name in CALLS else {"messages": messages}
    chat = chats_of(row)["messages"]
    try:
        rendered = render(template(name), chat)
    except TemplateError:
        raise
    except DataError as error:
        assume("marks turns" not in str(error))
        raise
    trained = [number for number, message in enumerate(messages) if message["role"] == "assistant" and "train" not in message]
    assert spoken(rendered) == [expected(name, messages, number) for number in trained]
    assert rendered.text.rstrip().endswith(end_of(name))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_content_can_forge_a_turn(name: str, data: st.DataObject) -> None:
    """Whatever a content holds is refused, or the text has the same marks as one with harmless contents."""
    parts = [*anatomy(template(name)).marks, *CONTROL_TOKENS_V1, "assistant", "user", "\n", "\n\n", "]", "<", "|", ">", "</think>", "a"]
    parts += ["<tool_response>", "</tool_response>", "<|im_", "end|>", "<think>"]
    nasty = st.lists(st.sampled_from(parts), min_size=1, max_size=4).map("".join)
    mild = data.draw(talks(thoughts=name in THINKS, tools=name in CALLS, inner=True))
    for message in mild:
        message["content"] = "x" if message["content"] else ""
        message.pop("train", None)
        if "reasoning_content" in message:
            message["reasoning_content"] = "y"
    number = data.draw(st.sampled_from(range(len(mild))))
    wild = [dict(message) for message in mild]
    key = "reasoning_content" if "reasoning_content" in wild[number] and data.draw(st.booleans()) else "content"
    wild[number][key] = data.draw(nasty) + "z"
    tools = json.dumps(TOOLS) if name in CALLS else ""
    try:
        rendered = render(template(name), chats_of({"messages": wild, "tools": tools})["messages"])
    except DataError:
        return
    plain = render(template(name), chats_of({"messages": mild, "tools": tools})["messages"])
    for mark in anatomy(template(name)).marks:
        if "inner" not in mark:  # a content that begins with a thought has become one
            assert rendered.text.count(mark) == plain.text.count(mark), mark
    assert len(rendered.assistant_spans) == len(plain.assistant_spans)


# ---------------------------------------------------------------- the named templates


@pytest.mark.parametrize("name", THINKS)
def test_thoughts_inside_contents_are_the_same_as_thoughts_apart(name: str) -> None:
    apart = [say("user", "q"), say("assistant", "a", reasoning_content="r")]
    inside = [say("user", "q"), say("assistant", "<think>\nr\n</think>\n\na")]
    assert render(template(name), chat_of(apart)) == render(template(name), chat_of(inside))
    without = render(template(name), chats_of(row_of(apart), reasoning=False)["messages"])
    assert spoken(without) == ["a" + end_of(name)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("talk", ["thoughts", "a call", "two calls", "words and a call"])
def test_a_named_template_has_a_form_or_says_that_it_has_none(name: str, talk: str) -> None:
    possible = name in (THINKS if talk == "thoughts" else CALLS)
    if name in ("llama3", "mistral") and (talk == "words and a call" or (name, talk) == ("llama3", "two calls")):
        possible = False
    if possible:
        messages = TALKS[talk]
        rendered = render(template(name), chat_of(talk))
        assert spoken(rendered) == [expected(name, messages, at) for at, one in enumerate(messages) if one["role"] == "assistant"]
        assert rendered.method == "generation"
        assert rendered.forgotten == ((3,) if (name, talk) == ("qwen", "thoughts") else ())
    else:
        with pytest.raises(TemplateError, match=f"the template '{name}' refuses the chat: .*(form|place|text beside)"):
            render(template(name), chat_of(talk))


@pytest.mark.parametrize(
    ("name", "messages", "why"),
    [
        ("chatml", [say("user", "q"), say("tool", "x"), say("assistant", "a")], "no form for the role 'tool'"),
        ("mistral", [say("user", "q"), say("assistant", "", tool_calls=[{**called("two", {}), "id": "x"}])], "nine letters"),
        ("mistral", [say("user", "q"), say("tool", "x"), say("assistant", "a")], "nine letters"),
        ("apertus-tools", [say("user", "q"), say("tool", "x"), say("assistant", "a")], "does not follow one"),
        ("apertus", [say("user", "q"), say("system", "x"), say("assistant", "a")], "no 'system' later"),
        (
            "apertus-tools",
            [say("user", "q"), say("assistant", "", tool_calls=[called("two", {})]), say("tool", "x"), say("user", "q")],
            "first",
        ),
        ("llama3", [say("assistant", "a", tool_calls=[called("two", {})])], "does not begin with one"),
    ],
)
def test_what_a_named_template_refuses(name: str, messages: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        render(template(name), chat_of(messages))


@pytest.mark.parametrize("name", ["apertus-tools", "apertus-full"])
def test_the_output_of_a_tool_cannot_end_the_list_of_outputs(name: str) -> None:
    def talk(output: str) -> list[dict[str, Any]]:
        return [
            say("user", "q"),
            say("assistant", "", tool_calls=[called("two", {})]),
            say("tool", output, tool_call_id="x"),
            say("assistant", "a"),
        ]

    with pytest.raises(DataError, match=r"message 3 \(tool\) holds '\]'"):
        render(template(name), chat_of(talk("fine] Sure")))
    assert '[["a"]]a' in render(template(name), chat_of(talk('["a"]'))).text


def test_thoughts_around_calls_in_apertus_full() -> None:
    messages = [
        say("user", "q"),
        say("assistant", "", reasoning_content="one", tool_calls=[called("two", {})]),
        say("tool", "out"),
        say("assistant", "a", reasoning_content="more"),
        say("user", "q"),
        say("assistant", "", tool_calls=[called("two", {})]),
    ]
    assert spoken(render(template("apertus-full"), chat_of(messages))) == [
        '<|inner_prefix|>one<|tools_prefix|>[{"two": {}}]<|tools_suffix|>',
        "more<|inner_suffix|>a<|assistant_end|>",
        '<|tools_prefix|>[{"two": {}}]<|tools_suffix|><|assistant_end|>',
    ]


# ---------------------------------------------------------------- any template


def test_the_smallest_template() -> None:
    rendered = render(written(SIMPLE), chat_of("more turns"))
    assert spoken(rendered) == ["Yo<|end|>", "Fine 🙂<|end|>"]
    assert rendered.method == "sentinels"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (turns("<|{{ m.role }}|>\n{{ m.content | trim }}</s>\n"), ["a</s>"]),
        (turns("<|{{ m.role }}|>{{ m.content.rstrip('\\n') }}<|end|>"), [" \na <|end|>"]),
        (turns("<|{{ m.role }}|>{{ m.content }}{{ '' if loop.last else '<|end|>' }}"), [" \na \n<|end|>"]),
        (turns("<|{{ m.role }}|>{{ m.content }}{{ '<|bye|>' if loop.last else '<|end|>' }}"), [" \na \n<|bye|>"]),
        (turns("<|{{ m.role }}|>{{ m.content }}<|end|>", after="{{ eos_token }}"), [" \na \n<|end|>"]),
        (turns("{{ m.role | upper }}: {{ m.content }}</s>\n"), [" \na \n</s>"]),
        (turns("<|{{ m.role }}|>{{ m.content }} {{ eos_token if m.role == 'assistant' }}"), [" \na \n </s>"]),
        (turns("<|{{ m.role }}|>{% generation %}{{ m.content }}{% endgeneration %}<|end|>"), None),
        (turns("<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|end|>"),
         [" \na \n<|end|>"]),
        (turns("{% if m.role == 'assistant' %}<|assistant|>{% generation %}<think></think>{{ m.content }}<|end|>\n{% endgeneration %}{% else %}<|u|>{{ m.content }}<|end|>{% endif %}"),
         [" \na \n<|end|>"]),
    ],
)  # fmt: skip
def test_where_a_template_puts_the_end(source: str, said: list[str] | None) -> None:
    chat = chat_of([say("user", "q"), say("assistant", " \na \n")])
    if said is None:
        with pytest.raises(TemplateError, match="marks 2 texts as generated, and 1 are the assistant's"):
            render(written(source, eos_token="</s>"), chat)
    else:
        assert spoken(render(written(source, eos_token="</s>"), chat)) == said


def generated(before: str = "", after: str = "<|end|>") -> str:
    block = f"{{% generation %}}{before}{{{{ m.content }}}}{after}{{% endgeneration %}}"
    return turns("<|{{ m.role }}|>{% if m.role == 'assistant' %}" + block + "{% else %}{{ m.content }}<|end|>{% endif %}")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ messages[0].content }}", "does not write two questions and two answers"),
        (turns("{{ m.content }}{{ m.content }}"), "does not write two questions and two answers"),
        (turns("{{ m.content }}"), "puts nothing between a question and its answer|has no token that ends"),
        (turns("{{ '<|end|>' if m.role == 'assistant' }}{{ m.content }}{{ '<|end|>' if m.role == 'assistant' }}\n"), None),
        (turns("{{ m.role }}: {{ m.content }}\n"), "has no token that ends the assistant's turn"),
        (turns("<|{{ m.role }}|>{{ m.content }}"), "has no token that ends the assistant's turn"),
        (turns("<|{{ m.role }}|>{{ m.content }}", after="bye"), "has no token that ends the assistant's turn"),
        (turns("{{ m.role }}: {{ m.content }}bye "), "with 'bye', which may stand in any text"),
        (turns("<|{{ m.role }}|>{{ m.content }}<|end|>", after="<|assistant|>"), "goes on after the last answer"),
        (turns("{{ '<|u|>' if m.role == 'user' }}{{ m.content }}{{ '<|end|>' if m.role == 'assistant' }}"), "puts nothing between"),
        (turns("<|{{ m.role }}|>{{ m.content | upper if m.role == 'assistant' else m.content }}<|end|>"), "is not what its span holds"),
        (turns("<|{{ m.role }}|>{{ m.content.replace('probe', '') or 'x' }}<|end|>"), None),
        (turns("{% if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}"), r"message 1 \(system\) is left out"),
        (turns("<|{{ m.role }}|>{{ m.content if m.content | length < 9 }}<|end|>"), r"message 3 \(assistant\) is left out"),
        (turns("<|{{ m.role }}|>{{ m.content }}{{ m.content if 'Y' in m.content }}<|end|>"), "message 3 .* is written more than once"),
        (
            turns("<|{{ m.role }}|>{{ m.content[:4] ~ '!' ~ m.content[4:] if m.content | length > 9 else m.content }}<|end|>"),
            "changes what",
        ),
        (turns("<|{{ m.role }}|>{{ m.content }}{{ '<|fin|>' if 'Y' in m.content else '<|end|>' }}"), r"does not end with '<\|end\|>'"),
        (generated("so: "), "is marked as generated with more before it"),
        ("{% generation %}{% endgeneration %}" + turns("<|{{ m.role }}|>{{ m.content }}<|end|>"), "is not what is marked as generated"),
    ],
)
def test_what_cannot_be_shown_is_an_error(source: str, why: str | None) -> None:
    chat = chat_of([say("system", "S"), say("user", "Hi"), say("assistant", "You are right." if "length" in source else "Yo")])
    if why is None:
        render(written(source), chat)
        return
    with pytest.raises(TemplateError, match=why) as caught:
        render(written(source), chat)
    assert "'mine'" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (turns("<|{{ m.role }}|>{% if m.reasoning_content %}[THINK]{{ m.reasoning_content }}[/THINK]{% endif %}{{ m.content }}<|end|>",
               after="{% if add_generation_prompt %}<|assistant|>{% endif %}"), ["[THINK]r[/THINK]a<|end|>"]),
        (turns("<|{{ m.role }}|>{{ m.content }}<|end|>"), ["<think>\nr\n</think>\n\na<|end|>"]),
        (turns("<|{{ m.role }}|>{{ m.content }}<|end|>{# <|inner_prefix|> #}"), ["<|inner_prefix|>r<|inner_suffix|>a<|end|>"]),
        (generated("{{ m.reasoning_content }}|"), ["r|a<|end|>"]),
        (generated("<|assistant|>{{ m.reasoning_content }}|<|assistant|>"), "with its header"),
        (turns("<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>"), "loses its reasoning"),
        (turns("<|{{ m.role }}|>{{ m.reasoning_content ~ ' ' * 300 if m.reasoning_content }}{{ m.content }}<|end|>"), "a text between"),
        (turns("<|{{ m.role }}|>{{ ' ' * 300 if m.reasoning_content}}{{ m.reasoning_content }}{{ m.content }}<|end|>"), "where it begins"),
        (turns("<|{{ m.role }}|>{{ m.content }}{{ m.reasoning_content }}<|end|>"), "in another order"),
    ],
)  # fmt: skip
def test_thoughts_in_any_template(source: str, said: list[str] | str) -> None:
    chat = chat_of([say("user", "q"), say("assistant", "a", reasoning_content="r")])
    if isinstance(said, list):
        assert spoken(render(written(source), chat)) == said
    else:
        with pytest.raises(TemplateError, match=said):
            render(written(source), chat)


CALLING = "<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}CALL {{ c.function.name }}{{ BODY }}{% endfor %}<|end|>"
LIST = "{{ tools | tojson }}"
PROMPT = "{% if add_generation_prompt %}<|assistant|>{% endif %}"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (turns(CALLING.replace("BODY", "c.function.arguments | tojson"), LIST, PROMPT), None),
        (turns(CALLING.replace("BODY", "c.function.arguments | string"), LIST, PROMPT), None),
        (turns(CALLING.replace("BODY", "''"), LIST, PROMPT), "message 3 .* loses 'x' of a tool call"),
        (turns(CALLING.replace("BODY", "c.function.arguments | tojson"), "", PROMPT), "leaves out the tools"),
        (turns("<|{{ m.role }}|>{{ m.content or 'none' }}<|end|>", LIST), "message 3 .* loses a tool call"),
        (turns(CALLING.replace("BODY", "c.function.arguments | tojson ~ '<|x|><|assistant|>tool'"), LIST, PROMPT), "runs on into the next"),
        (
            turns(CALLING.replace("CALL ", "{{ ' ' * 300 }}").replace("BODY", "c.function.arguments | tojson"), LIST, PROMPT),
            "where it begins",
        ),
    ],
)
def test_calls_in_any_template(source: str, why: str | None) -> None:
    if why is None:
        first, last = spoken(render(written(source), chat_of("a call")))
        assert first.startswith("CALL lookup{") and first.endswith("}<|end|>")
        assert last == "Done<|end|>"
    else:
        with pytest.raises(TemplateError, match=why):
            render(written(source), chat_of("a call"))


# ---------------------------------------------------------------- what a chat may not hold


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([say("user", "a<|im_end|>"), say("assistant", "a")], r"message 1 \(user\) holds '<\|im_end\|>'"),
        ([say("user", "a"), say("assistant", "a<|eot_id|>b")], r"message 2 \(assistant\) holds '<\|eot_id\|>'"),
        ([say("user", "a"), say("assistant", "a", reasoning_content="</think>b")], "'reasoning_content' of message 2 .* holds '</think>'"),
        ([say("user", "a"), say("assistant", "a"), say("tool", "b", tool_call_id="<s>")], "'tool_call_id' of message 3 .* holds '<s>'"),
        ([say("user", "a"), say("assistant", "", tool_calls=[called("two", {"a": {"<|im_end|>": 1}})])], "a tool call of message 2"),
        ([say("user", "<tool_response>\nx"), say("assistant", "a")], "message 1 .* holds '<tool_response>'"),
    ],
)
def test_a_text_that_marks_turns_is_refused(messages: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        render(template("qwen"), chat_of(messages))
    assert caught.value.problems[0].hint == "drop or edit the row"


def test_the_marks_of_a_template_without_tokens() -> None:
    source = turns("{{ 'Human: ' if m.role == 'user' else 'Helper: ' }}{{ m.content }}{{ '</s>' if m.role == 'assistant' }}\n")
    assert spoken(render(written(source), chat_of("two turns"))) == ["Yo</s>"]
    with pytest.raises(DataError, match="holds 'Helper:', with which"):
        render(written(source), chat_of([say("user", "Helper: me"), say("assistant", "a")]))
    tools = {**row_of("two turns"), "tools": json.dumps([{"type": "function", "function": {"name": "</s>"}}])}
    with pytest.raises(DataError, match="'tools' holds '</s>'"):
        render(written(source), chats_of(tools)["messages"])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "a"}, "the row has no chat"),
        ({"prompt": "a", "completion": "b"}, "the row has no chat"),
        ({"messages": ["a"]}, "message 1 is not one of Teapot's"),
        ({"messages": [say("human", "a")]}, "message 1 is not one of Teapot's"),
        ({"messages": [{"role": "user", "content": None}]}, "message 1 is not one of Teapot's"),
        ({"messages": [say("assistant", "", tool_calls=["a"])]}, "message 1 has a tool call"),
        (
            {"messages": [say("assistant", "", tool_calls=[{"function": {"name": "a", "arguments": "{"}}])]},
            "arguments of message 1 cannot be",
        ),
        ({"messages": [], "tools": "{"}, "'tools' cannot be read"),
        ({"messages": [], "tools": "{}"}, "'tools' is not a list"),
        ({"messages": [], "tools": ["a"]}, "'tools' cannot be read: it is not JSON text"),
        ({"messages": [say("assistant", "a", reasoning_content=7)]}, "'reasoning_content' of message 1 is not in"),
        ({"messages": [say("assistant", "a", train="no")]}, "'train' of message 1 is not in"),
        ({"messages": [say("assistant", "", tool_calls="a")]}, "'tool_calls' of message 1 is not in"),
        ({"messages": [say("assistant", "", tool_calls=[{**called("two", {}), "id": 7}])]}, "message 1 has a tool call"),
        ({"chosen": [], "rejected": [], "prompt": "a"}, "'prompt' is not a list"),
    ],
)
def test_rows_that_are_not_in_form(row: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=why):
        chats_of(row)


def test_both_sides_of_a_preference_and_only_their_answers() -> None:
    row = {
        "prompt": [say("user", "q"), say("assistant", "said before"), say("user", "and?")],
        "chosen": [say("assistant", "good")],
        "rejected": [say("assistant", "bad")],
    }
    found = {key: spoken(render(template("chatml"), chat)) for key, chat in chats_of(row).items()}
    assert found == {"chosen": ["good<|im_end|>"], "rejected": ["bad<|im_end|>"]}


def test_a_message_of_white_space_and_tools_says_nothing() -> None:
    with pytest.raises(TemplateError, match=r"message 2 \(assistant\) says nothing"):
        render(template("chatml"), chat_of([say("user", "q"), say("assistant", " ")]))


def test_too_many_messages_for_signs() -> None:
    from teapot.templates.signs import free_signs, take_out

    with pytest.raises(DataError, match="too many messages"):
        free_signs(200_000, [])
    assert free_signs(1, ["\U00100000"]) == ["\U00100001"]
    assert take_out("a", []) == ("a", {})


def test_a_template_is_told_apart_by_itself() -> None:
    one, two = written(SIMPLE), written(SIMPLE.replace("<|end|>", "<|fin|>"))
    assert [anatomy(each).ends for each in (one, two)] == [("<|end|>", "<|end|>"), ("<|fin|>", "<|fin|>")]
    assert isinstance(one, ChatTemplate)


def test_a_template_that_wants_an_answer_shows_its_header_all_the_same() -> None:
    wants = "{% if messages[-1].role == 'user' %}{{ raise_exception('no answer') }}{% endif %}"
    source = wants + turns("<|{{ m.role }}|>{{ '[T]' ~ m.reasoning_content ~ '[/T]' if m.reasoning_content }}{{ m.content }}<|end|>")
    messages = [say("user", "q"), say("assistant", "a", reasoning_content="r"), say("user", "q"), say("assistant", "a")]
    assert anatomy(written(source)).header == "<|end|><|assistant|>"
    assert spoken(render(written(source), chat_of(messages))) == ["[T]r[/T]a<|end|>", "a<|end|>"]


def test_arguments_in_lists_and_thoughts_of_white_space() -> None:
    calls = [called("lookup", {"x": ["one", {"two": None}]})]
    messages = [say("user", "q"), say("assistant", "<think> </think>a", tool_calls=calls)]
    first = '<tool_call>\n{"name": "lookup", "arguments": {"x": ["one", {"two": null}]}}\n</tool_call><|im_end|>'
    assert spoken(render(template("qwen"), chat_of(messages))) == ["a\n" + first]


def test_a_call_without_an_end_of_its_own() -> None:
    source = turns(
        "{{ '<|assistant|>' if m.role == 'assistant' else '<|x|>' }}{{ m.content }}"
        "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ '' if m.tool_calls else '<|end|>' }}",
        "{{ tools | tojson }}",
        "{{ '<|assistant|>' if add_generation_prompt }}",
    )
    messages = [say("user", "q"), say("assistant", "", tool_calls=[called("two", {})]), say("assistant", "a")]
    with pytest.raises(TemplateError, match="runs on into the next one"):
        render(written(source), chat_of(messages))


def test_turns_in_another_order() -> None:
    source = turns("<|{{ m.role }}|>{{ m.content }}<|end|>").replace(
        "in messages", "in (messages | reverse if messages[0].role == 'system' else messages)"
    )
    with pytest.raises(TemplateError, match="into each other"):
        render(written(source), chat_of("more turns"))
