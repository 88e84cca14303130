"""The format ``mapping``: rows from templates, and the licence of a record."""

from __future__ import annotations

import pytest

from teapot.errors import ConfigError, Place
from teapot.mapping.build import build_mapper
from teapot.mapping.licence import build_license, license_columns
from teapot.mapping.row import RowError
from teapot.model import Format, LicenseSpec, Text, Turn

PLACE = Place("module.yaml", 9)
USER = Turn(role="user", content=Text("Q: {{ q }}"))
BOT = Turn(role="assistant", content=Text("{{ a }}"))
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def mapping(*turns, whole=True, roles=(), **keys):
    templates = tuple((name, Text(text)) for name, text in keys.pop("templates", {}).items())
    return build_mapper(Format("mapping", turns=turns, templates=templates, place=PLACE, **keys), roles, include_reasoning=whole)


def row(mapper, **record):
    [made] = mapper(record)
    assert made.kind == mapper.kind
    return made


def wrong(*turns, **keys):
    with pytest.raises(ConfigError) as caught:
        mapping(*turns, **keys)
    [problem] = caught.value.problems
    assert problem.place == PLACE
    return problem.message


def said(mapper, **record):
    return [(message["role"], message["content"]) for message in row(mapper, **record).body["messages"]]


# ---------------------------------------------------------------- turns


def test_turns():
    mapper = mapping(USER, BOT)
    assert mapper.kind == "chat" and mapper.columns == {"q", "a", "tools"}
    assert said(mapper, q="1", a="2", extra=None) == [("user", "Q: 1"), ("assistant", "2")]
    with pytest.raises(RowError) as caught:
        mapper({"q": "1", "a": None})
    assert caught.value.code == "missing-field"


def test_turns_without_reasoning():
    mapper = mapping(USER, BOT, whole=False)
    assert said(mapper, q="<think>1</think>", a="<think>2</think>\n3") == [("user", "Q: <think>1</think>"), ("assistant", "3")]


def test_a_column_with_a_conversation():
    mapper = mapping(Turn(column="past.turns"), USER, BOT, roles=(("narrator", "assistant"),))
    past = {"turns": [{"from": "human", "value": "0"}, {"role": "narrator", "content": "x"}]}
    assert said(mapper, q="1", a="2", past=past) == [("user", "0"), ("assistant", "x"), ("user", "Q: 1"), ("assistant", "2")]
    assert mapper.columns == {"past", "past.turns", "q", "a", "tools"}
    for record in ({"q": "1", "a": "2"}, {"q": "1", "a": "2", "past": {"turns": None}}):
        with pytest.raises(RowError, match=r"missing-field: .*past\.turns"):
            mapper(record)


@pytest.mark.parametrize("mode", ["if_missing", "replace"])
def test_a_system_turn(mode):
    system = Turn(role="system", content=Text("be {{ tone }}"), mode=mode)
    mapper = mapping(system, Turn(column="past"))
    past = [{"role": "user", "content": "0"}]
    assert said(mapper, past=past, tone="kind") == [("system", "be kind"), ("user", "0")]
    old = [{"role": "system", "content": "old"}, *past]
    assert said(mapper, past=old, tone="kind") == [("system", "be kind" if mode == "replace" else "old"), ("user", "0")]
    assert "tone" in mapper.columns
    assert said(mapping(Turn(column="past"), system=system), past=old, tone="kind") == said(mapper, past=old, tone="kind")


def test_tool_calls_of_a_turn():
    field = mapping(USER, Turn(role="assistant", tool_calls="calls"))
    template = mapping(USER, Turn(role="assistant", content=Text("hm"), tool_calls="{{ calls | default('') }}"))
    assert "calls" in field.columns and "calls" in template.columns
    for calls in ([{"name": "f"}], '{"name": "f"}'):
        assert row(field, q="1", calls=calls).body["messages"][1] == {"role": "assistant", "content": "", "tool_calls": [CALL]}
    assert row(template, q="1", calls='[{"name": "f"}]').body["messages"][1] == {"role": "assistant", "content": "hm", "tool_calls": [CALL]}
    assert row(template, q="1").body["messages"][1] == {"role": "assistant", "content": "hm"}
    assert row(field, q="1", calls=[]).body["messages"][1] == {"role": "assistant", "content": ""}
    for record in ({"q": "1"}, {"q": "1", "calls": None}):
        with pytest.raises(RowError, match="missing-field"):
            field(record)
    with pytest.raises(RowError, match="tool-call-shape"):
        field({"q": "1", "calls": "f()"})


def test_turns_that_make_no_sense():
    assert '"narrator" is no role' in wrong(Turn(role="narrator", content=Text("x")))
    assert '"None" is no role' in wrong(Turn())
    assert "first of the messages" in wrong(USER, Turn(role="system", content=Text("x")))
    system = Turn(role="system", content=Text("x"))
    assert "given twice" in wrong(system, USER, system=system)
    assert 'message of "user" has no text' in wrong(Turn(role="user"))
    assert "tool calls" in wrong(Turn(role="user", content=Text("x"), tool_calls="calls"))
    assert "no filter" in wrong(Turn(role="user", content=Text("{{ x | y }}")))


# ---------------------------------------------------------------- other kinds


def test_labelled():
    mapper = mapping(USER, BOT, columns=(("label", "good"),))
    made = row(mapper, q="1", a="2", good=False)
    assert mapper.kind == "labelled" and list(made.body) == ["messages", "label"] and made.body["label"] is False
    with pytest.raises(RowError, match="label-not-boolean"):
        mapper({"q": "1", "a": "2", "good": "yes"})


@pytest.mark.parametrize(
    ("templates", "kind", "body"),
    [
        ({"prompt": "{{ q }}", "completion": "<think>x</think>{{ a }}"}, "prompt-completion", {"prompt": "1", "completion": "2"}),
        ({"text": "{{ q }}{{ a }}"}, "text", {"text": "12"}),
        ({"prompt": "{{ q }}"}, "prompt-only", {"prompt": [{"role": "user", "content": "1"}], "reference": ""}),
        ({"prompt": "{{ q }}", "reference": "{{ a }}"}, "prompt-only", {"prompt": [{"role": "user", "content": "1"}], "reference": "2"}),
        (
            {"prompt": "{{ q }}", "chosen": "<think>x</think>{{ a }}", "rejected": "-"},
            "preference",
            {
                "prompt": [{"role": "user", "content": "1"}],
                "chosen": [{"role": "assistant", "content": "2"}],
                "rejected": [{"role": "assistant", "content": "-"}],
            },
        ),
    ],
)
def test_templates(templates, kind, body):
    mapper = mapping(templates=templates, whole=False)
    assert mapper.kind == kind and row(mapper, q="1", a="2").body == body


def test_messages_as_the_prompt():
    expected = [{"role": "user", "content": "Q: 1"}]
    made = row(mapping(USER, templates={"reference": "{{ a }}"}), q="1", a="2")
    assert (made.kind, made.body) == ("prompt-only", {"prompt": expected, "reference": "2"})
    made = row(mapping(USER, templates={"chosen": "{{ a }}", "rejected": "-"}), q="1", a="2")
    assert made.kind == "preference" and made.body["prompt"] == expected


def test_a_system_message_before_a_prompt():
    made = row(mapping(templates={"prompt": "{{ q }}"}, system=Turn(role="system", content=Text("s"))), q="1")
    assert made.body["prompt"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "1"}]


def test_tools_and_explode():
    mapper = mapping(USER, BOT, columns=(("tools", "functions"),), explode="pairs")
    rows = mapper({"functions": [{"name": "f"}], "pairs": [{"q": "1", "a": "2"}, {"q": "3", "a": "4"}]})
    assert [made.tools for made in rows] == ['[{"name":"f"}]'] * 2 and len(rows) == 2
    assert mapper.columns == {"functions", "pairs", "q", "a"}


def test_mappings_that_make_no_row():
    assert "nothing makes no row" in wrong()
    assert "completion makes no row" in wrong(templates={"completion": "x"})
    assert "messages, text makes no row" in wrong(USER, templates={"text": "x"})
    assert '"label"' in wrong(templates={"text": "x"}, columns=(("label", "good"),))
    assert '"tools"' in wrong(templates={"text": "x"}, columns=(("tools", "t"),))
    assert "no place" in wrong(templates={"prompt": "x", "completion": "y"}, system=Turn(role="system", content=Text("s")))
    assert "reads no" in wrong(USER, BOT, columns=(("question", "q"),))


# ---------------------------------------------------------------- licences


def normalise(text):
    known = {"mit": "MIT", "apache-2.0": "Apache-2.0", "cc-by-4.0": "CC-BY-4.0"}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def test_one_license():
    find = build_license(LicenseSpec(expression="mit"), normalise)
    assert find({}) == find({"license": "x"}) == "MIT"
    assert license_columns(LicenseSpec(expression="mit")) == set()


def test_a_field_with_a_license():
    spec = LicenseSpec(field="meta.license", default="CC-BY-4.0", map=(("cc-by", "cc-by-4.0"), ("MIT", "apache-2.0")))
    find = build_license(spec, normalise)
    found = [find({"meta": {"license": value}}) for value in ("cc-by", "MIT", "mit", "mit", "Apache-2.0", None)]
    assert found == ["CC-BY-4.0", "Apache-2.0", "MIT", "MIT", "Apache-2.0", "CC-BY-4.0"]
    assert find({}) == "CC-BY-4.0"
    assert license_columns(spec) == {"meta", "meta.license"}
    for value in ("CC-BY", "", "proprietary", 3, ["MIT"]):
        with pytest.raises(RowError) as caught:
            find({"meta": {"license": value}})
        assert caught.value.code == "unknown-license" and '"meta.license"' in caught.value.detail


def test_many_licenses_are_still_found():
    find = build_license(LicenseSpec(field="l"), lambda text: text.upper())
    assert [find({"l": f"x{number}"}) for number in range(1100)] == [f"X{number}" for number in range(1100)]


def test_a_missing_license():
    find = build_license(LicenseSpec(field="license"), normalise)
    for record in ({}, {"license": None}):
        with pytest.raises(RowError) as caught:
            find(record)
        assert caught.value.code == "missing-license"


def test_what_the_declaration_says_must_be_a_license():
    for spec in (
        LicenseSpec(expression="x"),
        LicenseSpec(field="l", default="x"),
        LicenseSpec(field="l", map=(("a", "x"),)),
        LicenseSpec(),
    ):
        with pytest.raises(ValueError):
            build_license(spec, normalise)
