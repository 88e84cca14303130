"""Text split into lines, and JSON lines: one record on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from teapot.errors import DataError, Place
from teapot.jsontext import JsonError, decode
from teapot.model import Finding, Json, Record
from teapot.sources.readers.limits import LimitError, Limits, variable

Shape: TypeAlias = Literal["object", "array"]

Quick: TypeAlias = Callable[[int, int, bytes, int, int], tuple[int, int]]
"""Told the number of a record and of its line, and a text with the places where that line begins and where its last whole line ends; says how many
records it has dealt with, each on a line of its own, and where the next line begins."""

_BLANK = b" \t\r"


def split_lines(chunks: Iterable[bytes], name: str, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Each line with its number from 1, without its ``\\n``. Only ``\\n`` ends a line. No more than one line and one chunk are held."""
    for first, lines in line_groups(chunks, name, max_bytes):
        yield from enumerate(lines, first)


def line_groups(chunks: Iterable[bytes], name: str, max_bytes: int) -> Iterator[tuple[int, list[bytes]]]:
    """:func:`split_lines`, as many lines at once as end in a chunk: the number of the first of them, and the lines."""
    number = 1
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join([*held, lines[0]])
            held, size = [], 0
            if max(map(len, lines)) > max_bytes:
                good = next(place for place, line in enumerate(lines) if len(line) > max_bytes)
                yield number, lines[:good]
                _check_length(len(lines[good]), max_bytes, name, number + good)
            yield number, lines
            number += len(lines)
        size += len(rest)
        _check_length(size, max_bytes, name, number)
        held.append(rest)
    if size:
        yield number, [b"".join(held)]


def line_spans(chunks: Iterable[bytes], name: str, max_bytes: int, dealt_with: Callable[[], int]) -> Iterator[tuple[bytes, int, int]]:
    """Whole lines as they stand in the chunks: a text, and from where to where they are in it.

    Each line ends in ``\\n``, but for the file's last, perhaps. One of several may be longer than ``max_bytes``, which is then for the reader to find.
    ``dealt_with`` says how many lines the reader has had, which it counts anyway.
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        at, end = 0, chunk.rfind(b"\n") + 1
        if end and held:
            at = chunk.index(b"\n") + 1
            first = b"".join([*held, chunk[:at]])
            held, size = [], 0
            _check_length(len(first) - 1, max_bytes, name, dealt_with() + 1)
            yield first, 0, len(first)
        if at < end:
            yield chunk, at, end
        if end < len(chunk):
            size += len(chunk) - end
            _check_length(size, max_bytes, name, dealt_with() + 1)
            held.append(chunk[end:])
    if size:
        rest = b"".join(held)
        yield rest, 0, size


def _check_length(size: int, max_bytes: int, name: str, line: int) -> None:
    if size > max_bytes:
        raise LimitError("max_line_bytes", f"a line is longer than {max_bytes} bytes", Place(name, line))


def read_lines(
    chunks: Iterable[bytes], name: str, shape: Shape, limits: Limits, *, must_be_lines: bool = False, quick: Quick | None = None
) -> Iterator[Record | Finding]:
    """The records of JSON lines. Blank lines are no records, but they count as lines.

    ``must_be_lines`` says that the file's name promised something else: where the first line is the beginning of a longer JSON text, it raises
    :class:`DataError`. ``quick`` is shown the records' texts first, and nothing is given for those that it deals with.
    """
    number = line = 0

    def dealt_with() -> int:
        return line

    for text, at, end in line_spans(chunks, name, limits.max_line_bytes, dealt_with):
        while at < end:
            if quick is not None:
                done, at = quick(number + 1, line + 1, text, at, end)
                number, line = number + done, line + done
                if at == end:
                    break
            stop = text.find(b"\n", at, end)
            data = text[at : stop if stop >= 0 else end]
            line, at = line + 1, stop + 1 if stop >= 0 else end
            _check_length(len(data), limits.max_line_bytes, name, line)
            if data[:1] != b"{" and not data.strip(_BLANK):
                continue
            number += 1
            data = data.removesuffix(b"\r")
            try:
                value = decode(data, unique=True, max_depth=limits.max_depth)
            except JsonError as error:
                if must_be_lines and number == 1 and error.offset == len(data):
                    raise _one_value(name, line) from None
                yield Finding(number, line, error.code, f"{reason(error)} (column {column(data, error)})")
            else:
                yield shaped(number, line, value, shape)


def _one_value(name: str, line: int) -> DataError:
    message = f"'{name}' is one JSON value over several lines, neither an array of records nor JSON lines"
    return DataError(message, Place(name, line), "write one record a line (jq -c), or put the records into a JSON array")


def shaped(number: int, line: int | None, value: Json, shape: Shape) -> Record | Finding:
    """``value`` as a record if it has the declared shape: an object, or an array that becomes the record's ``messages``."""
    if shape == "object":
        if isinstance(value, dict):
            return Record(number, line, value)
        return Finding(number, line, "not-an-object", f"a record must be a JSON object, not {kind_of(value)}")
    if isinstance(value, list):
        return Record(number, line, {"messages": value})
    return Finding(number, line, "not-an-array", f"a record must be a JSON array, as its source declares, not {kind_of(value)}")


def kind_of(value: Json) -> str:
    """What JSON calls ``value``, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else "a number"


def reason(error: JsonError) -> str:
    """The error's message; for a limit also how to raise it."""
    return f"{error.message}; {variable('max_depth')} sets the limit" if error.code == "too-deep" else error.message


def column(data: bytes, error: JsonError) -> int:
    """At which character of ``data``, from 1, the error is."""
    return len(data[: error.offset].decode("utf-8", "replace")) + 1
