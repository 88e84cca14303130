"""Texts that somebody might write to have them executed, obeyed by a terminal, or taken for a part of something else, and every place where a text may stand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from tests.faults.report import EVERYTHING
from tests.faults.tiny import chat
from tests.helpers import Project

HOSTILE = {
    "a shell's": "$(touch PWNED)`touch PWNED`; touch PWNED & touch PWNED | touch PWNED > PWNED # '\"\\",
    "an escape": "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]52;c;UFdORUQ=\x07\x1b]8;;http://x\x1b\\link\x1bP+q\x1b\\\x08\x7f",
    "an eight-bit escape": "\x9b2J\x9b31m\x9d0;title\x9c\x90\x85\x84",
    "a line break": "one\nerror: two\rthree\x0b\x0cfour\u2028five\u2029six\ttab",
    "another direction": "\u202eexe.lnosj\u202c\u2066x\u2069\u200f\u061c\u200e",
    "nothing to see": "a\u200bb\ufeffc\u00add\u2060e\U000e0041\U000e007f\u180e\ufff9\ud83d\ude00"[:-2],
    "markup": "[bold red]x[/] [link=file:///etc/passwd]y[/link] :smile: {0} %s ${HOME} {{ x }} {% y %} <b>&amp;</b> ]]> <!--",
    "YAML's": '!!python/object/apply:os.system ["touch PWNED"] &a *a <<: {x: 1} --- %TAG ? | >',
    "a path's": "../../../../tmp/PWNED",
    "a null": "a\x00b",
}

Put = Callable[[Project, str], object]

MODULE = "license: MIT\ndata: {sources: [{id: probe, path: probe.jsonl}], format: messages}\n"


def quoted(text: str) -> str:
    """The text as YAML reads it back, in one line."""
    return json.dumps(text)


def config(form: str) -> Put:
    """Another config than the one that is there, with the text at @@."""
    return lambda project, text: project.config("mix", form.replace("@@", quoted(text)))


def module(form: str, name: str = "test/probe") -> Put:
    return lambda project, text: project.write(f"modules/{name}/module.yaml", form.replace("@@", quoted(text)))


def declared(old: str, new: str) -> Put:
    return module("name: test/probe\n" + MODULE.replace(old, new))


def record(**values: Any) -> Put:
    """A record with the text in some of its places: as each value in which @@ stands."""

    def put(project: Project, text: str) -> None:
        line = json.dumps({**chat("?", "!"), **values}).replace('"@@"', quoted(text))
        project.write("modules/test/probe/probe.jsonl", line + "\n")

    return put


def kept(old: str, new: str, **values: Any) -> Put:
    def put(project: Project, text: str) -> None:
        declared(old, new)(project, text)
        record(**values)(project, text)

    return put


def named(pattern: str, what: str) -> Put:
    """A file whose name holds the text."""

    def put(project: Project, text: str) -> None:
        name = text.replace("/", "_").replace("\0", "_").encode("utf-8", "replace").decode()[:60]
        project.write(pattern.replace("@@", name), what)
        if name and "configs" in pattern:
            project.write("current", pattern.replace("@@", name))

    return put


ON = "modules: {test/probe: true}\n"
CONFIGS = [
    "modules: {@@: true}\n",
    "modules: {test/probe: @@}\n",
    "modules: {test/probe: {@@: 1}}\n",
    "modules: {test/probe: {sources: {@@: false}}}\n",
    "modules: {test/probe: {filters: [{field: @@, equals: x}]}}\n",
    "modules: {test/probe: {filters: [{field: lang, not_equals: @@}]}}\n",
    "modules: {local/x: {source: {repo: @@, split: train}, license: MIT, format: messages}}\n",
    "modules: {local/x: {source: {repo: org/x, split: @@}, license: MIT, format: messages}}\n",
    "@@: 1\n" + ON,
    "description: @@\n" + ON,
    "base: {model: @@, revision: @@}\n" + ON,
    "base: {@@: 1}\n" + ON,
    "output: @@\n" + ON,
    "extends: [@@]\n" + ON,
    "license: {allowed: [@@]}\n" + ON,
    "license: @@\n" + ON,
    "bad_rows: @@\n" + ON,
    "training: {weights: {@@: 1}}\n" + ON,
    "training: {seed: @@}\n" + ON,
    "training: {chat_template: @@}\n" + ON,
    "training: {@@: 1}\n" + ON,
]
MODULES = [
    ("license", "description: @@\nlicense"),
    ("license", "version: @@\nlicense"),
    ("license", "maintainer: @@\nlicense"),
    ("license", "homepage: @@\nlicense"),
    ("license", "depends: [@@]\nlicense"),
    ("MIT", "@@"),
    ("MIT", "{field: @@, default: MIT}"),
    ("MIT", "{field: l, default: MIT, map: {@@: MIT}}"),
    ("id: probe", "id: @@"),
    ("probe.jsonl", "@@"),
    ("path: probe.jsonl", "url: @@, sha256: @@"),
    ("path: probe.jsonl", "path: probe.jsonl, file_type: @@"),
    ("format: messages", "format: @@"),
    ("format: messages", "format: {user: @@, assistant: y}"),
    ("format: messages", "format: {user: {file: @@}, assistant: y}"),
    ("format: messages", "format: {name: messages, messages: @@}"),
    ("format: messages", "format: messages, roles: {@@: user}"),
    ("format: messages", "format: messages, keep: [@@]"),
    ("format: messages", "format: messages, category: @@"),
    ("format: messages", "format: messages, id: @@"),
    ("format: messages", "prepare: {script: @@}"),
    ("data", "@@"),
]
RECORDS: list[dict[str, Any]] = [
    {"id": "@@"},
    {"category": "@@"},
    {"id": ["@@"]},
    {"messages": "@@"},
    {"messages": [{"role": "@@", "content": "x"}]},
    {"messages": [{"role": "user", "content": "@@"}, {"role": "assistant", "content": "@@"}]},
    {"messages": [{"role": "user", "content": [{"type": "@@"}]}]},
    {"messages": [{"role": "assistant", "content": "x", "@@": "y"}]},
    {"tools": "@@"},
    {"@@": "@@"},
]

PLACES: dict[str, Put] = {
    **{f"config: {form.strip()}": config(form) for form in CONFIGS},
    **{f"module: {new.strip()}": declared(old, new) for old, new in MODULES},
    **{f"record: {json.dumps(values)}": record(**values) for values in RECORDS},
    "kept field": kept("format: messages", "format: messages, keep: [note]", note="@@"),
    "license field": kept("MIT", "{field: l}", l="@@"),
    "two ids": lambda project, text: project.jsonl("modules/test/probe/probe.jsonl", [chat("a", "b", id=text), chat("b", "c", id=text)]),
    "a line that is no JSON": lambda project, text: project.write("modules/test/probe/probe.jsonl", text.encode("utf-8", "replace")),
    "data file": lambda project, text: (
        declared("probe.jsonl", "'*.jsonl'")(project, text),
        named("modules/test/probe/@@.jsonl", json.dumps(chat("x", "y")) + "\n")(project, text),
    ),
    "config file": named("configs/@@.config", ON),
    "output file": lambda project, text: project.write("current", "configs/mix.config\n-o\n" + name_of(text) + ".jsonl"),
    "override": lambda project, text: project.write("current", "configs/mix.config\n--set\ndescription=" + quoted(text)),
    "override's key": lambda project, text: project.write("current", "configs/mix.config\n--set\n" + name_of(text) + "=1"),
    "source": lambda project, text: project.write("current", "configs/mix.config\n--source\nprobe=" + name_of(text)),
    "option": lambda project, text: project.write("current", "configs/mix.config\n--" + name_of(text)),
    "sources file": lambda project, text: project.write("teapot.sources.yaml", f"probe: {quoted(text)}\n"),
    "key of the sources file": lambda project, text: project.write("teapot.sources.yaml", f"{quoted(text)}: x.jsonl\n"),
}


def some(start: int) -> list[tuple[str, str]]:
    """Every text where all faults are tried, else a fourth of them."""
    every = list(HOSTILE.items())
    return every if os.environ.get(EVERYTHING) == "all" else every[start % 4 :: 4]


def name_of(text: str) -> str:
    """As a shell could give it: in one argument."""
    return text.replace("\0", "_").replace("\n", "_").encode("utf-8", "replace").decode()
