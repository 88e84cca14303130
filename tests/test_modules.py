"""Modules: what a declaration means. What is wrong with one is in the snapshots of test_config."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import pytest

from teapot.errors import ConfigError, Place, SourceUnavailable
from teapot.model import (
    Filter,
    Format,
    HubOrigin,
    LicenseSpec,
    Module,
    Multiplier,
    PathOrigin,
    Prepare,
    Rows,
    Source,
    Text,
    Turn,
    UrlOrigin,
)
from teapot.modules import parse_module

TRIAGE = """\
name: capability/triage
version: "1.2"
description: Sorts bug reports by what they block.
license: {field: license, default: CC-BY-4.0, map: {cc-by: CC-BY-4.0}}     # or one SPDX expression
maintainer: you
depends: [safety/consequence]
data:
  sources:
    - {id: triage-main, repo: org/triage, split: train, revision: v2}      # what was asked; the lock holds the commit
    - {id: triage-extra, path: "data/*.jsonl", license: MIT, format: sharegpt, cap: 4000}
    - {id: triage-test, repo: org/triage, split: test, use: eval}          # known to the module, never trained on
  format: messages
  keep: [product]
  filters: [{field: status, equals: accepted}, {role: assistant, min_chars: 20}]
  examples: 5012                    # what to expect: a different count is reported
training: {suggested_weight: 0.3, min_examples: 100}
"""

FILES = {"prompt.txt": "Sei höflich.\n".encode(), "crlf.txt": b"one\r\n\r\n", "prepare.py": b"print()\n"}


def read_file(name: str, place: Place) -> bytes:
    return FILES[name]


def load(text: str, folder: Path | None = None) -> Module:
    return parse_module(text, "module.yaml", folder=folder, read_file=read_file)


def source(text: str) -> Source:
    return load(f"name: a/b\nlicense: MIT\ndata: {{format: messages, sources: [{{id: x, {text}}}]}}").sources[0]


def form(text: str) -> Format:
    return load(f"name: a/b\nlicense: MIT\ndata:\n  sources: [{{id: x, path: x}}]\n  format: {text}").format


def test_the_illustration() -> None:
    folder = Path("/somewhere/modules/capability/triage")
    assert load(TRIAGE, folder) == Module(
        name="capability/triage",
        version="1.2",
        description="Sorts bug reports by what they block.",
        license=LicenseSpec(None, "license", "CC-BY-4.0", (("cc-by", "CC-BY-4.0"),)),
        maintainer="you",
        depends=("safety/consequence",),
        sources=(
            Source("triage-main", HubOrigin("org/triage", "v2", "train")),
            Source("triage-extra", PathOrigin("data/*.jsonl"), license=LicenseSpec("MIT"), format=Format("sharegpt"), cap=4000),
            Source("triage-test", HubOrigin("org/triage", None, "test"), "eval"),
        ),
        format=Format("messages"),
        keep=("product",),
        filters=(Filter("equals", "accepted", "status"), Filter("min_chars", 20, None, "assistant")),
        examples=5012,
        suggested_weight=Multiplier(Fraction(3, 10)),
        min_examples=100,
        folder=folder,
    )


def test_places() -> None:
    module = load(TRIAGE)
    assert module.place == Place("module.yaml", 1, 7)
    assert module.sources[1].place == Place("module.yaml", 10, 12)
    assert module.filters[1].place == Place("module.yaml", 14, 48)
    assert module.format.place == Place("module.yaml", 12, 11)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("repo: o/x, split: a-b_c", HubOrigin("o/x", None, "a-b_c")),
        ("repo: o/x, files: data/*.jsonl, revision: refs/pr/1", HubOrigin("o/x", "refs/pr/1", None, ("data/*.jsonl",))),
        ("repo: O-1/x.y, files: [a, b/c]", HubOrigin("O-1/x.y", None, None, ("a", "b/c"))),
        ("path: data/x..y.jsonl", PathOrigin("data/x..y.jsonl")),
        (f"url: https://host:8443/a?b=c, sha256: {'aB' * 32}", UrlOrigin("https://host:8443/a?b=c", "ab" * 32)),
    ],
)
def test_where_a_source_lives(text: str, origin: object) -> None:
    assert source(text).origin == origin


def test_what_a_source_can_say() -> None:
    found = source(
        "path: x, use: train, license: {field: l.x}, format: alpaca, roles: {gpt: assistant, human: user}, filters: [{field: a, in: [1, x, null, true]}],"
        " keep: [], cap: 1, record: array, id_from: digest, category: none, file_type: parquet, examples: 3"
    )
    assert found == Source(
        "x",
        PathOrigin("x"),
        license=LicenseSpec(field="l.x"),
        format=Format("alpaca"),
        roles=(("gpt", "assistant"), ("human", "user")),
        filters=(Filter("in", (1, "x", None, True), "a"),),
        keep=(),
        cap=1,
        id_field="digest",
        category="none",
        file_type="parquet",
        record="array",
        examples=3,
    )


def test_what_a_module_can_say() -> None:
    module = load(
        """
name: a/b
license: (MIT OR apache-2.0)
homepage: http://example.org/#x
conflicts: [a/c]
data:
  sources: [{id: x, path: x}]
  format: sharegpt
  roles: {bot: assistant}
  keep: [a.b]
  cap: 5
  id: key
  category: kind
training: {suggested_weight: {rows: 5}}
"""
    )
    assert module.license == LicenseSpec("MIT OR Apache-2.0")
    assert (module.homepage, module.conflicts, module.roles, module.keep) == (
        "http://example.org/#x",
        ("a/c",),
        (("bot", "assistant"),),
        ("a.b",),
    )
    assert (module.cap, module.id_field, module.category, module.suggested_weight, module.folder) == (5, "key", "kind", Rows(5), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{field: a.b, equals: null}", Filter("equals", None, "a.b")),
        ("{field: a, not_equals: 0.5}", Filter("not_equals", 0.5, "a")),
        ("{field: a, not_in: [false]}", Filter("not_in", (False,), "a")),
        ("{field: a, contains: x}", Filter("contains", "x", "a")),
        ("{role: user, not_contains: x}", Filter("not_contains", "x", None, "user")),
        ("{role: system, starts_with: x}", Filter("starts_with", "x", None, "system")),
        ("{role: tool, ends_with: x}", Filter("ends_with", "x", None, "tool")),
        ("{field: a, max_chars: 0}", Filter("max_chars", 0, "a")),
        ("{field: a, min: -1.5}", Filter("min", -1.5, "a")),
        ("{field: a, max: 3}", Filter("max", 3, "a")),
        ("{field: a, exists: true}", Filter("exists", True, "a")),
        ('{role: user, equals: ""}', Filter("equals", "", None, "user")),
    ],
)
def test_filters(text: str, expected: Filter) -> None:
    (found,) = source(f"path: x, filters: [{text}]").filters
    assert found == expected
    assert type(found.value) is type(expected.value)


USER = Turn("user", Text("{{ q }}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prompt-only", Format("prompt-only")),
        (
            '{name: question-answer, question: problem, answer: solution, system: "Be brief.", tools: functions}',
            Format(
                "question-answer",
                (("question", "problem"), ("answer", "solution"), ("tools", "functions")),
                Turn("system", Text("Be brief.")),
            ),
        ),
        (
            "{name: messages, system: {file: prompt.txt, mode: replace}}",
            Format("messages", (), Turn("system", Text("Sei höflich.", "prompt.txt"), mode="replace")),
        ),
        ("{name: alpaca, system: sys, history: h}", Format("alpaca", (("system", "sys"), ("history", "h")))),
        ("{name: alpaca, system: {text: Hi}}", Format("alpaca", (), Turn("system", Text("Hi")))),
        (
            '{system: {file: prompt.txt, mode: if_missing}, user: "{{ q }}", assistant: {text: "{{ a }}"}, tool: t}',
            Format(
                "mapping",
                turns=(
                    Turn("system", Text("Sei höflich.", "prompt.txt")),
                    USER,
                    Turn("assistant", Text("{{ a }}")),
                    Turn("tool", Text("t")),
                ),
            ),
        ),
        (
            """{messages: [{from: history}, {user: "{{ q }}"}, {assistant: {content: "{{ a }}", tool_calls: calls}}, {assistant: {tool_calls: more.calls}}],
            tools: t, label: l, explode: e}""",
            Format(
                "mapping",
                (("tools", "t"), ("label", "l")),
                turns=(Turn(column="history"), USER, Turn("assistant", Text("{{ a }}"), "calls"), Turn("assistant", None, "more.calls")),
                explode="e",
            ),
        ),
        (
            "{completion: b, prompt: {file: crlf.txt}}",
            Format("mapping", templates=(("completion", Text("b")), ("prompt", Text("one\r\n", "crlf.txt")))),
        ),
        (
            "{prompt: a, chosen: b, rejected: c}",
            Format("mapping", templates=(("prompt", Text("a")), ("chosen", Text("b")), ("rejected", Text("c")))),
        ),
        ("{prompt: a, reference: b}", Format("mapping", templates=(("prompt", Text("a")), ("reference", Text("b"))))),
        ("{text: a}", Format("mapping", templates=(("text", Text("a")),))),
    ],
)
def test_formats(text: str, expected: Format) -> None:
    assert form(text) == expected


def test_a_format_may_be_left_out_where_every_source_to_train_on_has_one() -> None:
    head = "name: a/b\nlicense: MIT\ndata: {sources: "
    assert load(head + "[{id: x, path: x, format: alpaca}, {id: y, path: y, use: eval}]}").format == Format("messages")
    with pytest.raises(ConfigError, match="no 'format'"):
        load(head + "[{id: x, path: x, format: alpaca}, {id: y, path: y}]}")


def test_prepare_is_hashed() -> None:
    module = load("name: a/b\nlicense: MIT\ndata: {sources: [{id: x, path: x}], prepare: {script: prepare.py}}")
    assert module.prepare == Prepare("prepare.py", hashlib.sha256(b"print()\n").hexdigest())
    assert module.format == Format("messages")


def test_what_read_file_raises_is_reported_with_the_rest_if_it_is_about_the_config() -> None:
    text = "name: A\nlicense: MIT\ndata: {sources: [{id: x, path: x}], prepare: {script: p.py}, format: {text: {file: t.txt}}}"

    def missing(name: str, place: Place) -> bytes:
        raise ConfigError(f"no {name}", place)

    with pytest.raises(ConfigError) as caught:
        parse_module(text, "m", folder=None, read_file=missing)
    assert [one.message.split(" is not")[0] for one in caught.value.problems] == ["'name' 'A'", "no p.py", "no t.txt"]

    def away(name: str, place: Place) -> bytes:
        raise SourceUnavailable("gone")

    with pytest.raises(SourceUnavailable):
        parse_module(text, "m", folder=None, read_file=away)


def test_the_limit_of_a_name() -> None:
    long = "a" * 100
    assert load(f"name: {long}/{long}\nlicense: MIT\ndata: {{format: text, sources: [{{id: {long}, path: x}}]}}").sources[0].id == long
    with pytest.raises(ConfigError, match="not a name"):
        source(f"path: x, format: text}}, {{id: {long}a, path: x")
    with pytest.raises(ConfigError, match="not a module's name"):
        load(f"name: {long}a/b\nlicense: MIT\ndata: {{format: text, sources: [{{id: x, path: x}}]}}")
