"""JSON lines, JSON arrays and CSV: what is read, what is a finding, and what stops the reader."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import DataError, Place
from teapot.model import Finding, Record
from teapot.sources.readers import LimitError, Limits, read_records
from teapot.sources.readers.arrays import read_array
from teapot.sources.readers.csvtext import read_csv
from teapot.sources.readers.lines import read_lines, split_lines

LIMITS = Limits()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text('"\\[]{},: \n', max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(texts, values, max_size=3)
sizes = st.integers(1, 9)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def read(tmp_path, data: bytes, name: str = "data.jsonl", **options):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_records(path, name, **options))


def refusal(tmp_path, data: bytes, name: str, **options):
    with pytest.raises(DataError) as caught:
        read(tmp_path, data, name, **options)
    (problem,) = caught.value.problems
    assert problem.hint
    return problem.message, str(problem.place)


# ---------------------------------------------------------------- lines


@given(st.lists(st.binary().map(lambda data: data.replace(b"\n", b"")), min_size=1), sizes)
def test_lines_are_split_at_newlines_wherever_a_chunk_ends(lines, size):
    found = list(split_lines(cut(b"\n".join(lines), size), "x", 10**6))
    if not lines[-1]:
        lines = lines[:-1]
    assert found == list(enumerate(lines, 1))


@given(st.lists(records), sizes, st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\n \t\n", b"\n\n"]))
def test_json_lines(rows, size, final, newline):
    data = newline.join(json.dumps(row, ensure_ascii=False).encode() for row in rows) + (newline if final else b"")
    step = 2 if newline in (b"\n \t\n", b"\n\n") else 1
    found = list(read_lines(cut(data, size), "x", "object", LIMITS))
    assert repr(found) == repr([Record(number, (number - 1) * step + 1, row) for number, row in enumerate(rows, 1)])


def test_lines_of_json_that_are_no_records(tmp_path):
    data = (
        b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": 1,}\n"\xff"\n{"b": {"c": 1, "c": 2}}\n[1]\n"x"\n7\nnull\ntrue\n{"n": NaN}\n{"s": "\\ud800"}\n'
        + b'{"d": [[1]]}'
    )
    assert read(tmp_path, data, limits=Limits(max_depth=2)) == [
        Record(1, 1, {"a": 1}),
        Finding(2, 3, "invalid-json", "expected a key in double quotes, found '}' (column 9)"),
        Finding(3, 4, "not-utf8", "byte 0xff is not valid UTF-8 (column 2)"),
        Finding(4, 5, "duplicate-key", "the key 'c' is there twice in one object (column 16)"),
        Finding(5, 6, "not-an-object", "a record must be a JSON object, not an array"),
        Finding(6, 7, "not-an-object", "a record must be a JSON object, not a string"),
        Finding(7, 8, "not-an-object", "a record must be a JSON object, not a number"),
        Finding(8, 9, "not-an-object", "a record must be a JSON object, not null"),
        Finding(9, 10, "not-an-object", "a record must be a JSON object, not a boolean"),
        Finding(10, 11, "non-finite", "'NaN' is not a number that JSON has (column 7)"),
        Finding(11, 12, "lone-surrogate", "'\\ud800' is half a surrogate pair (column 8)"),
        Finding(12, 13, "too-deep", "more than 2 levels of arrays and objects; TEAPOT_MAX_DEPTH sets the limit (column 8)"),
    ]


def test_columns_count_characters(tmp_path):
    (finding,) = read(tmp_path, '{"é😀": x}'.encode())
    assert finding.detail == "expected a value, found 'x' (column 8)"


def test_bare_arrays_become_messages(tmp_path):
    data = b'[{"role": "user"}]\n{"a": 1}\n'
    expected = [
        Record(1, 1, {"messages": [{"role": "user"}]}),
        Finding(2, 2, "not-an-array", "a record must be a JSON array, as its source declares, not an object"),
    ]
    assert read(tmp_path, data, record="array") == expected
    array = read(tmp_path, b'[[{"role": "user"}],\n{"a": 1}]', "data.json", record="array")
    assert array == expected


def test_a_line_may_not_be_too_long(tmp_path):
    limits = Limits(max_line_bytes=10)
    assert len(read(tmp_path, b'{"a": 123}\n{"a": 1}', limits=limits)) == 2
    for chunk_bytes in (1, 4, 1000):
        message = refusal(tmp_path, b'{"a": 1}\n{"a": 1234}\n', "x.jsonl", limits=limits, chunk_bytes=chunk_bytes)
        assert message == ("a line is longer than 10 bytes", "x.jsonl:2")


# ---------------------------------------------------------------- .json


def test_a_json_file_may_hold_lines(tmp_path):
    assert read(tmp_path, b'\n {"a": 1}\n{"a": 2}\n', "x.json") == [Record(1, 2, {"a": 1}), Record(2, 3, {"a": 2})]
    assert [type(item) for item in read(tmp_path, b'{"a": 1\x00}\n{"a":\n', "x.json")] == [Finding, Finding]


@pytest.mark.parametrize("text", ['{\n "a": 1\n}\n', '{"data": [\n{"a": 1}]}', '{"a":\r\n1}'])
def test_a_json_file_may_not_hold_one_object_over_lines(tmp_path, text):
    message = "'x.json' is one JSON value over several lines, neither an array of records nor JSON lines"
    assert refusal(tmp_path, text.encode(), "x.json") == (message, "x.json:1")


def test_a_json_file_holds_records(tmp_path):
    assert refusal(tmp_path, b" 7", "x.json") == ("'x.json' holds neither a JSON array nor JSON lines: it begins with b'7'", "x.json")


@given(st.lists(records | values), sizes, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_json_arrays(elements, size, indent, ascii_only, separators):
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii_only, separators=separators)
    found = list(read_array(cut(f"\n {text} \n".encode(), size), "x", "object", LIMITS))
    assert [item.number for item in found] == list(range(1, len(elements) + 1))
    for item, element in zip(found, elements, strict=True):
        if isinstance(element, dict):
            assert isinstance(item, Record)
            assert repr(item.value) == repr(element)
        else:
            assert item.code == "not-an-object"


@given(
    st.lists(records, max_size=3),
    sizes,
    st.integers(0, 60),
    st.sampled_from([b"", b'"', b"]", b"[", b"}", b",", b"\\", b"1", b"\n"]),
    st.integers(0, 2),
)
def test_a_damaged_array_is_never_read_as_a_whole(elements, size, at, piece, removed):
    data = json.dumps(elements).encode()
    data = data[:at] + piece + data[at + removed :]
    try:
        expected = json.loads(data)
    except ValueError:
        expected = None
    try:
        found = list(read_array(cut(data, size), "x", "object", LIMITS))
    except DataError:
        found = None
    if found is None or not all(isinstance(item, Record) for item in found):
        return  # it says that something is wrong; where that is too strict, the test above tells
    assert repr([item.value for item in found]) == repr(expected)


def test_long_elements_and_their_lines():
    long = '\\"\\n' * 3000 + "x" * 5000
    data = ('[\n{"a": "%s",\n "b": "\\\\"},\n7, "s[", [1], null\n,{"c":"é"}]' % long).encode()  # noqa: UP031 (braces)
    for size in (1, 7, 4096, 10**6):
        first, *rest = read_array(cut(data, size), "x", "object", LIMITS)
        assert first.value["b"] == "\\"
        assert len(first.value["a"]) == 11000
        assert [(item.line, type(item)) for item in [first, *rest]] == [(2, Record)] + [(4, Finding)] * 4 + [(5, Record)]


def test_what_is_wrong_within_one_element_is_a_finding(tmp_path):
    data = b'[{"a": 1, "a": 2}, {"b": "\xff"},\n {"c":\n  {"d": 1, "d": 2}}, {"e": [[1]]}, {"f": 1}]'
    assert read(tmp_path, data, "x.json", limits=Limits(max_depth=2)) == [
        Finding(1, 1, "duplicate-key", "the key 'a' is there twice in one object (column 10 of the record)"),
        Finding(2, 1, "not-utf8", "byte 0xff is not valid UTF-8 (column 8 of the record)"),
        Finding(3, 2, "duplicate-key", "the key 'd' is there twice in one object (line 3, column 12)"),
        Finding(4, 3, "too-deep", "more than 2 levels of arrays and objects; TEAPOT_MAX_DEPTH sets the limit (column 8 of the record)"),
        Record(5, 3, {"f": 1}),
    ]


@pytest.mark.parametrize(
    "text, reason, place",
    [
        ('[\n{"a": 1}\n {"a": 2}]', "expected ',' or ']' after an element", "3:2"),
        ('[{"é": 1} x]', "expected ',' or ']' after an element", "1:11"),
        ('[{"a": 1},\n]', "expected a value", "2:1"),
        ("[,1]", "expected a value", "1:2"),
        ("[", "expected a value, but the file ends here", "1:2"),
        ('[{"a": 1},', "expected a value, but the file ends here", "1:11"),
        ('[{"a": 1}', "expected ',' or ']' after an element, but the file ends here", "1:10"),
        ("[1", "expected ',' or ']' after an element, but the file ends here", "1:3"),
        ('[1, "ab', "the file ends inside an element", "1:5"),
        ('[1, "ab\\', "the file ends inside an element", "1:5"),
        ('[\n{"a": {"b": 1}', "the file ends inside an element", "2:1"),
        ("[1] 2", "nothing may follow the array's end", "1:5"),
        ("[]\n[]", "nothing may follow the array's end", "2:1"),
        ('[{"a":\n"é" 1}]', "expected ',' or '}', found '1'", "2:5"),
        ("[nul]", "expected a value, found 'n'", "1:2"),
        ('[{"a": 1]]', "expected ',' or '}', found ']'", "1:9"),
    ],
)
def test_a_broken_array_stops_the_reader_and_names_the_place(tmp_path, text, reason, place):
    for chunk_bytes in (1, 1000):
        message = refusal(tmp_path, text.encode(), "x.json", chunk_bytes=chunk_bytes)
        assert message == (f"'x.json' is not a valid JSON array: {reason}", f"x.json:{place}")


def test_an_array_is_expected():
    with pytest.raises(DataError, match="expected '\\['"):
        list(read_array([b"{}"], "x", "object", LIMITS))


@pytest.mark.parametrize("element", ['"%s"', '{"a": "%s"}', '["%s"', "%s"])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 10**6])
def test_an_element_may_not_be_too_long(tmp_path, element, chunk_bytes):
    text = "[1,\n" + element.replace("%s", "9" * 100) + "]"
    with pytest.raises(LimitError) as caught:
        read(tmp_path, text.encode(), "x.json", limits=Limits(max_line_bytes=50), chunk_bytes=chunk_bytes)
    (problem,) = caught.value.problems
    assert (problem.message, problem.place) == ("a record is longer than 50 bytes", Place("x.json", 2, 1))
    assert problem.hint == "if the file is to be trusted, set TEAPOT_MAX_LINE_BYTES to a larger number"


# ---------------------------------------------------------------- CSV

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=6) | st.text('",\n', max_size=4)


@given(
    st.lists(st.tuples(cells.filter(bool), cells), min_size=1),
    sizes,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_csv(rows, size, newline, quoting):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=newline, quoting=quoting)
    writer.writerows([("a", "b"), *rows])
    found = list(read_csv(cut(text.getvalue().encode(), size), "x", LIMITS))
    lines = [2 + sum(1 + "".join(row).count("\n") for row in rows[:index]) for index in range(len(rows))]
    assert found == [Record(index + 1, lines[index], {"a": row[0], "b": row[1]}) for index, row in enumerate(rows)]


def test_rows_of_csv_that_are_no_records(tmp_path):
    data = b'\xef\xbb\xbf\na,b\n1,2\n\n3\n"x\ny",\xff\n4,5,6\n"q""q", 7 \n'
    assert read(tmp_path, data, "x.csv") == [
        Record(1, 3, {"a": "1", "b": "2"}),
        Finding(2, 5, "wrong-columns", "the row has 1 cell, the header has 2"),
        Finding(3, 6, "not-utf8", "the row is not valid UTF-8"),
        Finding(4, 8, "wrong-columns", "the row has 3 cells, the header has 2"),
        Record(5, 9, {"a": 'q"q', "b": " 7 "}),
    ]


def test_a_large_cell_is_read_and_the_process_wide_limit_stays(tmp_path):
    earlier = csv.field_size_limit()
    (record,) = read(tmp_path, b"a\n" + b"x" * 300_000 + b"\n", "x.csv")
    assert len(record.value["a"]) == 300_000
    assert csv.field_size_limit() == earlier


@pytest.mark.parametrize(
    "data, message, place",
    [
        (b"a,,b\n1,2,3\n", "column 2 of 'x.csv' has no name in the header", "x.csv:1"),
        (b"\na,b,a\n1,2,3\n", "the column 'a' is there twice in the header of 'x.csv'", "x.csv:2"),
        (b"a,\xff\n1,2\n", "the header of 'x.csv' is not valid UTF-8", "x.csv:1"),
        (b'a\n1\n"x"y\n', "'x.csv' is not valid CSV: ',' expected after '\"'", "x.csv:3"),
        (b'a\n1\n"x\n\ny', "'x.csv' is not valid CSV: unexpected end of data", "x.csv:3"),
        (b"a\n1\r2\n", "'x.csv' is not valid CSV: new-line character seen in unquoted field", "x.csv:2"),
        (b"a\n1\n\x00\n", "'x.csv' holds a NUL byte, which is no text", "x.csv:3"),
        (b"a,b\n", "'x.csv' holds no records", "x.csv"),
        (b"\n\n", "'x.csv' holds no records", "x.csv"),
    ],
)
def test_csv_that_stops_the_reader(tmp_path, data, message, place):
    assert refusal(tmp_path, data, "x.csv") == (message, place)


def test_a_row_may_not_be_too_long(tmp_path):
    limits = Limits(max_line_bytes=12)
    assert len(read(tmp_path, b'a\n"12345\n7890"\n12\n', "x.csv", limits=limits)) == 2
    assert refusal(tmp_path, b'a\n"12345\n78901"\n', "x.csv", limits=limits) == ("a row is longer than 12 bytes", "x.csv:2")
    with pytest.raises(LimitError):
        read(tmp_path, b"a\n1234567890123\n", "x.csv", limits=limits)
