"""CSV with a header row (RFC 4180): every value is text."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from teapot.errors import DataError, Place
from teapot.model import Finding, Record
from teapot.sources.readers.limits import LimitError, Limits
from teapot.sources.readers.lines import split_lines

# The largest that fits everywhere; the csv module keeps one limit for the whole process.
_FIELD_LIMIT = 2**31 - 1


def read_csv(chunks: Iterable[bytes], name: str, limits: Limits) -> Iterator[Record | Finding]:
    """The rows after the header as records from column name to text. Blank lines are no rows.

    Raises :class:`DataError` for a header without names or with one twice, and for broken quoting, after which rows cannot be told apart.
    """
    rows = _Rows(chunks, name, limits)
    header = rows.next()
    if header is None:
        return
    names = _checked_header(header, rows)
    number = 0
    while (cells := rows.next()) is not None:
        number += 1
        if rows.broken_bytes:
            yield Finding(number, rows.line, "not-utf8", "the row is not valid UTF-8")
        elif len(cells) != len(names):
            yield Finding(number, rows.line, "wrong-columns", f"the row has {_cells(len(cells))}, the header has {len(names)}")
        else:
            yield Record(number, rows.line, dict(zip(names, cells, strict=True)))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _checked_header(header: list[str], rows: _Rows) -> list[str]:
    place = Place(rows.name, rows.line)
    if rows.broken_bytes:
        raise DataError(f"the header of '{rows.name}' is not valid UTF-8", place, "save the file as UTF-8")
    seen: set[str] = set()
    for index, column in enumerate(header):
        if not column:
            raise DataError(f"column {index + 1} of '{rows.name}' has no name in the header", place, "give every column a name")
        if column in seen:
            raise DataError(f"the column '{column}' is there twice in the header of '{rows.name}'", place, "rename one of them")
        seen.add(column)
    return header


class _Rows:
    """Rows of cells; ``line`` is where the last one began, ``broken_bytes`` whether it is not UTF-8."""

    def __init__(self, chunks: Iterable[bytes], name: str, limits: Limits) -> None:
        self.name = name
        self.max_bytes = limits.max_line_bytes
        self.lines = split_lines(chunks, name, limits.max_line_bytes)
        self.reader = csv.reader(self._texts(), strict=True)
        self.line = 1
        self.size = 0
        self.broken_bytes = False

    def next(self) -> list[str] | None:
        """The next row that is not blank, or ``None`` at the end."""
        earlier = csv.field_size_limit(_FIELD_LIMIT)
        try:
            while True:
                self.line = self.reader.line_num + 1
                self.size = 0
                self.broken_bytes = False
                cells = next(self.reader, None)
                if cells != []:
                    return cells
        except csv.Error as error:
            hint = 'write a quote inside a quoted field as ""'
            reason = str(error).partition(" - ")[0]  # what follows is advice for programmers
            raise DataError(f"'{self.name}' is not valid CSV: {reason}", Place(self.name, self.line), hint) from None
        finally:
            csv.field_size_limit(earlier)

    def _texts(self) -> Iterator[str]:
        for number, data in self.lines:
            self.size += len(data) + 1
            if self.size > self.max_bytes + 1:
                raise LimitError("max_line_bytes", f"a row is longer than {self.max_bytes} bytes", Place(self.name, self.line))
            if b"\0" in data:  # some versions of the csv module take it and some do not
                raise DataError(f"'{self.name}' holds a NUL byte, which is no text", Place(self.name, number), "is it a CSV file?")
            try:
                yield data.decode("utf-8") + "\n"
            except UnicodeDecodeError:
                self.broken_bytes = True
                yield data.decode("utf-8", "replace") + "\n"
