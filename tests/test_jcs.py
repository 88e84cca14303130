"""The canonical form (RFC 8785): its appendix's numbers, its sorting and escaping, its suite, and that both ways of writing agree."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.jcs import _is_plain, _write
from teapot.jsontext import JsonError, canonical, canonical_text, decode

SUITE = Path(__file__).resolve().parents[1] / "../shared/suites/jcs/testdata"

exact = st.integers(-(2**53), 2**53)
# A whole double between 2^53 and 10^21 would be written like an integer that is refused when it is read back: ECMAScript's way.
doubles = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not 2**53 < abs(value) < 1e21)
json_values = st.recursive(
    st.none() | st.booleans() | exact | doubles | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
plain_values = st.recursive(
    st.none() | st.booleans() | exact | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=3), inner),
    max_leaves=12,
)


@given(plain_values)
def test_both_ways_of_writing_agree(value):
    assert _is_plain(value)
    assert canonical(value) == _write(value).encode()


@given(json_values)
def test_it_reads_back_and_stays(value):
    written = canonical(value)
    again = decode(written, unique=True)
    assert again == value
    assert canonical(again) == written
    assert json.loads(written) == value


def test_every_character_both_ways():
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = "".join(characters)
    assert canonical(text) == _write(text).encode()
    assert canonical("\x00\x1f\x7f\"\\/\b\f\n\r\t\u2028é") == b'"\\u0000\\u001f\x7f\\"\\\\/\\b\\f\\n\\r\\t\xe2\x80\xa8\xc3\xa9"'  # fmt: skip


@pytest.mark.parametrize(
    "bits, text",
    [  # RFC 8785, appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_of_the_appendix(bits, text):
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_text(value) == text


@pytest.mark.parametrize("bits", ["4340000000000001", "4430000000000000", "444b1ae4d6e2ef4e", "444b1ae4d6e2ef4f", "c430000000000000"])
def test_whole_numbers_that_would_be_such_integers(bits):
    """Some of the appendix: RFC 8785 writes them as integers that not every reader takes for the same number."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    with pytest.raises(JsonError, match="is a whole one beyond 2\\^53") as caught:
        canonical({"x": value})
    assert caught.value.code == "integer-range"


@pytest.mark.parametrize(
    "value, text", [(1.0, "1"), (-1.5, "-1.5"), (100.0, "100"), (0.1, "0.1"), (1e-7, "1e-7"), (123e-20, "1.23e-18"), (1e22, "1e+22")]
)
def test_numbers(value, text):
    assert canonical_text(value) == text


def test_keys_are_sorted_by_utf16_code_units():
    value = {"\ue000": 1, "\U00010000": 2, "é": 3, "z": 4, "": 5, "\r": 6}
    assert canonical_text(value) == '{"":5,"\\r":6,"z":4,"é":3,"\U00010000":2,"\ue000":1}'


def test_containers():
    value = {"b": [], "a": {}, "é": [[1, {"x": None, "w": True}], False]}
    assert canonical_text(value) == '{"a":{},"b":[],"é":[[1,{"w":true,"x":null}],false]}'


def test_depth_is_no_limit():
    value: list = []
    for _ in range(5000):
        value = [value]
    assert canonical(value) == b"[" * 5001 + b"]" * 5001


@pytest.mark.parametrize("limit", [2**53, -(2**53)])
def test_integers_end_at_two_to_the_53(limit):
    assert canonical([limit]) == b"[%d]" % limit
    with pytest.raises(JsonError) as caught:
        canonical({"é": [limit + (1 if limit > 0 else -1)]})
    assert caught.value.code == "integer-range"
    assert str(abs(limit))[:-1] in str(caught.value)


@pytest.mark.parametrize(
    "value, code, message",
    [
        (float("nan"), "non-finite", "the number 'nan' is not finite"),
        ([float("inf")], "non-finite", "the number 'inf' is not finite"),
        pytest.param(10**5000, "integer-range", "the integer of 16610 bits is beyond 2^53, where JSON readers stop agreeing", id="huge"),
        ("a\ud800", "lone-surrogate", "a text holds half a surrogate pair, '\\ud800'"),
        ({"\udfff": 1}, "lone-surrogate", "a text holds half a surrogate pair, '\\udfff'"),
    ],
)
def test_what_has_no_canonical_form(value, code, message):
    with pytest.raises(JsonError) as caught:
        canonical(value)
    assert (caught.value.code, caught.value.message, caught.value.offset) == (code, message, None)


@pytest.mark.parametrize("value", [{1: 2}, (1, 2), b"x", {"a": {1}}, object()])
def test_what_is_not_json(value):
    with pytest.raises(TypeError):
        canonical(value)


@pytest.mark.shared
def test_the_public_vectors():
    if not SUITE.parents[2].is_dir():
        pytest.skip("no shared data beside the checkout")
    names = sorted(file.name for file in (SUITE / "input").iterdir())
    assert len(names) == 6
    for name in names:
        expected = bytes.fromhex((SUITE / "outhex" / name).with_suffix(".txt").read_text())
        assert canonical(decode((SUITE / "input" / name).read_bytes(), unique=True)) == expected
        assert (SUITE / "output" / name).read_bytes().rstrip(b"\n") == expected
