"""Declared filters: one truth table for each operator."""

from __future__ import annotations

import pytest

from teapot.errors import ConfigError, Place
from teapot.filters import compile_filters
from teapot.mapping.row import ROLES, Row
from teapot.model import Filter

TEXT = Row("text", {"text": "t"})
NO = object()  # the field is missing


def keeps(op, value, found, field="f"):
    record = {} if found is NO else {"f": found}
    dropped = compile_filters([Filter(op, value, field=field)])(record, TEXT)
    assert dropped is None or dropped.op == op
    return dropped is None


@pytest.mark.parametrize(
    ("op", "value", "kept", "dropped"),
    [
        ("equals", 1, [1, 1.0], ["1", True, 2, None, NO, [1], {}]),
        ("equals", True, [True], [1, "true", False, NO]),
        ("equals", "a", ["a"], ["A", "", ["a"], None, NO]),
        ("equals", 0, [0, -0.0], [False, "", None, NO]),
        ("equals", None, [None, NO], ["", 0, False, [], {}]),
        ("not_equals", 1, ["1", True, 2, None, NO, [1]], [1, 1.0]),
        ("not_equals", None, ["", 0], [None, NO]),
        ("in", ("a", 1, None), ["a", 1.0, None, NO], ["b", True, ["a"]]),
        ("in", ("a", 1), ["a", 1], [True, "1", None, NO]),
        ("in", (), [], ["a", NO]),
        ("not_in", ("a", 1), ["b", True, None, NO, []], ["a", 1.0]),
        ("not_in", ("a", None), ["b"], ["a", None, NO]),
        ("contains", "b", ["abc", ["a", "b"]], ["ac", "B", ["ab"], 3, {"b": 1}, None, NO]),
        ("contains", 1, [[1, 2], [1.0]], [["1"], [True], "1", 1, NO]),
        ("not_contains", "b", ["ac", ["ab"], 3, {"b": 1}, None, NO], ["abc", ["b"]]),
        ("starts_with", "ab", ["ab", "abc"], ["cab", "Ab", ["ab"], None, NO]),
        ("ends_with", "bc", ["bc", "abc"], ["bca", 3, None, NO]),
        ("min_chars", 2, ["ab", "éé", "𝒳𝒳"], ["a", "𝒳", 22, ["a", "b"], None, NO]),
        ("max_chars", 2, ["", "ab", "𝒳𝒳"], ["abc", 1, [], None, NO]),
        ("min", 2, [2, 2.5, 10**30], [1.9, "3", True, None, NO]),
        ("max", 2.5, [2, 2.5, -1], [3, "1", False, None, NO]),
        ("exists", True, ["", 0, False, []], [None, NO]),
        ("exists", False, [None, NO], ["", 0, False, []]),
    ],
)
def test_operators_on_a_field(op, value, kept, dropped):
    assert [found for found in kept if not keeps(op, value, found)] == []
    assert [found for found in dropped if keeps(op, value, found)] == []


def test_a_field_is_a_path():
    nested = compile_filters([Filter("equals", "en", field="meta.langs[0]")])
    assert nested({"meta": {"langs": ["en"]}}, TEXT) is None
    assert nested({"meta": {"langs": []}}, TEXT) is not None
    assert nested.columns == {"meta", "meta.langs[0]"}
    assert compile_filters([Filter("exists", True, role="user")]).columns == set()


def test_the_first_filter_that_drops_is_named():
    first, second = Filter("equals", 1, field="a"), Filter("equals", 1, field="b")
    both = compile_filters([first, second])
    assert both({"a": 1, "b": 1}, TEXT) is None
    assert both({"a": 2, "b": 2}, TEXT) is first
    assert both({"a": 1, "b": 2}, TEXT) is second
    assert compile_filters([])({}, TEXT) is None


def test_fields_that_never_occur():
    known, null, absent = (Filter("not_equals", 1, field=name) for name in ("known", "null", "absent"))
    drops_all = Filter("equals", "x", field="first")
    filters = compile_filters([drops_all, known, null, absent, Filter("max_chars", 9, role="assistant")])
    assert filters.unseen() == [drops_all, known, null, absent]
    assert filters({"known": 2, "null": None}, TEXT) is drops_all
    assert filters.unseen() == [drops_all, absent]
    filters({"first": "y"}, TEXT)
    assert filters.unseen() == [absent]


# ---------------------------------------------------------------- roles


def message(role, content):
    return {"role": role, "content": content}


CHAT = Row(
    "chat", {"messages": [message("user", "one"), message("assistant", "two"), message("user", "three"), message("assistant", "two four")]}
)


@pytest.mark.parametrize(
    ("op", "value", "role", "kept"),
    [
        ("starts_with", "two", "assistant", True),
        ("equals", "two", "assistant", False),
        ("not_equals", "two", "assistant", False),
        ("not_equals", "ten", "assistant", True),
        ("contains", "four", "assistant", False),
        ("not_contains", "four", "assistant", False),
        ("min_chars", 3, "user", True),
        ("min_chars", 4, "user", False),
        ("max_chars", 5, "user", True),
        ("max_chars", 4, "user", False),
        ("in", ("one", "three"), "user", True),
        ("not_in", ("one",), "user", False),
        ("exists", True, "assistant", True),
        ("exists", True, "system", False),
        ("exists", False, "system", True),
        ("exists", False, "user", False),
        # no message of that role
        ("equals", "x", "tool", False),
        ("in", ("x",), "tool", False),
        ("contains", "x", "tool", False),
        ("starts_with", "x", "tool", False),
        ("ends_with", "x", "tool", False),
        ("min_chars", 0, "tool", False),
        ("max_chars", 1, "tool", True),
        ("not_equals", "x", "tool", True),
        ("not_in", ("x",), "tool", True),
        ("not_contains", "x", "tool", True),
    ],
)
def test_operators_on_a_role(op, value, role, kept):
    assert (compile_filters([Filter(op, value, role=role)])({}, CHAT) is None) == kept


ROWS = {
    "chat": (CHAT, {"user": ["one", "three"], "assistant": ["two", "two four"]}),
    "labelled": (Row("labelled", {**CHAT.body, "label": True}), {"user": ["one", "three"], "assistant": ["two", "two four"]}),
    "prompt-completion": (Row("prompt-completion", {"prompt": "p", "completion": "c"}), {"user": ["p"], "assistant": ["c"]}),
    "preference": (
        Row(
            "preference",
            {
                "prompt": [message("system", "s"), message("user", "u"), message("assistant", "before"), message("user", "v")],
                "chosen": [message("assistant", "yes")],
                "rejected": [message("assistant", "no")],
            },
        ),
        {"system": ["s"], "user": ["u", "v"], "assistant": ["yes"]},
    ),
    "prompt-only": (Row("prompt-only", {"prompt": [message("user", "q")], "reference": "r"}), {"user": ["q"], "assistant": ["r"]}),
    "prompt-only without a reference": (Row("prompt-only", {"prompt": [message("user", "q")], "reference": ""}), {"user": ["q"]}),
    "text": (TEXT, {"assistant": ["t"]}),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_a_role_says_in_each_kind(name):
    row, texts = ROWS[name]
    for role in ROLES:
        said = texts.get(role, [])
        assert (compile_filters([Filter("exists", True, role=role)])({}, row) is None) == bool(said)
        assert (compile_filters([Filter("in", tuple(said), role=role)])({}, row) is None) == bool(said)
        for text in said:
            assert compile_filters([Filter("not_equals", text, role=role)])({}, row) is not None


# ---------------------------------------------------------------- what means nothing


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"op": "equals", "value": 1, "role": "bot"}, '"bot" is no role'),
        ({"op": "equals", "value": 1}, '"None" is no role'),
        ({"op": "min", "value": 1, "role": "user"}, "min"),
        ({"op": "max", "value": 1, "role": "user"}, "max"),
        ({"op": "equals", "value": ("a",), "field": "f"}, "one value"),
        ({"op": "in", "value": "a", "field": "f"}, "a list"),
        ({"op": "contains", "value": ("a",), "field": "f"}, "one value"),
        ({"op": "starts_with", "value": 1, "field": "f"}, "a text"),
        ({"op": "ends_with", "value": None, "role": "user"}, "a text"),
        ({"op": "min_chars", "value": "1", "field": "f"}, "a number"),
        ({"op": "max", "value": True, "field": "f"}, "a number"),
        ({"op": "exists", "value": 1, "field": "f"}, "true or false"),
        ({"op": "exists", "value": "yes", "role": "user"}, "true or false"),
    ],
)
def test_filters_that_mean_nothing(keys, message):
    place = Place("module.yaml", 4)
    with pytest.raises(ConfigError) as caught:
        compile_filters([Filter(place=place, **keys)])
    [problem] = caught.value.problems
    assert message in problem.message and problem.place == place and problem.hint
