"""Teapot's own JSON files: their one form, and what is said of others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import CheckFailed
from teapot.jsondoc import Field, differences, document_bytes, parse_document, shown

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
)
documents = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), values, max_size=4)


def parse(data: bytes) -> Field:
    return parse_document(data, "x.lock", "lock", "a hint")


@given(documents)
def test_round_trip(document: dict[str, Any]) -> None:
    data = document_bytes(document)
    assert parse(data).mapping() == document
    assert data.endswith(b"}\n")
    assert data == document_bytes(dict(reversed(document.items())))


@given(documents.filter(bool), st.integers(0, 10**6))
def test_one_form_only(document: dict[str, Any], place: int) -> None:
    """White space put anywhere between the tokens of a document makes it another document."""
    data = document_bytes(document)
    at = place % len(data)
    changed = data[:at] + b" " + data[at:]
    with pytest.raises(CheckFailed):
        if parse(changed).mapping() != document:  # inside a text the blank is content
            raise CheckFailed("another document")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the lock is not valid JSON"),
        (b"{", "the lock is not valid JSON"),
        (b"\xff", "the lock is not valid JSON"),
        (b'{"a":1,"a":2}', "the lock is not valid JSON"),
        (b"[]\n", "the top level of the lock is not an object"),
        (b'{"a":1}\n', "the lock is not in canonical form"),
        (b'{\n  "a": 1\n}', "the lock is not in canonical form"),
        (b'{\n  "a": 1\n}\n\n', "the lock is not in canonical form"),
        (b'{\n  "a": 1\r\n}\n', "the lock is not in canonical form"),
        (b'{\n  "b": 1,\n  "a": 1\n}\n', "the lock is not in canonical form"),
        (b'{\n  "a": "\\u0061"\n}\n', "the lock is not in canonical form"),
        (b'{\n  "a": 1e0\n}\n', "the lock is not in canonical form"),
        (b'{\n  "a": 4611686018427387905\n}\n', "the lock holds what Teapot never writes"),
    ],
)
def test_what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        parse(data)
    [problem] = caught.value.problems
    assert problem.message.startswith(said)
    assert str(problem.place) == "x.lock"
    assert problem.hint == "a hint"


def field(value: Any) -> Field:
    return Field({"a": [{"b": value}]}, "", "x.lock", "lock", "a hint")


def inner(value: Any) -> Field:
    [item] = field(value)["a"].each()
    return item["b"]


@pytest.mark.parametrize(
    ("get", "good", "bad", "what"),
    [
        (Field.text, "x", 1, "is not text"),
        (Field.count, 3, -1, "is not a count"),
        (Field.count, 0, True, "is not a count"),
        (Field.count, 1, 1.5, "is not a count"),
        (Field.flag, False, 0, "is not true or false"),
        (Field.sha256, "a" * 64, "A" * 64, "is not a SHA-256"),
        (Field.sha256, "0" * 64, "0" * 63, "is not a SHA-256"),
        (Field.texts, ["x"], ["x", 1], "is not text"),
        (Field.texts, [], "x", "is not a list"),
        (Field.counts, {"x": 1}, {"x": "1"}, "is not a count"),
        (Field.mapping, {}, [], "is not an object"),
    ],
)
def test_getters(get: Any, good: Any, bad: Any, what: str) -> None:
    get(inner(good))
    with pytest.raises(CheckFailed, match=rf"^a\[0\]\.b.* of the lock {what}"):
        get(inner(bad))


def test_keys() -> None:
    value = Field({"a": 1, "b": 2}, "", "x.lock", "lock", "a hint")
    assert "a" in value
    assert value.optional("c", Field.count) is None
    assert value.optional("a", Field.count) == 1
    with pytest.raises(CheckFailed, match="the top level of the lock has an unknown key 'b'"):
        value.done()
    assert value["b"].count() == 2
    value.done()
    with pytest.raises(CheckFailed, match="the top level of the lock has no 'c'"):
        value["c"]
    with pytest.raises(CheckFailed, match="a of the lock is not an object"):
        value["a"]["b"]


# ---------------------------------------------------------------- differences


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({}, {"a": {"b": 1}}, [("a", None, {"b": 1})]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a.c", 2, 3)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": 0}, {"a": False}, [("a", 0, False)]),
        ({"a": [{"x": 1}]}, {"a": [{"x": True}]}, [("a", [{"x": 1}], [{"x": True}])]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", [1, 2], [2, 1])]),
        ([{"id": "s", "n": 1}], [{"id": "s", "n": 2}], [("s.n", 1, 2)]),
        ([{"id": "s"}, {"id": "t"}], [{"id": "t"}, {"id": "s"}], [(" (order)", ["s", "t"], ["t", "s"])]),
        ([{"id": "s"}], [{"id": "t"}], [("s", {"id": "s"}, None), ("t", None, {"id": "t"})]),
    ],
)
def test_differences(old: Any, new: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert list(differences(old, new)) == expected


@given(values, values)
def test_differences_miss_nothing(old: Any, new: Any) -> None:
    same = document_bytes({"x": old}) == document_bytes({"x": new})
    assert (list(differences({"x": old}, {"x": new})) == []) == same


def test_shown() -> None:
    assert shown(None) == "absent"
    assert shown({"b": 1, "a": "ü"}) == '{"a": "ü", "b": 1}'
    assert shown("x" * 500) == '"' + "x" * 116 + "..."
