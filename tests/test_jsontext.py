"""The strict JSON reader: what it takes, what it refuses and how it says so; and that the fast way gives the same."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.jsontext import MAX_DEPTH, MAX_DIGITS, JsonError, decode, decode_strictly

SUITE = Path(__file__).resolve().parents[1] / "../shared/suites/json/test_parsing"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
# Texts near JSON: pieces that a reader may stumble over, in any order.
PIECES = ['{"a":', '"a"', '"a" :', '{"a":1,"a":2}', '":"', '" :"', '"\\":"', '"\\\\":', '"\\\\"', "\\", ":", ",", "[", "]", "{", "}", " ", "\n", "\r", "\t", '"', "0", "-",
          "1.5", "e5", "1E400", "\\u00e9", '"\\ud83d\\ude00"', '"\\ud83d"', "NaN", "-Infinity", "true", "null", "\ufeff", "é", "\x00", "\x7f"]  # fmt: skip
near_json = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


def outcome(reader, data, **options):
    """What a reader makes of ``data``, so that -0.0 and 0.0, True and 1, and any two errors differ."""
    try:
        return repr(reader(data, **options))
    except JsonError as error:
        return error.message, error.offset, error.code


def refusal(data, **options):
    with pytest.raises(JsonError) as caught:
        decode(data, **options)
    return str(caught.value), caught.value.offset, caught.value.code


@given(json_values, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\n : ")]))
def test_what_the_standard_library_writes_is_read_back(value, indent, ascii_only, separators):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators)
    assert repr(decode(text.encode(), unique=True)) == repr(value)
    assert repr(decode(text)) == repr(value)
    assert repr(decode_strictly(text, unique=True)) == repr(value)


@given(near_json, st.booleans())
def test_both_readers_agree_on_anything(text, unique):
    assert outcome(decode, text.encode(), unique=unique) == outcome(decode_strictly, text.encode(), unique=unique)
    assert outcome(decode, text, unique=unique) == outcome(decode_strictly, text.encode(), unique=unique)


@given(
    json_values, st.integers(0, 200), st.sampled_from([b"", b'"', b"\\", b":", b",", b"\xff", b"{", b"]", b"1", b" "]), st.integers(0, 3)
)
def test_both_readers_agree_on_damaged_texts(value, at, piece, cut):
    data = json.dumps(value).encode()
    damaged = data[:at] + piece + data[at + cut :]
    assert outcome(decode, damaged, unique=True) == outcome(decode_strictly, damaged, unique=True)


@given(st.lists(st.tuples(st.text('a:"\\ ', max_size=3), st.text(':" \\', max_size=3)), max_size=4), st.sampled_from([": ", " :", ":"]))
def test_a_key_that_is_there_twice_is_always_found(pairs, colon):
    text = "[{" + ",".join(json.dumps(key) + colon + json.dumps(value) for key, value in pairs) + "}]"
    keys = [key for key, _ in pairs]
    if len(set(keys)) == len(keys):
        assert decode(text, unique=True) == [dict(pairs)]
    else:
        assert refusal(text, unique=True)[2] == "duplicate-key"
        assert decode(text) == [dict(pairs)]


def test_duplicates_are_named_and_placed():
    assert refusal(b'{"a": {"k": 1, "k": 2}}', unique=True) == ("the key 'k' is there twice in one object", 15, "duplicate-key")
    assert refusal('{"\\u0061":1,"a":2}', unique=True) == ("the key 'a' is there twice in one object", 12, "duplicate-key")
    assert decode(b'{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


def test_a_duplicate_hides_nothing():
    assert refusal(b'{"a":' + b"[" * 600 + b"]" * 600 + b',"a":1}')[2] == "too-deep"


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_levels_are_counted_without_recursion(opening, closing):
    levels = MAX_DEPTH // len(closing)
    fine = opening * (levels - 1) + "[]" + closing * (levels - 1)
    decode(fine)
    decode_strictly(fine)
    full = opening * levels + "0" + closing * levels
    decode(full)
    decode_strictly(full)
    assert refusal(opening * levels + "{}" + closing * levels)[2] == "too-deep"
    assert refusal(opening * 200_000)[2] == "too-deep"


def test_levels_do_not_depend_on_how_deep_the_caller_is():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            assert isinstance(decode(text), list)

    deeper(sys.getrecursionlimit() - 200)


def test_the_limit_is_an_argument():
    assert decode("[[1]]", max_depth=2) == [[1]]
    assert refusal("[[1]]", max_depth=1) == ("more than 1 levels of arrays and objects", 1, "too-deep")
    assert decode("1", max_depth=0) == 1


@pytest.mark.parametrize(
    "data, message, offset, code",
    [
        (b"", "expected a value, found the end of the text", 0, "invalid-json"),
        (b" \n", "expected a value, found the end of the text", 2, "invalid-json"),
        (b"nul", "expected a value, found 'n'", 0, "invalid-json"),
        (b"[1,]", "expected a value, found ']'", 3, "invalid-json"),
        (b"[1 2]", "expected ',' or ']', found '2'", 3, "invalid-json"),
        (b'{"a":1 "b"', "expected ',' or '}', found '\"'", 7, "invalid-json"),
        (b'{"a":1,}', "expected a key in double quotes, found '}'", 7, "invalid-json"),
        (b"{a:1}", "expected a key in double quotes, found 'a'", 1, "invalid-json"),
        (b'{"a" 1}', "expected ':' after the key 'a', found '1'", 5, "invalid-json"),
        (b"[1", "expected ',' or ']', found the end of the text", 2, "invalid-json"),
        (b"1 2", "'2' after the end of the value", 2, "invalid-json"),
        (b"01", "'1' after the end of the value", 1, "invalid-json"),
        (b"1.", "'.' after the end of the value", 1, "invalid-json"),
        (b"-", "expected a value, found '-'", 0, "invalid-json"),
        (b"[1\x00]", "expected ',' or ']', found '\\u0000'", 2, "invalid-json"),
        (b"\xef\xbb\xbf1", "a byte order mark has no place in JSON", 0, "invalid-json"),
        (b'"a', "the string that begins here has no end", 0, "invalid-json"),
        (b'"a\nb"', "character U+000A must be escaped in a string", 2, "invalid-json"),
        (b'"\\x"', "a backslash that begins no escape sequence", 1, "invalid-json"),
        (b'"\\u00g0"', "a backslash that begins no escape sequence", 1, "invalid-json"),
        ('["é", ?]'.encode(), "expected a value, found '?'", 7, "invalid-json"),
        (b'"\\ud83dx"', "'\\ud83d' is half a surrogate pair", 1, "lone-surrogate"),
        (b'"\\uDE00"', "'\\uDE00' is half a surrogate pair", 1, "lone-surrogate"),
        (b'"\\ud83d\\ud83d"', "'\\ud83d' is half a surrogate pair", 1, "lone-surrogate"),
        ("é\ud800", "half a surrogate pair, '\\ud800', is no text", 2, "lone-surrogate"),
        (b"[NaN]", "'NaN' is not a number that JSON has", 1, "non-finite"),
        (b"-Infinity", "'-Infinity' is not a number that JSON has", 0, "non-finite"),
        (b"[1e999]", "the number is too large for a double", 1, "non-finite"),
        (b"-" + b"9" * 641, "an integer of more than 640 digits", 0, "integer-range"),
        (b'"\xff"', "byte 0xff is not valid UTF-8", 1, "not-utf8"),
        (b'"\xed\xa0\x80"', "byte 0xed is not valid UTF-8", 1, "not-utf8"),
    ],
)
def test_refusals(data, message, offset, code):
    assert refusal(data) == (message, offset, code)


def test_a_long_key_is_shortened_and_made_harmless():
    key = "\\u001b[31m\\u202e" + "x" * 100
    message, _, _ = refusal(f'{{"{key}":1,"{key}":2}}', unique=True)
    assert message == "the key '\\u001b[31m\\u202e" + "x" * 54 + "…' is there twice in one object"


def test_numbers_keep_what_they_are():
    assert decode(b"[1, 1.0, 1e0, -0, -0.0, 1E+2, 18446744073709551616, 1e-999]") == [1, 1.0, 1.0, 0, -0.0, 100.0, 2**64, 0.0]
    assert [type(item) for item in decode(b"[1, 1.0, 1e0]")] == [int, float, float]  # type: ignore[union-attr]
    assert math.copysign(1, decode(b"-0.0")) == -1  # type: ignore[arg-type]
    longest = "9" * MAX_DIGITS
    assert decode(longest) == decode_strictly(longest) == int(longest)


def test_escapes():
    text = '["\\"\\\\\\/\\b\\f\\n\\r\\t", "\\u00e9\\uD83D\\uDE00", "\\u0000"]'
    assert decode(text) == decode_strictly(text) == ['"\\/\b\f\n\r\t', "é😀", "\0"]


@pytest.mark.shared
def test_the_public_suite():
    if not SUITE.parents[2].is_dir():
        pytest.skip("no shared data beside the checkout")
    files = sorted(SUITE.glob("*.json"))
    assert len(files) > 300
    wrong = []
    for file in files:
        got = {"y": "value", "n": "error"}.get(file.name[0])
        for reader in (decode, decode_strictly):
            try:
                reader(file.read_bytes())
                result = "value"
            except JsonError:
                result = "error"
            if got not in (None, result):
                wrong.append((file.name, result))
    assert wrong == []
