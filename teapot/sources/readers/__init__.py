"""Readers: a file on this machine as a stream of records and findings.

JSON lines, a JSON array, CSV, Parquet and Arrow, each plain or compressed with gzip or zstd. Memory does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from teapot.errors import DataError, Place
from teapot.model import FileType, Finding, Record
from teapot.sources.readers.arrays import read_array
from teapot.sources.readers.columns import read_columns
from teapot.sources.readers.csvtext import read_csv
from teapot.sources.readers.limits import LimitError, Limits
from teapot.sources.readers.lines import Quick, Shape, read_lines
from teapot.sources.readers.streams import CHUNK_BYTES, At, check_file, compression_of, empty, lines_before, text_chunks, unwatched

__all__ = ["LimitError", "Limits", "file_type_of", "read_records"]

_SUFFIXES: dict[str, FileType] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_COMPRESSED = (".gz", ".zst")


def file_type_of(name: str) -> FileType | None:
    """The type that a file's name promises, or ``None``; ``.gz`` and ``.zst`` at its end do not count."""
    file = PurePosixPath(name.lower())
    if file.suffix in _COMPRESSED:
        file = file.with_suffix("")
    return _SUFFIXES.get(file.suffix)


def read_records(
    path: Path,
    name: str,
    *,
    file_type: FileType | None = None,
    record: Shape = "object",
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    scratch: Path | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    at: At = unwatched,
    span: tuple[int, int] | None = None,
    quick: Quick | None = None,
) -> Iterator[Record | Finding]:
    """The records of the file at ``path``, numbered from 1, and in place of each that cannot be used a finding.

    ``name`` is what the user calls the file. ``record="array"`` says that each record is a bare array of messages; it becomes ``{"messages": […]}``.
    A compressed Parquet or Arrow file is unpacked into ``scratch``. Integers may be of any size here. ``at`` is told how many bytes of a text file
    have been read.

    ``span`` reads only the lines of a plain JSON lines file that begin within these bytes; records and lines are then counted from the first of
    them, and there may be none. ``quick`` may deal with records of JSON lines before they are read as values: see :func:`read_lines`.

    Raises :class:`DataError` where the file is not what it should be, holds no records, or cannot be read to its end; :class:`LimitError` where it
    is beyond one of ``limits``; :class:`SourceUnavailable` where it is not there.
    """
    check_file(path, name)
    kind = file_type or file_type_of(name) or file_type_of(path.name)
    if kind is None:
        hint = f"name it {', '.join(_SUFFIXES)} (also with {' or '.join(_COMPRESSED)}), or give the source a file type"
        raise DataError(f"the name '{name}' does not say what type of file it is", Place(name), hint)
    if record == "array" and kind not in ("jsonl", "json"):
        raise DataError(f"'{name}' cannot hold bare arrays as records", Place(name), "record: array is for JSON lines and JSON arrays")
    if span is not None:
        try:
            yield from read_lines(text_chunks(path, name, limits, chunk_bytes, at, span), name, record, limits, quick=quick)
        except LimitError as error:
            raise _counted_from_the_start(error, path, name, span[0]) from None
        return
    any_record = False

    def noting(number: int, line: int, text: bytes, at: int, end: int) -> tuple[int, int]:
        nonlocal any_record
        done, at = quick(number, line, text, at, end) if quick is not None else (0, at)
        any_record = any_record or done > 0
        return done, at

    for item in _records(path, name, kind, record, limits, scratch, chunk_bytes, at, noting if quick is not None else None):
        any_record = True
        yield item
    if not any_record:
        raise empty(name)


def _records(
    path: Path,
    name: str,
    kind: FileType,
    record: Shape,
    limits: Limits,
    scratch: Path | None,
    chunk_bytes: int,
    at: At,
    quick: Quick | None,
) -> Iterator[Record | Finding]:
    if kind == "parquet" or kind == "arrow":
        return read_columns(path, name, kind, limits, scratch)
    chunks = text_chunks(path, name, limits, chunk_bytes, at)
    if kind == "csv":
        return read_csv(chunks, name, limits)
    if kind == "jsonl":
        return read_lines(chunks, name, record, limits, quick=quick)
    # Many a .json file holds JSON lines.
    first = _first_byte(path, name, limits)
    if first == b"[":
        return read_array(chunks, name, record, limits)
    if first not in (b"{", b""):
        message = f"'{name}' holds neither a JSON array nor JSON lines: it begins with {first!r}"
        raise DataError(message, Place(name), "a .json file begins with [ or {")
    return read_lines(chunks, name, record, limits, must_be_lines=True, quick=quick)


def _counted_from_the_start(error: LimitError, path: Path, name: str, start: int) -> LimitError:
    problem = error.problems[0]
    line = problem.place.line if problem.place is not None else None
    return LimitError(error.limit, problem.message, Place(name, line + lines_before(path, name, start) if line is not None else None))


def can_be_cut(path: Path, name: str, file_type: FileType | None) -> bool:
    """Whether a file can be read in spans: plain JSON lines."""
    return (file_type or file_type_of(name) or file_type_of(path.name)) == "jsonl" and compression_of(path, name) is None


def _first_byte(path: Path, name: str, limits: Limits) -> bytes:
    """The first byte that is not white space, or none."""
    for chunk in text_chunks(path, name, limits):
        stripped = chunk.lstrip(b" \t\r\n")
        if stripped:
            return stripped[:1]
    return b""
