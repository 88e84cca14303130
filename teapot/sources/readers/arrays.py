"""A JSON array of records, read element by element: no more than one element and one chunk are held."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from teapot.errors import DataError, Place
from teapot.jsontext import JsonError, decode
from teapot.model import Finding, Record
from teapot.sources.readers.limits import LimitError, Limits
from teapot.sources.readers.lines import Shape, column, reason, shaped

_SPACE = re.compile(rb"[ \t\n\r]*")
# Bounded repetitions: the engine keeps a note for each round, and a long text has millions of escapes.
_MARK = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*){0,200}"|["\[\]{}]', re.DOTALL)
_INSIDE_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,1000}', re.DOTALL)
_SCALAR_END = re.compile(rb"[,\[\]{}\" \t\n\r]")
_CONTINUATION = bytes(range(0x80, 0xC0))

# What is wrong inside one element only: where it ends is certain all the same.
_CONTAINED = frozenset({"duplicate-key", "not-utf8", "too-deep", "non-finite", "integer-range", "lone-surrogate"})


def read_array(chunks: Iterable[bytes], name: str, shape: Shape, limits: Limits) -> Iterator[Record | Finding]:
    """The elements of the array as records.

    Raises :class:`DataError` with line and column where the text is not a JSON array: what follows such a place cannot be told apart.
    """
    text = _Text(iter(chunks), name, limits.max_line_bytes)
    text.expect(b"[", "expected '['")
    number = 0
    if text.next_char() == b"]":
        text.pass_over(1)
    else:
        while True:
            number += 1
            yield _element(text, number, shape, limits)
            if text.next_char() == b"]":
                text.pass_over(1)
                break
            text.expect(b",", "expected ',' or ']' after an element")
    if text.next_char():
        raise text.error("nothing may follow the array's end", text.place())


def _element(text: _Text, number: int, shape: Shape, limits: Limits) -> Record | Finding:
    text.next_char()
    line = text.line
    data = text.element()
    if not data:
        raise text.error("expected a value" if text.next_char() else "expected a value, but the file ends here", text.place())
    try:
        value = decode(data, unique=True, max_depth=limits.max_depth)
    except JsonError as error:
        offset = error.offset or 0
        if error.code not in _CONTAINED:
            raise text.error(error.message, text.place(offset)) from None
        place = text.place(offset)
        where = f"column {column(data, error)} of the record" if place.line == line else f"line {place.line}, column {place.column}"
        finding: Record | Finding = Finding(number, line, error.code, f"{reason(error)} ({where})")
    else:
        finding = shaped(number, line, value, shape)
    text.pass_over(len(data))
    return finding


class _Text:
    """A text that arrives in chunks: what is held of it, where reading is, and which line and column that is."""

    def __init__(self, chunks: Iterator[bytes], name: str, max_bytes: int) -> None:
        self.chunks = chunks
        self.name = name
        self.max_bytes = max_bytes
        self.held = b""
        self.at = 0
        self.line = 1
        self.column = 1

    def error(self, message: str, place: Place) -> DataError:
        return DataError(f"'{self.name}' is not a valid JSON array: {message}", place, "mend the file, or fetch it again")

    def place(self, offset: int = 0) -> Place:
        """Where the byte ``offset`` bytes ahead stands. Columns count characters."""
        line, column = self._moved(self.held[self.at : self.at + offset])
        return Place(self.name, line, column)

    def _moved(self, passed: bytes) -> tuple[int, int]:
        newlines = passed.count(b"\n")
        last = passed[passed.rfind(b"\n") + 1 :] if newlines else passed
        characters = len(last.translate(None, _CONTINUATION))
        return self.line + newlines, characters + (1 if newlines else self.column)

    def pass_over(self, size: int) -> None:
        self.line, self.column = self._moved(self.held[self.at : self.at + size])
        self.at += size

    def more(self) -> bool:
        """Hold more of the text, at least as much again, so that a long element is not copied over and over; ``False`` at its end."""
        parts = [self.held[self.at :]]
        wanted = len(parts[0])
        if wanted > self.max_bytes:
            raise LimitError("max_line_bytes", f"a record is longer than {self.max_bytes} bytes", self.place())
        added = 0
        for chunk in self.chunks:
            parts.append(chunk)
            added += len(chunk)
            if added >= wanted:
                break
        self.held = b"".join(parts)
        self.at = 0
        return added > 0

    def next_char(self) -> bytes:
        """The next byte that is not white space; empty at the end."""
        while True:
            match = _SPACE.match(self.held, self.at)
            assert match is not None
            if match.end() > self.at:
                self.pass_over(match.end() - self.at)
            if self.at < len(self.held):
                return self.held[self.at : self.at + 1]
            if not self.more():
                return b""

    def expect(self, char: bytes, message: str) -> None:
        found = self.next_char()
        if found != char:
            raise self.error(message if found else f"{message}, but the file ends here", self.place())
        self.pass_over(1)

    def element(self) -> bytes:
        """The bytes of the element that begins here; where it ends is found by its brackets and quotes alone."""
        end = self._scalar_end() if self.held[self.at : self.at + 1] not in (b"{", b"[", b'"') else self._end()
        if end > self.max_bytes:
            raise LimitError("max_line_bytes", f"a record is longer than {self.max_bytes} bytes", self.place())
        return self.held[self.at : self.at + end]

    def _scalar_end(self) -> int:
        scanned = 0
        while True:
            match = _SCALAR_END.search(self.held, self.at + scanned)
            if match:
                return match.start() - self.at
            scanned = len(self.held) - self.at
            if not self.more():
                return scanned

    def _end(self) -> int:
        """How long the element is. What was scanned is not scanned again when more of the text arrives."""
        scanned = depth = 0
        in_string = False
        while True:
            start = self.at + scanned
            if in_string:
                match = _INSIDE_STRING.match(self.held, start)
                assert match is not None
                scanned = match.end() - self.at
                char = self.held[match.end() : match.end() + 1]
                in_string = char != b'"'
                scanned += not in_string
                starved = in_string and match.end() + 1 >= len(self.held)
            else:
                match = _MARK.search(self.held, start)
                scanned = (match.end() if match else len(self.held)) - self.at
                mark = match[0] if match else b""
                in_string = mark == b'"'
                depth += (mark in (b"{", b"[")) - (mark in (b"}", b"]"))
                starved = match is None
            if starved:
                if not self.more():
                    raise self.error("the file ends inside an element", self.place())
            elif depth == 0 and not in_string:
                return scanned
