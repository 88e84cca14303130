"""The canonical bytes of rows, nulls, paths into records, tools."""

from __future__ import annotations

import json
import sys

import pytest

from teapot.jsontext import canonical
from teapot.mapping.paths import MISSING, columns_of, getter, parse_path, scan_path
from teapot.mapping.row import KIND_KEYS, SPACE, Row, RowError, digest_payload, drop_nulls, row_parts
from teapot.mapping.tools import calls_from, calls_from_text, name_of, tools_text

BODIES = {
    "chat": {"messages": [{"role": "user", "content": "é\n"}, {"role": "assistant", "content": "b", "train": False}]},
    "prompt-completion": {"prompt": "p", "completion": "c"},
    "preference": {"prompt": [], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"content": "b", "role": "assistant"}]},
    "labelled": {"messages": [], "label": True},
    "prompt-only": {"prompt": [{"role": "user", "content": "q"}], "reference": ""},
    "text": {"text": "\u2028"},
}


@pytest.mark.parametrize("kind", KIND_KEYS)
@pytest.mark.parametrize("tools", ["", '[{"name":"f"}]'])
def test_digest_payload_is_the_canonical_form_of_the_kinds_keys_and_tools(kind, tools):
    row = Row(kind, BODIES[kind], tools)
    assert digest_payload(row) == canonical({**BODIES[kind], "tools": tools})
    assert digest_payload(row, row_parts(row)) == digest_payload(row)
    assert row_parts(row) == tuple(canonical(BODIES[kind][key]) for key in KIND_KEYS[kind])


def test_what_json_cannot_hold_is_a_finding():
    with pytest.raises(RowError) as caught:
        row_parts(Row("text", {"text": "\ud800"}))
    assert caught.value.code == "lone-surrogate"
    with pytest.raises(RowError) as caught:
        row_parts(Row("text", {"text": 2**53 + 1}))
    assert caught.value.code == "number-out-of-range" and str(2**53 + 1) in caught.value.detail


def test_the_white_space_is_unicodes():
    assert len(SPACE) == 25 and all(char.isspace() for char in SPACE)


def test_nulls_are_dropped_from_objects_and_keep_their_place_in_lists():
    value = {"a": None, "b": [None, {"c": None, "d": {"e": None}}], "f": 0}
    assert drop_nulls(value) == {"b": [None, {"d": {}}], "f": 0}
    assert value["a"] is None and value["b"][1]["d"] == {"e": None}  # the record stays as it is
    assert drop_nulls(None) is None and drop_nulls("x") == "x"


def test_nulls_are_dropped_at_any_depth():
    value = leaf = {}
    for _ in range(3 * sys.getrecursionlimit()):
        leaf["a"] = {"n": None}
        leaf = leaf["a"]
    assert "n" not in drop_nulls(value)["a"]["a"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", {"b": [{"c": 1}, 2], "": 5}),
        ("a.b[0].c", 1),
        ("a.b[1]", 2),
        ("a['b'][1]", 2),
        ('["odd name"].x', "y"),
        ("odd name", {"x": "y"}),
        ("dotted.name", "whole"),
        ("a.b[2]", MISSING),
        ("a.b.c", MISSING),
        ("a[0]", MISSING),
        ("nothing", MISSING),
        ("nothing.at.all", MISSING),
        ("null", None),
        ("null.x", MISSING),
        ("[0]", MISSING),
    ],
)
def test_paths(path, expected):
    record = {"a": {"b": [{"c": 1}, 2], "": 5}, "odd name": {"x": "y"}, "dotted.name": "whole", "dotted": {"name": "part"}, "null": None}
    assert getter(path)(record) == expected


def test_the_steps_of_a_path():
    assert parse_path("a.b[3]['c d']") == ("a", "b", 3, "c d")
    assert parse_path("a..b") == ("a..b",)
    assert parse_path("a.") == ("a.",)
    assert scan_path("x y") == (("x",), 1)
    assert scan_path(".x") == ((), 0)
    assert scan_path("ab") == (("ab",), 2)
    assert columns_of("a.b") == {"a", "a.b"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ("", ""),
        ([], ""),
        ({}, ""),
        ("[]", ""),
        (" {} ", ""),
        ("null", ""),
        ([{"b": 1.50, "a": None}], '[{"b":1.5}]'),
        ('[{"b": 1.50, "a": null}]', '[{"b":1.5}]'),
        ({"name": "f"}, '{"name":"f"}'),
        ([{"enum": [None, "é"]}], '[{"enum":[null,"é"]}]'),
    ],
)
def test_tools(value, expected):
    assert tools_text(value) == expected


@pytest.mark.parametrize(
    ("value", "code", "word"),
    [
        ("[", "invalid-tools", "tools"),
        ('{"a": 1, "a": 2}', "invalid-tools", "twice"),
        ("3", "invalid-tools", "a number"),
        (True, "invalid-tools", "true"),
        ('"x"', "invalid-tools", '"x"'),
        ([2**60], "number-out-of-range", "2^53"),
        ("[1e400]", "number-out-of-range", "tools"),
        ([float("nan")], "number-out-of-range", "nan"),
        (["\ud800"], "lone-surrogate", "tools"),
    ],
)
def test_tools_that_are_none(value, code, word):
    with pytest.raises(RowError) as caught:
        tools_text(value)
    assert caught.value.code == code and word in caught.value.detail


@pytest.mark.parametrize(
    "call",
    [
        {"name": "f", "arguments": {"b": 1, "a": None}},
        {"name": "f", "arguments": '{ "b" : 1.0 , "a" : null }'},
        {"type": "function", "function": {"name": "f", "arguments": {"b": 1}}, "id": None, "index": 0},
        {"function": {"name": "f", "arguments": '{"b":1}'}, "id": ""},
    ],
)
def test_the_ways_to_write_a_call(call):
    expected = [{"type": "function", "function": {"name": "f", "arguments": '{"b":1}'}}]
    assert calls_from(call, "here") == expected
    assert calls_from([call, call], "here") == expected * 2
    assert calls_from_text(json.dumps(call), "here") == expected


@pytest.mark.parametrize("arguments", [{}, {"arguments": None}, {"arguments": ""}, {"arguments": {}}, {"arguments": "{}"}])
def test_a_call_without_arguments(arguments):
    assert calls_from({"name": "f", "id": "c1", **arguments}, "here") == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ("f()", '"f()"'),
        ({"arguments": {}}, '"name"'),
        ({"name": ""}, '"name"'),
        ({"name": 3}, '"name"'),
        ({"function": "f"}, '"function"'),
        ({"function": {"name": "f"}, "type": "code"}, '"code"'),
        ({"name": "f", "id": 3}, '"id"'),
        ({"name": "f", "parameters": {"a": 1}}, '"parameters"'),
        ({"name": "f", "arguments": []}, "a list"),
        ({"name": "f", "arguments": "[1]"}, "a list"),
        ({"name": "f", "arguments": "{"}, "arguments"),
        ({"name": "f", "arguments": 3}, "a number"),
    ],
)
def test_calls_that_are_none(call, word):
    with pytest.raises(RowError) as caught:
        calls_from(call, "message 4")
    assert caught.value.code == "tool-call-shape" and word in caught.value.detail and "message 4" in caught.value.detail


def test_arguments_with_numbers_out_of_range():
    for arguments in ({"n": 2**60}, '{"n": 1e999}'):
        with pytest.raises(RowError) as caught:
            calls_from({"name": "f", "arguments": arguments}, "here")
        assert caught.value.code == "number-out-of-range"


def test_what_findings_call_a_value():
    values = ["x", "x" * 41, True, False, 1, 2.5, None, [], {}]
    expected = ['"x"', f'the text "{"x" * 40}…"', "true", "false", "a number", "a number", "null", "a list", "an object"]
    assert [name_of(value) for value in values] == expected


def test_an_error_shows_code_and_detail():
    assert str(RowError("some-code", "what is wrong")) == "some-code: what is wrong"
