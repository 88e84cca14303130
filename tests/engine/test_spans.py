"""Spans: however a text is cut, its records and their lines are the same."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teapot.errors import DataError
from teapot.model import Finding, Record
from teapot.sources.readers import LimitError, Limits, read_records
from teapot.sources.readers.streams import lines_before

PIECES = [
    b"{}",
    b'{"a": "\xc3\xa9\xf0\x9f\x98\x80"}',
    b'{"a":"\xe2\x80\xa8"}',
    b"",
    b" \t",
    b"nonsense",
    b"\xff",
    b'{"x":"' + b"y" * 70 + b'"}',
    b"\r",
]
ENDS = [b"\n", b"\n", b"\r\n", b"\n\n"]

texts = st.builds(
    lambda mark, lines, last: mark + b"".join(piece + end for piece, end in lines) + last,
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS)), max_size=12),
    st.sampled_from([b"", b'{"last":1}', b"\n", b"{"]),
)


def whole(path: Path) -> list[Record | Finding]:
    try:
        return list(read_records(path, "f", file_type="jsonl"))
    except DataError as error:
        assert "holds no records" in error.problems[0].message
        return []


@settings(max_examples=300, deadline=None)
@given(texts, st.lists(st.integers(0, 10_000), max_size=6), st.integers(1, 40))
def test_any_cutting_of_any_text(text: bytes, cuts: list[int], chunk: int) -> None:
    if not text:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.jsonl"
        path.write_bytes(text)
        places = sorted({0, len(text), *(cut % len(text) for cut in cuts)})
        joined: list[Record | Finding] = []
        known = (0, 0)
        for start, end in itertools.pairwise(places):
            items = list(read_records(path, "f", file_type="jsonl", span=(start, end), chunk_bytes=chunk))
            lines = lines_before(path, "f", start)
            assert lines_before(path, "f", start, known) == lines
            known = (start, lines)
            assert [item.number for item in items] == list(range(1, len(items) + 1))
            base = len(joined)
            joined += [item._replace(number=item.number + base, line=(item.line or 0) + lines) for item in items]
        assert joined == whole(path)


@pytest.mark.parametrize("start", [0, 3, 9, 20])
def test_a_line_that_is_too_long(tmp_path: Path, start: int) -> None:
    path = tmp_path / "f.jsonl"
    text = b"{}\n" * 7 + b'{"a":"' + b"x" * 100 + b'"}\n'
    path.write_bytes(text)
    with pytest.raises(LimitError) as caught:
        list(read_records(path, "f", file_type="jsonl", span=(start, len(text)), limits=Limits(max_line_bytes=50)))
    assert str(caught.value.problems[0].place) == "f:8"


def test_an_encoding_is_told_from_the_first_span(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes('{"a": 1}\n{"a": 2}\n'.encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        list(read_records(path, "f", file_type="jsonl", span=(0, 4)))
