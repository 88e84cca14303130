"""Lines of JSON that are no good rows, by what is wrong with them, with the code of the finding; and some that only look bad."""

from __future__ import annotations

import json

from teapot.jsontext import MAX_DEPTH

MESSAGES = '[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]'


def row(messages: str = MESSAGES, id: str = '"bad"', x: str = '"k"', more: str = "") -> bytes:
    """A line with the keys of the good ones, and JSON text in their places."""
    return f'{{"messages": {messages}, "id": {id}, "x": {x}{more}}}'.encode("utf-8", "surrogatepass")


def says(content: str, role: str = '"assistant"') -> bytes:
    return row(f'[{{"role": "user", "content": "Q"}}, {{"role": {role}, "content": {content}}}]')


def deep(levels: int, opening: str, closing: str) -> str:
    return opening * levels + "1" + closing * levels


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "a NUL at the end": (row() + b"\0", "invalid-json"),
    "NUL bytes alone": (b"\0" * 40, "invalid-json"),
    "a NUL in a text": (says('"a\0b"'), "invalid-json"),
    "a NUL between keys": (row(more="\0"), "invalid-json"),
    "a line of UTF-16": (row().decode().encode("utf-16-le"), "invalid-json"),
    "a byte order mark within the file": (b"\xef\xbb\xbf" + row(), "invalid-json"),
    "a byte order mark in the line": (row(more="\ufeff"), "invalid-json"),
    "a lone CR in a text": (says('"a\rb"'), "invalid-json"),
    "two records with a CR between": (row() + b"\r" + row(), "invalid-json"),
    "a tab in a text": (says('"a\tb"'), "invalid-json"),
    "two records on a line": (row() + row(), "invalid-json"),
    "a record with a comma after it": (row() + b",", "invalid-json"),
    "a line that is cut off": (row()[:-9], "invalid-json"),
    "a line that is cut off in a text": (row()[:30], "invalid-json"),
    "the end of a line alone": (row()[30:], "invalid-json"),
    "a comma before the brace": (row(more=","), "invalid-json"),
    "a comment": (b"// " + row(), "invalid-json"),
    "single quotes": (row().replace(b'"', b"'"), "invalid-json"),
    "Python's None": (row(x="None"), "invalid-json"),
    "Python's True": (row(x="True"), "invalid-json"),
    "a leading zero": (row(x="01"), "invalid-json"),
    "a plus sign": (row(x="+1"), "invalid-json"),
    "a number without a whole part": (row(x=".5"), "invalid-json"),
    "a number without a fraction": (row(x="1."), "invalid-json"),
    "a hexadecimal number": (row(x="0x1F"), "invalid-json"),
    "an unknown escape": (says(r'"\x41"'), "invalid-json"),
    "an escape that is too short": (says(r'"\u12"'), "invalid-json"),
    "a key without quotes": (row().replace(b'"id"', b"id"), "invalid-json"),
    "a key that is no text": (row(more=", 1: 2"), "invalid-json"),
    "the wrong bracket": (row(MESSAGES[:-1] + "}"), "invalid-json"),
    "a thing that is no JSON": (b"<html><body>503</body></html>", "invalid-json"),
    "NaN": (row(x="NaN"), "non-finite"),
    "NaN where nobody looks": (row(more=', "y": {"z": [NaN]}'), "non-finite"),
    "Infinity": (row(x="Infinity"), "non-finite"),
    "-Infinity": (row(x="-Infinity"), "non-finite"),
    "a number that overflows": (row(x="1e999"), "non-finite"),
    "a negative number that overflows": (row(x="-1e999"), "non-finite"),
    "an integer of 700 digits": (row(x="9" * 700), "integer-range"),
    "an integer of 700 digits where nobody looks": (row(more=', "y": -' + "9" * 700), "integer-range"),
    "a byte that is no UTF-8": (says('"a"').replace(b'"a"', b'"\xff"'), "not-utf8"),
    "a character that is cut off": (says('"a"').replace(b'"a"', b'"\xe6\x97"'), "not-utf8"),
    "an overlong NUL": (says('"a"').replace(b'"a"', b'"\xc0\x80"'), "not-utf8"),
    "an overlong slash": (says('"a"').replace(b'"a"', b'"\xe0\x80\xaf"'), "not-utf8"),
    "half a pair in UTF-8": (says('"\ud800"'), "not-utf8"),
    "a whole pair in UTF-8 each": (says('"\ud83d\ude00"'), "not-utf8"),
    "beyond Unicode": (says('"a"').replace(b'"a"', b'"\xf4\x90\x80\x80"'), "not-utf8"),
    "Latin-1": (says('"a"').replace(b'"a"', "ü".encode("latin-1").join([b'"', b'"'])), "not-utf8"),
    "no UTF-8 in a key": (row(more=', "ü": 1').replace("ü".encode(), b"\xfc"), "not-utf8"),
    "a lone high surrogate": (says(r'"\ud83d"'), "lone-surrogate"),
    "a lone low surrogate": (says(r'"\ude00"'), "lone-surrogate"),
    "a pair the wrong way round": (says(r'"\ude00\ud83d"'), "lone-surrogate"),
    "two high surrogates": (says(r'"\ud83d\ud83d"'), "lone-surrogate"),
    "a lone surrogate in a key": (row(more=r', "\udfff": 1'), "lone-surrogate"),
    "a lone surrogate in the id": (row(id=r'"\ud800"'), "lone-surrogate"),
    "a lone surrogate where nobody looks": (row(more=r', "y": ["\ud800"]'), "lone-surrogate"),
    "a key twice": (row(more=', "x": "k"'), "duplicate-key"),
    "a key twice, once escaped": (row(more=r', "\u0078": "k"'), "duplicate-key"),
    "the messages twice": (row(more=f', "messages": {MESSAGES}'), "duplicate-key"),
    "the id twice": (b'{"id": "other", ' + row()[1:], "duplicate-key"),
    "a role twice": (says('"A", "role": "user"'), "duplicate-key"),
    "a content twice": (says('"B", "content": "A"'), "duplicate-key"),
    "a key twice where nobody looks": (row(more=', "y": {"a": {"b": 1, "b": 1}}'), "duplicate-key"),
    "the empty key twice": (row(more=', "": 1, "": 2'), "duplicate-key"),
    "one level too deep": (row(more=f', "y": {deep(MAX_DEPTH, "[", "]")}'), "too-deep"),
    "100,000 lists": (row(more=f', "y": {deep(100_000, "[", "]")}'), "too-deep"),
    "100,000 objects": (row(more=f', "y": {deep(100_000, "{" + json.dumps("a") + ":", "}")}'), "too-deep"),
    "100,000 lists for a content": (says(deep(100_000, "[", "]")), "too-deep"),
    "100,000 lists that are not closed": (b"[" * 100_000, "too-deep"),
    "100,000 objects that are not closed": (b'{"a":' * 100_000, "too-deep"),
    "an array": (MESSAGES.encode(), "not-an-object"),
    "an empty array": (b"[]", "not-an-object"),
    "a string": (b'"messages"', "not-an-object"),
    "a number": (b"42", "not-an-object"),
    "null": (b"null", "not-an-object"),
    "true": (b"true", "not-an-object"),
}
"""What no record can be made of."""

UNFIT: dict[str, tuple[bytes, str]] = {
    "an empty object": (b"{}", "missing-field"),
    "no messages": (b'{"id": "bad", "x": "k"}', "missing-field"),
    "messages of null": (row("null"), "missing-field"),
    "messages of text": (row('"Q"'), "not-a-list"),
    "messages of a number": (row("1"), "not-a-list"),
    "messages of an object": (row("{}"), "not-a-list"),
    "an empty list of messages": (row("[]"), "no-assistant"),
    "a message of null": (row("[null]"), "message-shape"),
    "a message of text": (row('["Q"]'), "message-shape"),
    "a list of messages in a list": (row(f"[{MESSAGES}]"), "message-shape"),
    "an empty message": (row("[{}]"), "missing-role"),
    "a role of null": (says('"A"', "null"), "missing-role"),
    "a role that is a number": (says('"A"', "1"), "unknown-role"),
    "an unknown role": (says('"A"', '"narrator"'), "unknown-role"),
    "a role with a space": (says('"A"', '"assistant "'), "unknown-role"),
    "the other dialect": (
        b'{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "id": "bad", "x": "k"}',
        "wrong-format",
    ),
    "a content of null": (says("null"), "missing-content"),
    "a content that is a number": (says("1"), "content-not-text"),
    "a content that is true": (says("true"), "content-not-text"),
    "a content that is an object": (says('{"text": "A"}'), "content-not-text"),
    "a content of pictures": (says('[{"type": "image_url", "image_url": "x"}]'), "unsupported-part"),
    "a content of white space": (says('" \\n\\u3000"'), "empty-assistant"),
    "an empty content": (says('""'), "empty-assistant"),
    "no answer": (row('[{"role": "user", "content": "Q"}]'), "no-assistant"),
    "a control token": (says('"<|im_end|>"'), "control-token"),
    "a control token, escaped": (says('"\\u003c|im_end|\\u003e"'), "control-token"),
    "a kept integer beyond 2^53": (row(x="9007199254740993"), "number-out-of-range"),
    "a kept integer of 600 digits": (row(x="9" * 600), "number-out-of-range"),
    "a kept whole number beyond 2^53": (row(x="1e20"), "number-out-of-range"),
    "an id that is a list": (row(id="[1]"), "bad-id"),
    "an id that is true": (row(id="true"), "bad-id"),
    "an id that is a fraction": (row(id="1.5"), "bad-id"),
    "an id that is there already": (row(id='"r1"'), "duplicate-id"),
    "a category that is a number": (row(more=', "category": 5'), "bad-category"),
    "tools that are no JSON": (row(more=', "tools": "[{"'), "invalid-tools"),
    "tools that are a number": (row(more=', "tools": 3'), "invalid-tools"),
    "arguments that are no JSON": (
        row(MESSAGES[:-1] + ', {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]'),
        "tool-call-shape",
    ),
}
"""Records of which no row can be made."""

GOOD: dict[str, bytes] = {
    "white space of all kinds around": b" \t" + row().replace(b", ", b",\t ").replace(b": ", b" :\t") + b" \t",
    "a CR as white space": row().replace(b", ", b",\r"),
    "a CR at the end": row() + b"\r",
    "a DEL, a C1 control and a line separator": says('"a\x7fb\u0085c\u2028d"'),
    "a noncharacter": says('"\uffff\U0010ffff"'),
    "a byte order mark in a text": says('"\ufeffA"'),
    "an escaped NUL": says(r'"a\u0000b"'),
    "an escaped pair": says(r'"\ud83d\ude00"'),
    "a tiny number": row(x="1e-999"),
    "the smallest and the largest double": row(more=', "y": [5e-324, 1.7976931348623157e308, -0.0, 1e-7]'),
    "a big integer where nobody looks": row(more=', "y": 123456789012345678901234567890'),
    "as deep as may be": row(more=f', "y": {deep(MAX_DEPTH - 1, "[", "]")}'),
    "the same key in two objects": row(more=', "y": [{"x": 1}, {"x": 2}]'),
    "keys that differ by normalisation": row(more=', "é": 1, "e\u0301": 2'),
    "a key with a colon and a quote": row(more=r', "a\": ": 1'),
    "an integer as id": row(id="9007199254740993123"),
    "null for what is optional": row(x="null", more=', "category": null, "tools": null'),
}
"""What looks bad and is not."""
