"""Records that make no row, and declarations that the data shows to be wrong."""

from __future__ import annotations

import json
from typing import Any

from tests.messages.bench import Bench

Record = dict[str, Any]
ASK: Record = {"role": "user", "content": "?"}
SAY: Record = {"role": "assistant", "content": "!"}


def chat(*messages: Any, **more: Any) -> Record:
    return {"messages": list(messages), **more}


def call(**function: Any) -> Record:
    return chat(ASK, {"role": "assistant", "content": "", "tool_calls": [function]})


def module(bench: Bench, declared: str, *records: Any, code: int | None = None, license: str = "MIT") -> None:
    """Check a module with these records. Bytes are a line as it is."""
    bench.clear()
    data = "data:\n  sources: [{id: probe, path: rows.jsonl}]\n" + "".join(f"  {line}\n" for line in declared.split("\n"))
    bench.project.write("modules/t/m/module.yaml", f"name: t/m\nlicense: {license}\n{data}")
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in records]
    bench.project.write("modules/t/m/rows.jsonl", b"".join(line + b"\n" for line in lines))
    bench.run("validate", "module", "modules/t/m", code=code)


def messages(bench: Bench) -> None:
    module(
        bench,
        "format: messages",
        {},
        {"messages": 3},
        {"messages": []},
        {"messages": {"a": 1}},
        chat("hello", SAY),
        chat({"from": "human", "value": "?"}, SAY),
        chat({"content": "?"}, SAY),
        chat({"role": "boss", "content": "?"}, SAY),
        chat({"role": 3, "content": "?"}, SAY),
        chat(ASK),
        chat(ASK, {**SAY, "train": False}),
        chat(ASK, {**SAY, "train": 1}),
        chat(ASK, {**SAY, "weight": 0.5}),
        chat(ASK, {**SAY, "weight": 1, "train": False}),
        chat(ASK, {**SAY, "weight": "x"}),
        chat({**ASK, "images": ["red.png"]}, SAY),
        chat(ASK, {**SAY, "tool_calls": [{"name": "f", "arguments": {}}], "function_call": {"name": "g", "arguments": {}}}),
        chat({**ASK, "tool_calls": [{"name": "f"}]}, SAY),
        chat({**ASK, "reasoning_content": "hm"}, SAY),
        chat({"role": "user"}, SAY),
        chat({"role": "user", "content": None}, SAY),
        chat({"role": "user", "content": 3}, SAY),
        chat({"role": "user", "content": ""}, SAY),
        chat({"role": "user", "content": [3]}, SAY),
        chat({"role": "user", "content": [{"type": "image"}]}, SAY),
        chat({"role": "user", "content": [{"type": "text"}]}, SAY),
        chat({"role": "user", "content": [{"type": 3}]}, SAY),
        chat({**ASK, "name": 3}, SAY),
        chat(ASK, {**SAY, "reasoning_content": "a", "reasoning": "b"}),
        chat(ASK, {"role": "assistant", "content": [{"type": "tool_call", "name": "f", "arguments": {}}], "tool_calls": [{"name": "g"}]}),
        chat({"role": "user", "content": "<|im_start|>"}, SAY),
        chat(ASK, {"role": "assistant", "content": "x", "reasoning_content": "<|im_end|>"}),
        chat({"role": "user", "content": "\ud800"}, SAY),
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        chat(ASK, SAY, tools=3),
        chat(ASK, SAY, tools="{"),
        chat(ASK, SAY, tools=[3]),
        chat(ASK, SAY, tools=[{"a": 1e400}]),
        call(),
        call(type="other", function={"name": "f"}),
        call(function=3),
        call(name="f", id=3),
        call(name="f", input={}),
        call(name="f", parameters={}),
        call(name="f", arguments=3),
        call(name="f", arguments="{"),
        call(name="f", arguments="[]"),
        call(name=""),
        chat(ASK, {"role": "assistant", "content": "", "tool_calls": [3]}),
        chat(ASK, {"role": "assistant", "content": "", "tool_calls": 3}),
        chat(ASK, {"role": "assistant", "content": None}),
        chat(ASK, SAY, id="twice"),
        chat(ASK, SAY, id="twice"),
        chat(ASK, SAY, id=[1]),
        chat(ASK, SAY, id=1.5),
        chat(ASK, SAY, category=3),
        chat(ASK, SAY, category={"a": 1}),
        code=1,
    )


def other_chats(bench: Bench) -> None:
    module(
        bench,
        "format: sharegpt",
        {"conversations": [{"role": "user", "content": "?"}]},
        {"conversations": [{"from": "human", "value": "?"}, {"from": "function_call", "value": 3}]},
        {"conversations": [{"from": "human", "value": "?"}, {"from": "function_call", "value": "x"}]},
        {"conversations": [{"from": "human", "value": "?"}, {"from": "function_call", "value": "[]"}]},
        {"conversations": [{"from": "human", "value": "?"}, {"from": "observation", "value": 3}]},
        {
            "conversations": [{"from": "system", "value": "a"}, {"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}],
            "system": "b",
        },
        {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}], "system": 3},
        {"conversations": [{"value": "?"}]},
    )
    module(
        bench,
        "format: alpaca",
        {"instruction": "?", "output": "a", "response": "b"},
        {"instruction": "?"},
        {"instruction": 3, "output": "a"},
        {"instruction": "?", "output": "a", "history": [["x"]]},
        {"instruction": "?", "output": "a", "history": 3},
        {"output": "a"},
        {"instruction": "?", "output": "<think>no end"},
    )
    module(bench, "format: {name: question-answer, question: q, answer: a}", {"q": "?"}, {"q": "", "a": "!"})
    module(
        bench,
        "format: {name: labelled, label: good}",
        chat(ASK, SAY),
        chat(ASK, SAY, good=3),
        chat(ASK, SAY, good="yes"),
    )


def not_chats(bench: Bench) -> None:
    module(bench, "format: prompt-completion", {"prompt": "", "completion": "x"}, {"prompt": "x", "completion": " "}, {"prompt": 3})
    module(bench, "format: text", {"text": ""}, {"text": 3}, {"text": "<|endoftext|>"})
    module(bench, "format: prompt-only", {"prompt": "?", "reference": 3}, {"prompt": [{"role": "system", "content": "x"}]}, {"prompt": []})
    module(
        bench,
        "format: preference",
        {"chosen": [SAY], "rejected": [{"role": "assistant", "content": "other"}]},
        {"prompt": "?", "chosen": "a", "rejected": "a"},
        {"prompt": "?", "chosen": [], "rejected": "a"},
        {"prompt": [ASK], "chosen": [ASK], "rejected": [ASK, SAY]},
        {"prompt": "other", "chosen": [ASK, SAY], "rejected": [ASK, {"role": "assistant", "content": "b"}]},
        {"prompt": "?", "chosen": "a"},
        {"prompt": "?", "chosen": [{"role": "user", "content": "x"}], "rejected": [{"role": "user", "content": "y"}]},
    )
    preference = "format: {prompt: '{{ p }}', chosen: '{{ c }}', rejected: '{{ r }}'}"
    module(bench, preference, {"p": "?", "c": "a", "r": "a"}, {"p": "?", "c": "", "r": "a"}, {"p": "", "c": "b", "r": "a"})


def templates(bench: Bench) -> None:
    module(
        bench,
        'format: {user: "{{ q | join(\', \') }}", assistant: "{{ a }}"}',
        {"q": ["x"]},
        {"q": ["x"], "a": None},
        {"q": "x", "a": "!"},
        {"q": ["x", None], "a": "!"},
        {"q": [["x"]], "a": "!"},
        {"q": ["x"], "a": ["!"]},
        {"q": ["x"], "a": "\ud800"},
    )
    module(
        bench,
        'format: {user: "{{ q | first }}", assistant: "{{ a | lines | last }}"}',
        {"q": 3, "a": "!"},
        {"q": [], "a": ""},
        {"q": ["x"], "a": 3},
    )
    module(
        bench,
        'format: {explode: steps, user: "{{ q }}", assistant: "{{ a }}"}',
        {"q": "x"},
        {"q": "x", "steps": 3},
        {"q": "x", "steps": []},
        {"q": "x", "steps": [3]},
        {"q": "x", "steps": [{"b": 1}]},
    )
    module(bench, 'format: {text: "{{ q | json }}"}', b'{"q": 9007199254740993}', b'{"q": 1.5}', {"q": None})
    big = "x" * (2**20)
    module(bench, f'format: {{text: "{"{{ q }}" * 40}"}}', {"q": big * 8})
    module(bench, "format: {text: \"{{ q | join('%s') }}\"}" % ("y" * 1000), {"q": ["x"] * 80_000})
    module(
        bench,
        "format:\n  messages:\n    - {from: history}\n    - {assistant: {tool_calls: calls}}",
        {"history": [ASK], "calls": 3},
        {"history": 3, "calls": []},
    )


def templates_in_words(bench: Bench) -> None:
    for template in [
        "{{ q",
        "{{ }}",
        "{{ q | }}",
        "{{ q | colour }}",
        "{{ q | trimm }}",
        "{{ q | join }}",
        "{{ q | json('x') }}",
        "{{ q | join(3) }}",
        "{{ q | join('x }}",
        "{{ q | join('\\q') }}",
        "{{ q & }}",
        "{% if q %}",
        "{# q #}",
        "}}",
    ]:
        module(bench, f"format: {{text: {json.dumps(template)}}}", {"q": "x"}, code=2)
    for form in [
        "{name: mesages}",
        "{name: messages, question: q}",
        "{name: alpaca, colour: q}",
        "{name: text, system: x}",
        "{name: prompt-completion, system: x}",
        "{name: messages, system: ''}",
        "{name: messages, system: {text: x, mode: sometimes}}",
        "{messages: [{user: x}, {system: y}, {assistant: z}]}",
        "{system: x, messages: [{system: y}, {user: x}, {assistant: z}]}",
        "{messages: [{user: {tool_calls: x}}, {assistant: z}]}",
        "{messages: [{boss: x}]}",
        "{messages: [{user: ''}, {assistant: z}]}",
        "{label: x, text: y}",
        "{label: x, prompt: y, completion: z}",
        "{tools: x, text: y}",
        "{tools: x, prompt: y, completion: z}",
        "{tools: t, prompt: y, chosen: z, rejected: w}",
        "{prompt: y}",
        "{explode: x}",
        "{chosen: y}",
    ]:
        module(bench, f"format: {form}", {"q": "x"}, code=2)
    module(bench, "format: {name: messages}\nroles: {bot: 'boss'}", chat(ASK, SAY), code=2)


def filters(bench: Bench) -> None:
    for one in [
        "{role: boss, min_chars: 3}",
        "{role: user, min: 3}",
        "{role: user, equals: 3}",
        "{field: x, in: 3}",
        "{field: x, equals: [3]}",
        "{field: x, contains: [3]}",
        "{field: x, starts_with: 3}",
        "{field: x, min: '3'}",
        "{field: x, min_chars: 0.5}",
        "{field: x, exists: 3}",
    ]:
        module(bench, f"format: messages\nfilters: [{one}]", chat(ASK, SAY, x="y"), code=2)


def rest(bench: Bench) -> None:
    module(bench, "format: messages\nid: key", chat(ASK, SAY), chat(ASK, SAY, key=[1]), chat(ASK, SAY, key="a"), chat(ASK, SAY, key="a"))
    module(bench, "format: messages\ncategory: kind", chat(ASK, SAY, kind=3))
    module(
        bench,
        "format: messages\nkeep: [size]",
        b'{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}], "size": 9007199254740993}',
    )
    module(
        bench,
        "format: messages",
        chat(ASK, SAY),
        chat(ASK, SAY, license=3),
        chat(ASK, SAY, license="my own"),
        license="{field: license, map: {pd: CC0-1.0}}",
    )
    module(bench, "format: messages\nfilters: [{field: lang, equals: de}]", chat(ASK, SAY, lang="en"), code=1)
    module(bench, "format: messages\nkeep: [lnag]", chat(ASK, SAY, lang="en"), code=2)


def json_text(bench: Bench) -> None:
    module(
        bench,
        "format: text",
        b"",
        b"\xef\xbb\xbf{}",
        b'{"a": 1} x',
        b"[" * 100_000,
        b'{"a": 1',
        b"[1 2]",
        b"{1: 2}",
        b'{"a": 1, "a": 2}',
        b'{"a" 1}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": }',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 9007199254740993}',
        b'{"a": "x',
        b'{"a": "\x01"}',
        b'{"a": "\\q"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        b"[1]",
        b'"x"',
        b"3",
        b"null",
        code=1,
    )


ALL = [messages, other_chats, not_chats, templates, templates_in_words, filters, rest, json_text]
