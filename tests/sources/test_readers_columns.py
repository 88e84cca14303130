"""Parquet and Arrow files: their values as JSON, and what is damaged, cut off or without a form in JSON."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from teapot.errors import DataError
from teapot.model import Finding, Record
from teapot.sources.readers import LimitError, Limits, read_records
from teapot.sources.readers.columns import read_columns


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def arrow_file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


WRITERS = {"x.parquet": parquet, "x.arrow": arrow_file, "x.feather": arrow_file, "x.ipc": arrow_stream}
COMPRESS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


def read(tmp_path, data: bytes, name: str, **options):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_records(path, name, **options))


def read_column(tmp_path, values, kind: pa.DataType):
    """A column as it comes back from every format, which must be the same."""
    table = pa.table({"c": pa.array(values, type=kind)})
    found = [read(tmp_path, write(table), name) for name, write in (("x.arrow", arrow_file), ("x.ipc", arrow_stream))]
    assert found[0] == found[1]
    return [item.value.get("c") if isinstance(item, Record) else (item.code, item.detail) for item in found[0]]


def refusal(tmp_path, data: bytes, name: str, **options):
    with pytest.raises(DataError) as caught:
        read(tmp_path, data, name, **options)
    (problem,) = caught.value.problems
    assert problem.hint
    assert problem.place.file == name
    return problem.message


CHATS = [
    {
        "id": 1,
        "messages": [{"role": "user", "content": "é", "name": None}, {"role": "assistant", "content": None, "name": "x"}, None],
        "score": 0.5,
    },
    {"id": None, "messages": None, "score": None},
    {"id": 2**62, "messages": [], "score": -0.0},
]


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_plain_and_compressed(tmp_path, name, suffix):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    data = COMPRESS[suffix](WRITERS[name](pa.Table.from_pylist(CHATS)))
    assert read(tmp_path, data, name + suffix, scratch=scratch) == [
        Record(1, None, {"id": 1, "messages": [{"role": "user", "content": "é"}, {"role": "assistant", "name": "x"}, None], "score": 0.5}),
        Record(2, None, {}),
        Record(3, None, {"id": 2**62, "messages": [], "score": -0.0}),
    ]
    assert list(scratch.iterdir()) == []


scalars = st.one_of(st.text(max_size=3), st.none())
rows = st.lists(
    st.fixed_dictionaries(
        {
            "text": scalars,
            "number": st.integers(-(2**63), 2**63 - 1) | st.none(),
            "flag": st.booleans() | st.none(),
            "list": st.lists(st.fixed_dictionaries({"a": scalars, "b": st.lists(scalars, max_size=2) | st.none()}) | st.none(), max_size=3)
            | st.none(),
        }
    ),
    min_size=1,
    max_size=7,
)
SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "number": pa.int64(),
        "flag": pa.bool_(),
        "list": pa.list_(pa.struct({"a": pa.large_string(), "b": pa.list_(pa.string())})),
    }
)


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@given(rows, st.sampled_from(list(WRITERS)), st.integers(1, 4))
def test_rows_come_back_without_their_nulls(tmp_path_factory, values, name, batch_rows):
    path = tmp_path_factory.mktemp("x") / name
    path.write_bytes(WRITERS[name](pa.Table.from_pylist(values, schema=SCHEMA)))
    kind = "parquet" if name == "x.parquet" else "arrow"
    found = list(read_columns(path, name, kind, Limits(), None, batch_rows))
    assert found == [Record(number, None, without_nulls(value)) for number, value in enumerate(values, 1)]


TIME = datetime.datetime(2024, 2, 29, 1, 2, 3, 4005)  # noqa: DTZ001 (as a column without a time zone holds it)


@pytest.mark.parametrize(
    "values, kind, expected",
    [
        (["a", None], pa.string_view(), ["a", None]),
        ([1, 2**64 - 1], pa.uint64(), [1, 2**64 - 1]),
        ([1.5], pa.float16(), [1.5]),
        ([0.5, None], pa.float32(), [0.5, None]),
        ([None], pa.null(), [None]),
        (["a", "b", "a", None], pa.dictionary(pa.int8(), pa.string()), ["a", "b", "a", None]),
        ([[1, 2]], pa.list_(pa.int8(), 2), [[1, 2]]),
        ([["a", None]], pa.list_view(pa.string()), [["a", None]]),
        ([[[0.5], None]], pa.large_list(pa.list_(pa.float64())), [[[0.5], None]]),
        ([[("k", 1), ("l", None)], []], pa.map_(pa.string(), pa.int32()), [{"k": 1}, {}]),
        ([[("k", 0.5)]], pa.map_(pa.string(), pa.float64()), [{"k": 0.5}]),
        ([TIME.date()], pa.date32(), ["2024-02-29"]),
        ([TIME.date()], pa.date64(), ["2024-02-29"]),
        ([TIME, None], pa.timestamp("us"), ["2024-02-29T01:02:03.004005", None]),
        ([TIME.replace(microsecond=0)], pa.timestamp("s"), ["2024-02-29T01:02:03"]),
        ([5], pa.timestamp("ms", "UTC"), ["1970-01-01T00:00:00.005000Z"]),
        ([1_000_000_001, -1], pa.timestamp("ns", "Mars/Olympus"), ["1970-01-01T00:00:01.000000001Z", "1969-12-31T23:59:59.999999999Z"]),
        (
            [-62135596800, -62135596801],
            pa.timestamp("s"),
            ["0001-01-01T00:00:00", ("unsupported-type", "the column 'c' holds a time outside of the years 1 to 9999")],
        ),
        (
            [[{"t": 1, "s": None}, None]],
            pa.list_(pa.struct({"t": pa.timestamp("s"), "s": pa.string()})),
            [[{"t": "1970-01-01T00:00:01"}, None]],
        ),
        ([[1, 2]], pa.list_(pa.timestamp("s"), 2), [["1970-01-01T00:00:01", "1970-01-01T00:00:02"]]),
        ([[("k", 1)]], pa.map_(pa.string(), pa.timestamp("s")), [{"k": "1970-01-01T00:00:01"}]),
        ([[TIME.date(), None]], pa.list_(pa.date32()), [["2024-02-29", None]]),
    ],
)
def test_values(tmp_path, values, kind, expected):
    assert read_column(tmp_path, values, kind) == expected


def test_dictionaries_of_times(tmp_path):
    column = pa.array([1, None, 1], type=pa.timestamp("s", "UTC")).dictionary_encode()
    found = read(tmp_path, arrow_file(pa.table({"c": column})), "x.arrow")
    assert [item.value for item in found] == [{"c": "1970-01-01T00:00:01Z"}, {}, {"c": "1970-01-01T00:00:01Z"}]


def test_json_that_is_marked_as_such_stays_text(tmp_path):
    column = pa.array(['{"a": 1}'], type=pa.json_())
    assert read(tmp_path, arrow_file(pa.table({"c": column})), "x.arrow") == [Record(1, None, {"c": '{"a": 1}'})]


def unsupported(kind, column="c"):
    return ("unsupported-type", f"the column '{column}' has values of type {kind}, which has no form in JSON")


@pytest.mark.parametrize(
    "values, kind, expected",
    [
        ([None, b"x"], pa.binary(), [None, unsupported("binary")]),
        ([decimal.Decimal("1.10")], pa.decimal128(5, 2), [unsupported("decimal128(5, 2)")]),
        ([datetime.time(1)], pa.time64("us"), [unsupported("time64[us]")]),
        ([datetime.timedelta(1)], pa.duration("s"), [unsupported("duration[s]")]),
        ([{"a": [b"x"]}, {"a": [None]}], pa.struct({"a": pa.list_(pa.binary())}), [unsupported("binary", "c.a[]"), {"a": [None]}]),
        ([[("k", b"x")]], pa.map_(pa.string(), pa.binary()), [unsupported("binary", "c{}")]),
        ([[(1, "x")], []], pa.map_(pa.int8(), pa.string()), [unsupported("map<int8, string>"), {}]),
        ([float("nan"), 1.0], pa.float64(), [("non-finite", "the column 'c' holds the number 'nan'"), 1.0]),
        ([[1.0, float("-inf")]], pa.list_(pa.float32()), [("non-finite", "the column 'c[]' holds the number '-inf'")]),
        (
            [[("k", 1), ("k", 2)]],
            pa.map_(pa.string(), pa.int8()),
            [("duplicate-key", "the key 'k' is there twice in one map of the column 'c'")],
        ),
    ],
)
def test_values_without_a_form_in_json(tmp_path, values, kind, expected):
    assert read_column(tmp_path, values, kind) == expected


def test_findings_are_numbered_with_the_records(tmp_path):
    found = read(tmp_path, parquet(pa.table({"c": [1.0, float("inf"), 2.0]})), "x.parquet")
    assert found == [
        Record(1, None, {"c": 1.0}),
        Finding(2, None, "non-finite", "the column 'c' holds the number 'inf'"),
        Record(3, None, {"c": 2.0}),
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_without_rows(tmp_path, name):
    assert refusal(tmp_path, WRITERS[name](pa.table({"a": pa.array([], pa.int8())})), name) == f"'{name}' holds no records"


def test_rows_without_columns(tmp_path):
    table = pa.table({"a": [1, 2]}).select([])
    assert read(tmp_path, arrow_file(table), "x.arrow") == [Record(1, None, {}), Record(2, None, {})]


@pytest.mark.parametrize("name", ["x.arrow", "x.ipc"])
def test_columns_have_different_names(tmp_path, name):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert refusal(tmp_path, WRITERS[name](table), name) == f"the column 'a' is there twice in '{name}'"
    within = pa.table({"c": pa.array([(1, 2)], pa.struct([("a", pa.int8()), ("a", pa.int8())]))})
    assert refusal(tmp_path, WRITERS[name](within), name).startswith(f"'{name}' cannot be read as Arrow: ")


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_off_is_never_read_to_a_silent_end(tmp_path, name):
    data = WRITERS[name](pa.table({"a": ["x", "y", "z", "äöü" * 30]}))
    for end in range(1, len(data)):
        assert "'x" in refusal(tmp_path, data[:end], name)
    if name != "x.parquet" and name != "x.ipc":
        return
    assert refusal(tmp_path, data + b"x", name)


def test_an_arrow_stream_that_ends_between_batches(tmp_path):
    data = arrow_stream(pa.table({"a": [1, 2, 3]}))
    assert refusal(tmp_path, data[:-8], "x.ipc") == "'x.ipc' is cut off: the Arrow stream has no end mark"


@pytest.mark.parametrize("name, format_name", [("x.parquet", "Parquet"), ("x.arrow", "Arrow")])
def test_something_else(tmp_path, name, format_name):
    assert refusal(tmp_path, b'{"a": 1}\n' * 20, name).startswith(f"'{name}' cannot be read as {format_name}: ")


def test_text_that_is_not_utf8(tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    for name, write in WRITERS.items():
        assert "UTF8" in refusal(tmp_path, write(pa.table({"a": broken})), name).upper().replace("-", "")


def test_a_large_parquet_file(tmp_path):
    data = parquet(pa.table({"a": ["x" * 1000]}))
    with pytest.raises(LimitError, match="decompresses to more than 100 bytes"):
        read(tmp_path, data, "x.parquet", limits=Limits(max_decompressed_bytes=100))
    with pytest.raises(LimitError, match="decompresses to more than 100 bytes"):
        read(tmp_path, gzip.compress(data), "x.parquet", limits=Limits(max_decompressed_bytes=100))
